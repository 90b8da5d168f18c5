"""Spend over time as a picture; the library that draws it is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from evalrunner.engine.ports import LedgerDay
from evalrunner.errors import UsageError
from evalrunner.values.money import PICO_PER_USD

ENDINGS: Final = (".svg", ".png")
_EPOCH: Final = date(1970, 1, 1)  # where the library counts days from


def draw(days: Sequence[LedgerDay], path: Path) -> None:
    """Bars of what each day cost: what is known to be paid, and what may have been paid above it.

    Raises:
        UsageError: The library is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "a picture needs matplotlib", hint="pip install 'evalrunner[chart]'"
        ) from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    moments = [float((date.fromisoformat(day.day) - _EPOCH).days) for day in days]
    known = [day.settled / PICO_PER_USD for day in days]
    perhaps = [day.possibly_paid / PICO_PER_USD for day in days]
    axes.bar(moments, known, color="#3b6ea5", label="paid")
    if any(perhaps):
        axes.bar(moments, perhaps, bottom=known, color="#c8d8e8", label="possibly paid")
    axes.xaxis_date()
    axes.set_ylabel("US dollars a day")
    axes.set_title("What evals cost")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(loc="upper left")
    try:
        # No date inside, so that the same ledger draws the same file.
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None
