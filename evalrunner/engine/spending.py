"""A ledger's rows added up by any of their columns, one row after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from evalrunner.engine.ports import LedgerEntry, Settlement
from evalrunner.values.ceilings import utc_day
from evalrunner.values.exchange import Usage
from evalrunner.values.money import ZERO
from evalrunner.values.spending import SpendCell

_READ: Final[Mapping[str, Callable[[LedgerEntry], str | None]]] = {
    "day": lambda entry: utc_day(entry.attempt.at),
    "run_id": lambda entry: entry.run_id,
    "suite": lambda entry: entry.attempt.suite,
    "case_id": lambda entry: entry.attempt.case_id,
    "check": lambda entry: entry.attempt.check,
    "tier": lambda entry: entry.attempt.tier.value,
    "role": lambda entry: entry.attempt.role,
    "provider": lambda entry: entry.attempt.provider,
    "model": lambda entry: entry.attempt.model,
    "endpoint": lambda entry: entry.attempt.endpoint,
    "processing": lambda entry: entry.attempt.processing,
    "price_source": lambda entry: entry.attempt.price_source,
}
_UNKNOWN: Final = Settlement(id="", at=0.0, status="possibly_paid", usage=Usage())


def cells_of(entries: Iterable[LedgerEntry], by: Sequence[str]) -> list[SpendCell]:
    """The sums of the entries by those columns, in the order in which the keys first came."""
    cells: dict[tuple[str | None, ...], SpendCell] = {}
    columns = [_READ[name] for name in by]
    for entry in entries:
        key = tuple(read(entry) for read in columns)
        cell = cell_of(entry, key)
        cells[key] = cells[key] + cell if key in cells else cell
    return list(cells.values())


def cell_of(entry: LedgerEntry, key: tuple[str | None, ...] = ()) -> SpendCell:
    """One attempt as a sum of one."""
    end = entry.settlement or _UNKNOWN
    worst = entry.attempt.worst_case
    answered, undecided = end.status == "ok", end.status == "possibly_paid"
    costs_unknown = answered and end.cost is None
    usage = end.usage
    return SpendCell(
        key=key,
        attempts=1,
        calls=int(end.status != "error"),
        errors=int(end.status == "error"),
        open=int(undecided),
        unpriced=int(costs_unknown or (undecided and worst is None)),
        unmetered=int(answered and not end.metered),
        inner_calls=end.calls or 0,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        settled=ZERO if undecided else end.cost or ZERO,
        possibly_paid=worst or ZERO if undecided or costs_unknown else ZERO,
    )
