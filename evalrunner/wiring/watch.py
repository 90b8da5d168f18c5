"""What is shown while a run asks: nothing is imported or drawn for a run that asks nobody."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from evalrunner.values.money import Picodollars

if TYPE_CHECKING:
    from evalrunner.reports.progress import RunProgress


class Watch:
    """The engine's progress, held back until :meth:`begin`; what came before it is told then.

    Args:
        stream: Where it is shown: as a live line on a terminal, seldom lines in a log.
        quiet: Whether nothing is shown.
    """

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._before: Counter[str] = Counter()
        self._shown: RunProgress | None = None

    def begin(self, total: int) -> None:
        """Starts the display: of *total* cases some are still to be asked for."""
        if self._quiet or self._shown is not None:
            return
        from evalrunner.reports.progress import progress_for

        shown = progress_for(self._stream, total=total, monotonic=time.monotonic)
        for outcome in self._before.elements():
            shown.case_done(outcome)
        self._shown = shown.__enter__()

    def case_done(self, outcome: str) -> None:
        """A case ended."""
        if self._shown is None:
            self._before[outcome] += 1
        else:
            self._shown.case_done(outcome)

    def call_done(self, cost: Picodollars | None) -> None:
        """A call was paid."""
        if self._shown is not None:
            self._shown.call_done(cost)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._shown.__exit__(kind, error, trace)
