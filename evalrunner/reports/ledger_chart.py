"""Spend and ratio over time as a picture; the library that draws it is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evalrunner.engine.spend_history import SpendHistory
from evalrunner.errors import UsageError
from evalrunner.reports.ledger_words import told_end, written_lines
from evalrunner.values.money import PICO_PER_USD
from evalrunner.values.project import CostGateConfig
from evalrunner.verdict.cost_ratio import Share
from evalrunner.verdict.gates import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS: Final = (".svg", ".png")
_EPOCH: Final = date(1970, 1, 1)  # where the library counts days from
_PAID: Final = "#2f5d8a"
_PERHAPS: Final = "#b9cfe4"
_RATIO: Final = "#8fb0cf"
_WINDOW: Final = "#1b2f45"
_QUIET: Final = "#6b7280"
_FAILS: Final = "#b42318"
_BANDS: Final = ("#e7f4ea", "#fdf6dd", "#fde8d3", "#fadcd9")
_NAMES: Final = ("healthy", "watch", "warning", "critical")


def draw(history: SpendHistory, policy: CostGateConfig, path: Path) -> None:
    """What each day or week cost, and below it the evals' part of all model spend, between its lines.

    The lower half is left out where no ratio is known. The same history draws the same file.

    Raises:
        UsageError: The library is not installed, or the file cannot be written.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "a picture needs matplotlib", hint="pip install 'evalrunner[chart]'"
        ) from None
    told = any(period.share or period.window for period in history.periods)
    with rc_context({"svg.hashsalt": "evalrunner", "font.size": 10}):
        figure = Figure(figsize=(10, 6.4 if told else 3.8), layout="constrained")
        axes = figure.subplots(2 if told else 1, 1, sharex=True, squeeze=False)[:, 0]
        _draw_spend(axes[0], history)
        if told:
            _draw_ratio(axes[1], history, policy)
        _label_days(axes[-1], history)
        try:
            metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(path, dpi=150, metadata=metadata)
        except OSError as error:
            raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from None


def _draw_spend(axes: Axes, history: SpendHistory) -> None:
    """Bars: what is known to be paid, and what may have been paid above it."""
    known = [period.spend.settled / PICO_PER_USD for period in history.periods]
    perhaps = [period.spend.possibly_paid / PICO_PER_USD for period in history.periods]
    days, width = _days(history), _width(history)
    axes.bar(days, known, width=width, color=_PAID, label="paid")
    if any(perhaps):
        axes.bar(days, perhaps, width=width, bottom=known, color=_PERHAPS, label="possibly paid")
        _legend(axes)
    _title(axes, f"What evals cost, US dollars a {_each(history)}")
    axes.yaxis.set_major_formatter(_dollars)


def _draw_ratio(axes: Axes, history: SpendHistory, policy: CostGateConfig) -> None:
    """Bars for each period and a line for the gate's window, before the colours of the bands."""
    days, periods = _days(history), history.periods
    bars = _told([(day, one.share) for day, one in zip(days, periods, strict=True)], policy)
    line = _told([(day, one.window) for day, one in zip(days, periods, strict=True)], policy)
    *_, critical = written_lines(policy)
    top = max([float(critical) * 1.2, *(value * 1.08 for _, value in (*bars, *line))])
    _draw_bands(axes, policy, top)
    axes.bar(
        *_columns(bars), width=_width(history), color=_RATIO, label=f"the {_each(history)} alone"
    )
    if line:
        label = f"{policy.window_days} days, as the gate sees it"
        axes.plot(*_columns(line), color=_WINDOW, linewidth=2, label=label)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(_per_cent)
    whole = "model spend" if policy.basis == "total" else "production spend"
    _title(axes, f"Evals' part of {whole}")
    _legend(axes)


def _draw_bands(axes: Axes, policy: CostGateConfig, top: float) -> None:
    """Each band in its colour with its name at the right, and the lines between them."""
    lines = [float(line) for line in written_lines(policy)]
    for name, color, (low, high) in zip(_NAMES, _BANDS, pairwise([0.0, *lines, top]), strict=True):
        axes.axhspan(low, high, color=color, linewidth=0, zorder=0)
        _beside(axes, name, (low + high) / 2, _QUIET)
    for name, line, written in zip(_NAMES[1:], lines, written_lines(policy), strict=True):
        if name != policy.fail_on:
            axes.axhline(line, color=_QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
            continue
        axes.axhline(line, color=_FAILS, linewidth=1.4, zorder=1)
        above = "from" if name == "watch" else "above"
        _beside(axes, f"fails {above} {percent(Fraction(written))}", line, _FAILS)


def _beside(axes: Axes, text: str, height: float, color: str) -> None:
    """Writes to the right of the picture, at a height of its scale."""
    axes.annotate(
        text,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=color,
    )


def _legend(axes: Axes) -> None:
    """The legend on the title's line, where no bar is."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2, borderaxespad=0.2)


def _each(history: SpendHistory) -> str:
    return "week" if history.weekly else "day"


def _told(
    shares: Sequence[tuple[float, Share | None]], policy: CostGateConfig
) -> list[tuple[float, float]]:
    ends = [(day, None if share is None else told_end(share, policy)) for day, share in shares]
    return [(day, float(end)) for day, end in ends if end is not None]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [day for day, _ in points], [value for _, value in points]


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontweight="bold")
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def _label_days(axes: Axes, history: SpendHistory) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axes.xaxis_date()
    locator = AutoDateLocator(minticks=4, maxticks=12)  # type: ignore[no-untyped-call]  # it has no types
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # nor has this
    axes.xaxis.set_major_formatter(formatter)
    days, width = _days(history), _width(history)
    if days:
        axes.set_xlim(days[0] - width, days[-1] + width)


def _days(history: SpendHistory) -> list[float]:
    """Where each period stands: a day on itself, a week on its middle."""
    return [
        float((date.fromisoformat(period.first) - _EPOCH).days) + (3 if history.weekly else 0)
        for period in history.periods
    ]


def _width(history: SpendHistory) -> float:
    return 5.6 if history.weekly else 0.8


def _dollars(value: float, _: object) -> str:
    return f"${value:,.10g}"


def _per_cent(value: float, _: object) -> str:
    return f"{value * 100:.3g} %"
