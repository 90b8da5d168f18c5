"""What is shown while a run is under way: one live line for people, now and then a line for logs."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from evalrunner.reports.phrases import dollars
from evalrunner.values.money import Picodollars

QUIET_SECONDS: Final = 10.0
"""The least time between two lines where nobody looks."""


class RunProgress(Protocol):
    """The engine's port of the same shape, shown while it is entered."""

    def case_done(self, outcome: str) -> None:
        """A case ended."""
        ...

    def call_done(self, cost: Picodollars | None) -> None:
        """A call was paid."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Counts:
    """What is known so far, as one line."""

    def __init__(self, total: int | None, monotonic: Callable[[], float]) -> None:
        self._total = total
        self._monotonic = monotonic
        self._began = monotonic()
        self._outcomes: dict[str, int] = {}
        self._calls = 0
        self._cost: int | None = 0

    def case_done(self, outcome: str) -> None:
        """Counts a case."""
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def call_done(self, cost: Picodollars | None) -> None:
        """Counts a call; from the first unknown cost on the sum is unknown."""
        self._calls += 1
        self._cost = None if self._cost is None or cost is None else self._cost + cost

    def line(self) -> str:
        """Cases, rate, calls and cost so far, and what did not pass."""
        done = sum(self._outcomes.values())
        seconds = max(self._monotonic() - self._began, 1e-9)
        of = "" if self._total is None else f"/{self._total:,}"
        words = [f"{done:,}{of} cases", f"{done / seconds:,.0f}/s"]
        words.append(f"{self._calls:,} calls, {dollars(self._cost)}")
        words += [
            f"{number:,} {outcome.replace('_', ' ')}"
            for outcome, number in sorted(self._outcomes.items())
            if outcome != "passed"
        ]
        return "  ".join(words)


class LiveProgress:
    """A line that redraws itself a few times a second, on a terminal."""

    def __init__(self, counts: Counts, stream: TextIO) -> None:
        # Only here, since a log needs none of it.
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text as Line

        self._counts = counts
        console = Console(file=stream, markup=False, highlight=False, emoji=False)
        self._live = Live(
            console=console,
            get_renderable=lambda: Line(counts.line(), style="dim", overflow="ellipsis"),
            refresh_per_second=8,
            transient=True,
        )

    def case_done(self, outcome: str) -> None:
        """Counts a case."""
        self._counts.case_done(outcome)

    def call_done(self, cost: Picodollars | None) -> None:
        """Counts a call."""
        self._counts.call_done(cost)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


class LogProgress:
    """A line of plain text every ten seconds at most, where *stream* is a log."""

    def __init__(self, counts: Counts, stream: TextIO, monotonic: Callable[[], float]) -> None:
        self._counts = counts
        self._stream = stream
        self._monotonic = monotonic
        self._last = monotonic()

    def case_done(self, outcome: str) -> None:
        """Counts a case, and writes a line if it is time."""
        self._counts.case_done(outcome)
        now = self._monotonic()
        if now - self._last >= QUIET_SECONDS:
            self._last = now
            self._stream.write(f"{self._counts.line()}\n")
            self._stream.flush()

    def call_done(self, cost: Picodollars | None) -> None:
        """Counts a call."""
        self._counts.call_done(cost)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class SilentProgress:
    """Says nothing (``--quiet``, ``--no-progress``)."""

    def case_done(self, outcome: str) -> None:
        """Nothing."""

    def call_done(self, cost: Picodollars | None) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def progress_for(
    stream: TextIO,
    *,
    total: int | None,
    monotonic: Callable[[], float],
    quiet: bool = False,
) -> RunProgress:
    """What suits *stream*: a live line on a terminal, seldom lines in a log, nothing when quiet."""
    if quiet:
        return SilentProgress()
    counts = Counts(total, monotonic)
    if stream.isatty():
        return LiveProgress(counts, stream)
    return LogProgress(counts, stream, monotonic)
