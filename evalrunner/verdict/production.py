"""What production cost, from what its sources say: summed once, and no better than it is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from evalrunner.values.amount import NOTHING, UNKNOWN, Amount, total
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.money import PICO_PER_USD, Picodollars, usd_text
from evalrunner.values.spend import (
    SourceSeen,
    SpendPart,
    SpendRead,
    days_between,
    shifted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """Production spend over a window of complete days.

    Attributes:
        amount: The window's spend; without an upper end where a source is missing or says too little.
        before: That of the window before; ``None`` where not every source reaches back so far.
        includes_evals: The part of ``amount`` from which testing has still to be taken off.
        since: The window's first day.
        through: The window's last day.
        days: The days of it that at least one source speaks of.
        sources: Each source as the run document shows it.
        problems: Why the amount is not exact, one line each.
    """

    amount: Amount
    before: Amount | None
    includes_evals: bool
    since: str
    through: str
    days: int
    sources: tuple[Mapping[str, Json], ...]
    problems: tuple[str, ...]


def production_of(seen: Sequence[SourceSeen], *, window_days: int, today: str) -> Production:
    """The spend of the last complete window, ending on the last day that all usable sources know.

    A source that is missing, or whose last complete day is too long ago, leaves the sum without an
    upper end: it is at least what the others say.
    """
    counted = [one for one in seen if not one.spec.reconcile_only]
    reads = [one.read for one in counted if one.read and not _useless(one, today)]
    through = min((read.through for read in reads), default=shifted(today, -1))
    since = shifted(through, 1 - window_days)
    earlier = (shifted(since, -window_days), shifted(since, -1))
    amounts = [_amount(one, since, through, today) for one in counted]
    reaching = len(reads) == len(counted) and all(read.since <= earlier[0] for read in reads)
    return Production(
        amount=total(amounts),
        before=total(_sum(read.parts, *earlier) for read in reads) if reaching else None,
        includes_evals=any(one.spec.includes_evals for one in counted),
        since=since,
        through=through,
        days=max((_covered(read, since, through) for read in reads), default=0),
        sources=tuple(_shown(one, since, through, today) for one in seen),
        problems=tuple(_problems(counted, since, through, today)),
    )


def production_by_day(seen: Sequence[SourceSeen], since: str, through: str) -> dict[str, Amount]:
    """The spend of each day from *since* to *through*; no upper end where a source does not say.

    A source does not say what a day cost that lies before its first or after its last complete one.
    """
    counted = [one for one in seen if not one.spec.reconcile_only]
    days = [shifted(since, number) for number in range(days_between(since, through))]
    told = [_told_by_day(one) for one in counted]
    return {day: total(_on(day, *one) for one in told) for day in days} if told else {}


def _told_by_day(one: SourceSeen) -> tuple[SpendRead | None, Mapping[str, Amount]]:
    return one.read, {} if one.read is None else counted_by_day(one.read.parts)


def _on(day: str, read: SpendRead | None, amounts: Mapping[str, Amount]) -> Amount:
    if read is None or not read.since <= day <= read.through:
        return UNKNOWN
    return amounts.get(day, NOTHING)


def counted_by_day(parts: Iterable[SpendPart]) -> dict[str, Amount]:
    """What is counted on each day."""
    days: dict[str, list[SpendPart]] = {}
    for part in parts:
        days.setdefault(part.day, []).append(part)
    return {day: _sum(found, day, day) for day, found in sorted(days.items())}


def _useless(one: SourceSeen, today: str) -> bool:
    """Whether nothing can be taken from a source: it is missing, or stopped telling long ago."""
    return one.read is None or one.read.through < shifted(today, -1 - one.spec.stale_after_days)


def _amount(one: SourceSeen, since: str, through: str, today: str) -> Amount:
    if one.read is None or _useless(one, today):
        return UNKNOWN
    amount = _sum(one.read.parts, since, through)
    return Amount.at_least(amount.low) if one.read.since > since else amount


def _sum(parts: Iterable[SpendPart], since: str, through: str) -> Amount:
    """The counted parts of these days. Corrections are taken off; no window is below zero."""
    known, unknown = Fraction(0), False
    for part in parts:
        if part.left_out is None and since <= part.day <= through:
            unknown = unknown or part.usd is None
            known += part.usd or 0
    floor = max(Fraction(0), known)
    return Amount.at_least(floor) if unknown else Amount.exactly(floor)


def _covered(read: SpendRead, since: str, through: str) -> int:
    return days_between(max(read.since, since), min(read.through, through))


def _problems(counted: Iterable[SourceSeen], since: str, through: str, today: str) -> Iterable[str]:
    for one in counted:
        name = one.spec.name
        if one.read is None:
            yield f"{name} says nothing: {one.error or 'no snapshot is kept'}"
        elif _useless(one, today):
            yield f"{name} is stale: its last complete day is {one.read.through}"
        elif one.read.since > since:
            yield f"{name} begins on {one.read.since}, after the window's first day {since}"
        elif not _sum(one.read.parts, since, through).exact:
            yield f"{name} leaves amounts open"


def _shown(one: SourceSeen, since: str, through: str, today: str) -> Mapping[str, Json]:
    """A source for the run document."""
    shown: dict[str, Json] = {"source": one.spec.source, "name": one.spec.name}
    if one.spec.reconcile_only:
        shown["reconcile_only"] = True
    read = one.read
    if read is None:
        return {**shown, "status": "missing", "usd": None, "error": one.error}
    useless = _useless(one, today)
    return {
        **shown,
        "status": "stale" if useless else ("kept" if one.kept else "fresh"),
        "usd": _usd(_sum(read.parts, since, through).low),
        "exact": _amount(one, since, through, today).exact,
        "left_out_usd": _left_out(read.parts, since, through),
        "through": read.through,
        "fetched_at": int(read.fetched_at),
        "error": one.error,
        "notes": list(read.notes),
    }


def _left_out(parts: Iterable[SpendPart], since: str, through: str) -> dict[str, Json]:
    sums: dict[str, Fraction] = {}
    for part in parts:
        if part.left_out is not None and since <= part.day <= through:
            sums[part.left_out] = sums.get(part.left_out, Fraction(0)) + (part.usd or 0)
    return {why: _usd(known) for why, known in sorted(sums.items())}


def _usd(amount: Fraction) -> str | None:
    return usd_text(Picodollars(amount.numerator * PICO_PER_USD // amount.denominator))
