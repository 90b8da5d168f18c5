"""What evals cost beside production, day by day or week by week, and in the window that the gate judges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from evalrunner.engine.cost_gate import paid_in
from evalrunner.engine.ports import LedgerDay
from evalrunner.values.amount import Amount, total
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars
from evalrunner.values.spend import SourceSeen, days_between, shifted
from evalrunner.verdict.cost_ratio import Share, share_of
from evalrunner.verdict.production import production_by_day

MOST_DAYS: Final = 45
"""Where more days than these are asked for, each week is one period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a week of evals, and their part of all model spend.

    Attributes:
        first: Its first day.
        last: Its last day.
        spend: What evals cost in it.
        told: Its last day of which production is known to the end; ``None`` where there is none.
        share: Their part of it up to that day; ``None`` where nothing was spent, or production is not
            known on a day before.
        window: The same of the window that ends on that day, where both sides of it are known.
    """

    first: str
    last: str
    spend: LedgerDay
    told: str | None = None
    share: Share | None = None
    window: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendHistory:
    """The periods of a span without a gap, from the first to the last on which anything is known.

    Attributes:
        weekly: Whether a period is a week.
        compared: Whether any source of production spend is configured.
    """

    periods: Sequence[Period]
    weekly: bool = False
    compared: bool = False


def spend_history(
    days: Iterable[LedgerDay],
    seen: Sequence[SourceSeen],
    *,
    first: str,
    last: str,
    began: str | None,
    window_days: int,
) -> SpendHistory:
    """The periods from *first* to *last*.

    Args:
        days: What evals cost, those of a window before *first* among them.
        seen: The sources of production spend.
        first: ``YYYY-MM-DD``.
        last: The same; this day is part of the span.
        began: The day on which the ledger begins; a window that reaches further back is not told.
        window_days: The days of the gate's window.
    """
    ledger = {day.day: day for day in days}
    used = [day for day in ledger if first <= day <= last]
    if not used:
        return SpendHistory(periods=(), compared=bool(seen))
    since = shifted(min(used), 1 - window_days)
    production = production_by_day(seen, since, last) if seen else {}
    if any(one.spec.includes_evals for one in seen if not one.spec.reconcile_only):
        production = _less_evals(production, ledger)
    weekly = days_between(first, last) > MOST_DAYS
    periods = [
        _period(part, ledger, production, began=began, window_days=window_days)
        for part in _spans(min(used), max(used), weekly=weekly)
    ]
    return SpendHistory(periods=periods, weekly=weekly, compared=bool(seen))


def _period(
    part: tuple[str, str],
    ledger: Mapping[str, LedgerDay],
    production: Mapping[str, Amount],
    *,
    began: str | None,
    window_days: int,
) -> Period:
    first, last = part
    period = Period(first=first, last=last, spend=_summed(first, _of(ledger, first, last)))
    told = max((day for day in _days(first, last) if _known(production, day)), default=None)
    if told is None:
        return period
    start = shifted(told, 1 - window_days)
    whole = began is not None and began <= start
    return replace(
        period,
        told=told,
        share=_share(first, told, ledger, production),
        window=_share(start, told, ledger, production) if whole else None,
    )


def _known(production: Mapping[str, Amount], day: str) -> bool:
    return day in production and production[day].high is not None


def _share(
    first: str, last: str, ledger: Mapping[str, LedgerDay], production: Mapping[str, Amount]
) -> Share | None:
    """The evals' part of these days; ``None`` where production may have cost anything on one of them."""
    days = _days(first, last)
    if not all(_known(production, day) for day in days):
        return None
    return share_of(paid_in(_of(ledger, first, last)), total(production[day] for day in days))


def _of(ledger: Mapping[str, LedgerDay], first: str, last: str) -> list[LedgerDay]:
    return [ledger[day] for day in _days(first, last) if day in ledger]


def _less_evals(
    production: Mapping[str, Amount], ledger: Mapping[str, LedgerDay]
) -> dict[str, Amount]:
    """Production of which a source says that evals are in it."""
    return {day: amount.less(paid_in(_of(ledger, day, day))) for day, amount in production.items()}


def _summed(day: str, parts: Sequence[LedgerDay]) -> LedgerDay:
    return LedgerDay(
        day=day,
        settled=Picodollars(sum(part.settled for part in parts)),
        possibly_paid=Picodollars(sum(part.possibly_paid for part in parts)),
        unpriced_calls=sum(part.unpriced_calls for part in parts),
        unmetered_calls=sum(part.unmetered_calls for part in parts),
        calls=sum(part.calls for part in parts),
        runs=sum(part.runs for part in parts),
    )


def _spans(first: str, last: str, *, weekly: bool) -> list[tuple[str, str]]:
    """The days, or the weeks from Monday to Sunday, that have a day from *first* to *last*."""
    if not weekly:
        return [(day, day) for day in _days(first, last)]
    monday = shifted(first, -date.fromisoformat(first).weekday())
    weeks = range(0, days_between(monday, last), 7)
    return [(shifted(monday, n), min(last, shifted(monday, n + 6))) for n in weeks]


def _days(first: str, last: str) -> list[str]:
    return [shifted(first, number) for number in range(days_between(first, last))]
