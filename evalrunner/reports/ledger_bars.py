"""Spend and ratio over time as bars in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from evalrunner.engine.spend_history import Period, SpendHistory
from evalrunner.reports.ledger_words import of_days, ratio_words, told_end, written_lines
from evalrunner.values.project import CostGateConfig
from evalrunner.verdict.gates import percent

SWITCH_ON: Final = "no ratio: add cost.production to evalrunner.yaml to compare with production"
NOT_KNOWN: Final = (
    "no ratio: production spend is not known on these days, see evalrunner spend show"
)

_ALONE: Final = 40
_SPEND: Final = 18
_RATIO: Final = 20
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LINE: Final = "┊"
_BEYOND: Final = "▶"


def bars(history: SpendHistory, policy: CostGateConfig) -> str:
    """A line for each day or week: what was paid, and beside it the evals' part of all model spend.

    What is known to be paid is full, what may have been paid is light. The dotted lines are those of
    the policy's bands; a bar that ends in an arrow goes on beyond the scale.
    """
    if not any(_upper(period) for period in history.periods):
        return "nothing was paid in this time\n"
    if not history.compared:
        return _page([*_rows(history, policy, width=_ALONE), "", SWITCH_ON])
    if not any(period.share for period in history.periods):
        return _page([*_rows(history, policy, width=_ALONE), "", NOT_KNOWN])
    head = [_head(history, policy)]
    return _page(
        [*head, *_rows(history, policy, width=_SPEND, ratio=True), *_foot(history, policy)]
    )


def _page(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _upper(period: Period) -> int:
    return period.spend.settled + period.spend.possibly_paid


def _rows(
    history: SpendHistory, policy: CostGateConfig, *, width: int, ratio: bool = False
) -> Iterator[str]:
    most = max(map(_upper, history.periods))
    column = _amount_width(history)
    for period in history.periods:
        known = period.spend.settled * width // most
        bar = "█" * known + "░" * (_upper(period) * width // most - known)
        line = f"{period.first}  {bar.ljust(width)}  {of_days(period.spend).rjust(column)}"
        yield line + (f"  {_scale(period, policy)}  {_words(period, policy)}" if ratio else "")


def _amount_width(history: SpendHistory) -> int:
    return max(len(of_days(period.spend)) for period in history.periods)


def _words(period: Period, policy: CostGateConfig) -> str:
    return ratio_words(period.share, policy)


def _scale(period: Period, policy: CostGateConfig) -> str:
    """A ratio as a bar between the lines of the bands."""
    *_, critical = written_lines(policy)
    top = critical * Fraction(6, 5)
    cells = [" "] * _RATIO
    for line in written_lines(policy):
        cells[_cell(line, top)] = _LINE
    told = None if period.share is None else told_end(period.share, policy)
    if told is None:
        return "".join(cells)
    eighths = min(_RATIO * 8, int(told * _RATIO * 8 / top))
    full, rest = divmod(eighths, 8)
    cells[:full] = "█" * full
    if rest and full < _RATIO:
        cells[full] = _EIGHTHS[rest]
    if told > top:
        cells[-1] = _BEYOND
    return "".join(cells)


def _cell(line: Fraction, top: Fraction) -> int:
    return min(_RATIO - 1, int(line * _RATIO / top))


def _head(history: SpendHistory, policy: CostGateConfig) -> str:
    """What the columns are, and where the lines of the bands are."""
    *_, critical = written_lines(policy)
    top = critical * Fraction(6, 5)
    marks = ""
    for line in written_lines(policy):
        text = f"{percent(line)}"
        at = _cell(line, top)
        if len(marks) < at or not marks:
            marks = marks.ljust(at) + text
    spent = "paid".ljust(_SPEND + 2 + _amount_width(history))
    first = "week of" if history.weekly else "day"
    return f"{first:<10}  {spent}  {marks}"


def _foot(history: SpendHistory, policy: CostGateConfig) -> Iterator[str]:
    whole = "model spend" if policy.basis == "total" else "production spend"
    yield ""
    yield f"right: evals' part of {whole}, with the lines of the gate's bands"
    told = [period for period in history.periods if period.window]
    if told:
        last = told[-1]
        words = ratio_words(last.window, policy)
        yield f"{policy.window_days} days to {last.told}: {words}"
    if any(period.told != period.last for period in history.periods):
        yield "a ratio tells of the days on which production is known to the end"
