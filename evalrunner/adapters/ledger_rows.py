"""The tables of a ledger's file, and its rows as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from evalrunner.engine.ledger_json import storable, whole
from evalrunner.engine.ports import Attempt, LedgerEntry, Origin, RunRow, Settlement
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.fingerprint import Fingerprint

ADD_ATTEMPT: Final = f"INSERT INTO attempts VALUES ({','.join('?' * 16)})"
ADD_SETTLEMENT: Final = f"INSERT INTO settlements VALUES ({','.join('?' * 14)})"
ATTEMPT_COLUMNS: Final = (
    "a.id, a.at, a.suite, a.case_id, a.checked, a.role, a.tier, a.provider, a.model, a.endpoint,"
    " a.fingerprint, a.worst_case, a.price_source, a.processing"
)
RUN_COLUMNS: Final = (
    "run_id, at, tags, suite, cases, passed, calls, incurred, nominal, hits, expected, maximum,"
    " models, correction"
)
SETTLEMENT_COLUMNS: Final = (
    "s.at, s.status, s.input_tokens, s.output_tokens, s.cached_input_tokens, s.cache_write_tokens,"
    " s.reasoning_tokens, s.cost, s.served_model, s.latency_seconds, s.error,"
    " s.calls, s.metered"
)


def attempt_row(number: int, attempt: Attempt, run_id: str) -> tuple[object, ...]:
    """The columns of an attempt; the first is its number in the file."""
    return (
        number,
        attempt.id,
        run_id,
        attempt.at,
        attempt.suite,
        storable(attempt.case_id),
        attempt.check,
        attempt.role,
        attempt.tier.value,  # a plain text: what is none costs sqlite3 5 µs to adapt
        attempt.provider,
        attempt.model,
        attempt.endpoint,
        attempt.fingerprint,
        attempt.worst_case,
        attempt.price_source,
        attempt.processing,
    )


def settlement_row(number: int, settlement: Settlement) -> tuple[object, ...]:
    """The columns of a settlement of the attempt with that number.

    What a provider sent is data: a count or a text that the file cannot hold never keeps the
    settlement from being recorded.
    """
    usage = settlement.usage
    return (
        number,
        settlement.at,
        settlement.status,
        whole(usage.input_tokens),
        whole(usage.output_tokens),
        whole(usage.cached_input_tokens) or 0,
        whole(usage.cache_write_tokens) or 0,
        whole(usage.reasoning_tokens) or 0,
        settlement.cost,
        storable(settlement.served_model),
        settlement.latency_seconds,
        storable(settlement.error),
        whole(settlement.calls),
        settlement.metered,
    )


def run_row(row: RunRow) -> tuple[object, ...]:
    """The columns of a run's row of one suite, in the order of ``ADD_RUN``."""
    counted = (row.cases, row.passed, row.calls, row.incurred, row.nominal, row.hits)
    models = json.dumps({name: dict(asked) for name, asked in row.models.items()})
    estimate = (row.expected, row.maximum, models, row.correction)
    return (row.run_id, row.at, tags_text(row.tags), row.suite, *counted, *estimate)


def tags_text(tags: Mapping[str, str]) -> str:
    """A run's tags as a column holds them."""
    return json.dumps(dict(tags), sort_keys=True)


def entry(row: Sequence[Any]) -> LedgerEntry:
    """The run, and the columns of :data:`ATTEMPT_COLUMNS` and :data:`SETTLEMENT_COLUMNS`."""
    run_id, *row = row
    attempt = Attempt(
        id=row[0],
        at=row[1],
        suite=row[2],
        case_id=row[3],
        check=row[4],
        role=row[5],
        tier=Tier(row[6]),
        provider=row[7],
        model=row[8],
        endpoint=row[9],
        fingerprint=Fingerprint(row[10]),
        worst_case=row[11],
        price_source=row[12],
        processing=row[13],
    )
    end = _settlement(attempt.id, row[14:])
    return LedgerEntry(run_id=run_id, attempt=attempt, settlement=end)


def _settlement(attempt_id: str, row: Sequence[Any]) -> Settlement | None:
    if row[1] is None:
        return None
    usage = Usage(
        input_tokens=row[2],
        output_tokens=row[3],
        cached_input_tokens=row[4],
        cache_write_tokens=row[5],
        reasoning_tokens=row[6],
    )
    return Settlement(
        id=attempt_id,
        at=row[0],
        status=row[1],
        usage=usage,
        cost=row[7],
        served_model=row[8],
        latency_seconds=row[9],
        error=row[10],
        calls=row[11],
        metered=bool(row[12]),
    )


def read_run_row(row: Sequence[Any]) -> RunRow:
    """The columns of :data:`RUN_COLUMNS`, as a value."""
    return RunRow(
        run_id=row[0],
        at=row[1],
        tags=_texts(row[2]),
        suite=row[3],
        cases=row[4],
        passed=row[5],
        calls=row[6],
        incurred=row[7],
        nominal=row[8],
        hits=row[9],
        expected=row[10],
        maximum=row[11],
        models=json.loads(row[12]),
        correction=row[13],
    )


def read_origin_row(row: Sequence[Any]) -> Origin:
    """The columns of an origin, as a value."""
    return Origin(run_id=row[0], at=row[1], tags=_texts(row[2]))


def _texts(tags: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(tags).items()}
