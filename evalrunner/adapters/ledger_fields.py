"""What a ledger's server is told and what it keeps: rows as the script takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from evalrunner.adapters.ledger_server import as_text
from evalrunner.adapters.resp_wire import Reply
from evalrunner.engine.habits import length_of
from evalrunner.engine.ledger_json import (
    STATUSES,
    entry_json,
    origin_json,
    read_entry,
    settlement_json,
)
from evalrunner.engine.ports import Attempt, LedgerDay, LedgerEntry, Origin, Settlement, Usual
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import utc_day
from evalrunner.values.money import Picodollars

MOST_PICODOLLARS: Final = 10**17
"""The most that one call may cost, so that sums of millions of them fit a server's integers."""


_DEAREST_USUAL: Final = 10**14  # dollars by the hundred: halved in Lua's floats, sums stay integers


def attempt_fields(attempt: Attempt, run_id: str) -> dict[str, object]:
    """What the script needs to know of an attempt, and the row that it keeps.

    Raises:
        LedgerError: Its worst case is no amount that a server can add up.
    """
    worst = attempt.worst_case
    if worst is not None and (type(worst) is not int or not 0 <= worst < MOST_PICODOLLARS):
        raise LedgerError(f"the attempt {attempt.id!r} cannot cost {worst}")
    day = utc_day(attempt.at)
    fields: dict[str, object] = {
        "run": run_id,
        "suite": attempt.suite,
        "endpoint": attempt.endpoint,
        "role": attempt.role,
        "day": day,
        "worst": amount_text(worst),
    }
    row = {**fields, "row": entry_json(LedgerEntry(run_id=run_id, attempt=attempt))}
    fields |= {"id": attempt.id, "number": str(int(attempt.at // 86400)), "row": json.dumps(row)}
    return fields


def end_fields(end: Settlement) -> dict[str, object]:
    """What the script needs to know of an end, and the row that it keeps.

    Raises:
        LedgerError: Its status or its cost is impossible.
    """
    if end.status not in STATUSES:
        raise LedgerError(f"{end.status!r} is no end of an attempt")
    if end.cost is not None and not 0 <= end.cost < MOST_PICODOLLARS:
        raise LedgerError(f"the attempt {end.id!r} cannot have cost {end.cost}")
    length = length_of(end)
    usable = length is not None and (end.cost or 0) <= _DEAREST_USUAL
    return {
        "id": end.id,
        "status": end.status,
        "cost": amount_text(end.cost),
        "metered": end.metered,
        "length": [str(figure) for figure in length] if length and usable else [],
        "row": json.dumps(settlement_json(end)),
    }


def origin_fields(origin: Origin) -> dict[str, object]:
    """Where a run came from, as the script takes it."""
    row = json.dumps(origin_json(origin))
    return {"run": origin.run_id, "at": repr(origin.at), "row": row}


def amount_text(amount: int | None) -> str:
    """Picodollars as the script adds them up; unknown ones are empty."""
    return "" if amount is None else str(amount)


def ledger_day(name: str, sums: Mapping[str, int], runs: int) -> LedgerDay:
    """The sums of a day, as a value."""
    return LedgerDay(
        day=name,
        settled=Picodollars(sums["spent"]),
        possibly_paid=Picodollars(sums["held"] - sums["spent"]),
        unpriced_calls=sums["open_unknown"] + sums["spent_unknown"],
        unmetered_calls=sums["unmetered"],
        calls=sums["calls"],
        runs=runs,
    )


def kept_entry(row: Reply, end: Reply) -> LedgerEntry:
    """An attempt and its end, as the server keeps them."""
    try:
        fields = json.loads(as_text(row))["row"]
        if end is not None:
            fields["end"] = json.loads(as_text(end))
    except (ValueError, TypeError, LookupError):
        raise LedgerError("the ledger's server holds a row that is none of ours") from None
    return read_entry(fields)


def kept_usual(suite: str, sums: Mapping[str, str]) -> dict[tuple[str, str, str], Usual]:
    """What calls of each kind of a suite were like, as the script adds it up."""
    kinds = [name[:-1] for name, count in sums.items() if name.endswith("1") and int(count)]
    return {
        _kind(suite, kind): _usual([int(sums[f"{kind}{n}"]) for n in range(1, 6)]) for kind in kinds
    }


def _kind(suite: str, text: str) -> tuple[str, str, str]:
    endpoint, role = json.loads(text)
    return suite, endpoint, role


def _usual(sums: list[int]) -> Usual:
    count, read, made, guessed, cost = sums
    return Usual(
        count=count,
        input_tokens=read / count,
        output_tokens=made / count,
        guessed_tokens=guessed / count,
        cost=cost / count,
    )
