"""What a test session asks of its evals, as one value that its processes pass on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

from evalrunner.errors import UsageError
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars, from_usd
from evalrunner.wiring.command import Command
from evalrunner.wiring.publish import FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a session; of several ceilings the lowest holds.

    Attributes:
        arguments: The session's command line, for the run document.
        frozen: Whether nobody may be asked.
        skip_misses: Whether a case that would have to be asked is skipped instead of failed.
        recache: Whether everything is asked again.
        max_usd: The ceilings, in dollars, as they were written.
        gate: Whether gates refuse the start and fail the session.
        outputs: Where reports are written.
    """

    arguments: tuple[str, ...] = ()
    frozen: bool = False
    skip_misses: bool = False
    recache: bool = False
    max_usd: tuple[str, ...] = ()
    gate: bool = True
    outputs: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings that :meth:`to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        for name in ("arguments", "max_usd", "outputs"):
            found[name] = tuple(found[name])
        return cls(**found)

    def to_json(self) -> str:
        """All settings as JSON."""
        return json.dumps(asdict(self))

    @property
    def config(self) -> Path | None:
        """The configuration that the environment names."""
        place = os.environ.get("EVALRUNNER_CONFIG")
        return Path(place) if place else None

    @property
    def state_dir(self) -> Path | None:
        """The state folder that the environment names."""
        place = os.environ.get("EVALRUNNER_STATE_DIR")
        return Path(place) if place else None

    def command(self, root: Path) -> Command:
        """What is asked of one project's run.

        Raises:
            UsageError: A ceiling is no amount of dollars, or a report is of no format that we know.
        """
        for name in self.outputs:
            if not name.endswith(tuple(FORMATS)):
                known = " ".join(FORMATS)
                raise UsageError(f"--eval-output {name!r} ends in no known format; known: {known}")
        return Command(
            start=root,
            argv=self.arguments,
            config=self.config,
            state_dir=self.state_dir,
            frozen=self.frozen,
            recache=self.recache,
            max_usd=min(map(_amount, self.max_usd), default=None),
            no_preflight=not self.gate,
            warn_only=not self.gate,
        )

    def places(self, count: int) -> Sequence[Sequence[Path]]:
        """Where each of several reports is written: the first as named, others numbered beside it."""
        return [[_numbered(Path(name), number) for name in self.outputs] for number in range(count)]


def _amount(text: str) -> Picodollars:
    try:
        amount = from_usd(Decimal(text.strip()))
    except (ValueError, InvalidOperation):
        amount = Picodollars(-1)
    if amount < 0:
        raise UsageError(f"{text!r} is not an amount of dollars", hint="write it like 0.50")
    return amount


def _numbered(path: Path, number: int) -> Path:
    """The path itself, or for a later report ``run-2.json``."""
    stem, dot, endings = path.name.partition(".")
    return path if number == 0 else path.with_name(f"{stem}-{number + 1}{dot}{endings}")
