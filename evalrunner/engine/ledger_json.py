"""The rows of a ledger as JSON: how a server keeps them, and how ledgers are merged.

Money is a decimal string of dollars. What is read was written by others: a field that cannot be what it
should is a :class:`~evalrunner.errors.LedgerError`, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeGuard, cast

from evalrunner.engine.ports import Attempt, LedgerEntry, Origin, RunRow, Settlement
from evalrunner.errors import LedgerError
from evalrunner.values.exchange import Json, Tier, Usage
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars, from_usd, usd_text

STATUSES: Final = ("ok", "error", "possibly_paid")
_LONGEST: Final = 4000
_LARGEST: Final = 2**63
_MOST_PICODOLLARS: Final = 10**17
_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def storable(text: str | None) -> str | None:
    """The text, with lone surrogates, which have no UTF-8, spelled out."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def whole(count: object) -> int | None:
    """The count where a ledger can hold it: a whole number from 0; ``None`` for anything else."""
    return count if type(count) is int and 0 <= count < _LARGEST else None


def entry_json(entry: LedgerEntry) -> dict[str, Json]:
    """An attempt, and its end under ``end``."""
    attempt = entry.attempt
    return {
        "id": attempt.id,
        "run_id": entry.run_id,
        "at": attempt.at,
        "suite": attempt.suite,
        "case_id": storable(attempt.case_id),
        "check": attempt.check,
        "role": attempt.role,
        "tier": attempt.tier.value,
        "provider": attempt.provider,
        "model": attempt.model,
        "endpoint": attempt.endpoint,
        "fingerprint": attempt.fingerprint,
        "worst_case_usd": usd_text(attempt.worst_case),
        "price_source": attempt.price_source,
        "processing": attempt.processing,
        "end": None if entry.settlement is None else settlement_json(entry.settlement),
    }


def settlement_json(end: Settlement) -> dict[str, Json]:
    """How an attempt ended. A count that no ledger can hold is left unknown."""
    return {
        "at": end.at,
        "status": end.status,
        "cost_usd": usd_text(end.cost),
        **{name: whole(getattr(end.usage, name)) for name in _COUNTS},
        "served_model": storable(end.served_model),
        "latency_seconds": end.latency_seconds,
        "error": storable(end.error),
        "calls": whole(end.calls),
        "metered": end.metered,
    }


def run_json(row: RunRow) -> dict[str, Json]:
    """A run's part in one suite."""
    return {
        "run_id": row.run_id,
        "at": row.at,
        "suite": row.suite,
        "cases": row.cases,
        "passed": row.passed,
        "calls": row.calls,
        "hits": row.hits,
        "incurred_usd": usd_text(row.incurred),
        "nominal_usd": usd_text(row.nominal),
        "expected_usd": usd_text(row.expected),
        "maximum_usd": usd_text(row.maximum),
        "correction": row.correction,
        "models": {name: dict(asked) for name, asked in row.models.items()},
        "tags": dict(row.tags),
    }


def origin_json(origin: Origin) -> dict[str, Json]:
    """Where a run came from."""
    return {"run_id": origin.run_id, "at": origin.at, "tags": dict(origin.tags)}


def read_entry(value: object) -> LedgerEntry:
    """What :func:`entry_json` wrote.

    Raises:
        LedgerError: It is something else.
    """
    row = _Row(value)
    tier = row.text("tier")
    if tier not in set(Tier):
        raise LedgerError(f"the ledger's row has an unknown tier {tier!r}")
    attempt = Attempt(
        id=row.text("id"),
        at=row.moment("at"),
        suite=row.text("suite"),
        case_id=row.text("case_id"),
        check=row.text_or_none("check"),
        role=row.text("role"),
        tier=Tier(tier),
        provider=row.text("provider"),
        model=row.text("model"),
        endpoint=row.text("endpoint"),
        fingerprint=Fingerprint(row.text("fingerprint")),
        worst_case=row.money("worst_case_usd"),
        price_source=row.text_or_none("price_source"),
        processing=row.text("processing"),
    )
    end = row.fields.get("end")
    settlement = None if end is None else read_settlement(attempt.id, end)
    return LedgerEntry(run_id=row.text("run_id"), attempt=attempt, settlement=settlement)


def read_settlement(attempt_id: str, value: object) -> Settlement:
    """What :func:`settlement_json` wrote.

    Raises:
        LedgerError: It is something else.
    """
    row = _Row(value)
    status = row.text("status")
    if status not in STATUSES:
        raise LedgerError(f"{status!r} is no end of an attempt")
    return Settlement(
        id=attempt_id,
        at=row.moment("at"),
        status=status,
        usage=Usage(
            input_tokens=row.count_or_none("input_tokens"),
            output_tokens=row.count_or_none("output_tokens"),
            cached_input_tokens=row.count_or_none("cached_input_tokens") or 0,
            cache_write_tokens=row.count_or_none("cache_write_tokens") or 0,
            reasoning_tokens=row.count_or_none("reasoning_tokens") or 0,
        ),
        cost=row.money("cost_usd"),
        served_model=row.text_or_none("served_model"),
        latency_seconds=row.moment("latency_seconds"),
        error=row.text_or_none("error"),
        calls=row.count_or_none("calls"),
        metered=row.fields.get("metered") is not False,
    )


def read_run(value: object) -> RunRow:
    """What :func:`run_json` wrote.

    Raises:
        LedgerError: It is something else.
    """
    row = _Row(value)
    return RunRow(
        run_id=row.text("run_id"),
        at=row.moment("at"),
        suite=row.text("suite"),
        cases=row.count("cases"),
        passed=row.count("passed"),
        calls=row.count("calls"),
        hits=row.count("hits"),
        incurred=row.money("incurred_usd"),
        nominal=row.money("nominal_usd"),
        expected=row.money("expected_usd"),
        maximum=row.money("maximum_usd"),
        correction=row.count_or_none("correction"),
        models=row.models("models"),
        tags=row.texts("tags"),
    )


def read_origin(value: object) -> Origin:
    """What :func:`origin_json` wrote.

    Raises:
        LedgerError: It is something else.
    """
    row = _Row(value)
    return Origin(run_id=row.text("run_id"), at=row.moment("at"), tags=row.texts("tags"))


class _Row:
    """A JSON object, read field by field."""

    def __init__(self, value: object) -> None:
        if not _is_object(value):
            raise LedgerError("a ledger's row is no JSON object")
        self.fields = value

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise LedgerError(f"the ledger's row has no usable {name!r}")
        return storable(value) or ""

    def text_or_none(self, name: str) -> str | None:
        return None if self.fields.get(name) is None else self.text(name)

    def moment(self, name: str) -> float:
        value = self.fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**11:
            return float(value)  # no NaN is at least 0
        raise LedgerError(f"the ledger's row has no usable {name!r}")

    def count(self, name: str) -> int:
        found = whole(self.fields.get(name))
        if found is None:
            raise LedgerError(f"the ledger's row has no usable {name!r}")
        return found

    def count_or_none(self, name: str) -> int | None:
        return None if self.fields.get(name) is None else self.count(name)

    def money(self, name: str) -> Picodollars | None:
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            amount = from_usd(value) if isinstance(value, str) and len(value) < 40 else None
        except ValueError:
            amount = None
        if amount is None or not 0 <= amount <= _MOST_PICODOLLARS * 100:
            raise LedgerError(f"the ledger's row has no usable {name!r}")
        return amount

    def texts(self, name: str) -> dict[str, str]:
        value = self.fields.get(name)
        if not _is_object(value) or not all(isinstance(text, str) for text in value.values()):
            raise LedgerError(f"the ledger's row has no usable {name!r}")
        return {str(storable(key)): str(storable(str(text))) for key, text in value.items()}

    def models(self, name: str) -> dict[str, dict[str, int | None]]:
        value = self.fields.get(name)
        if not _is_object(value) or not all(_is_object(asked) for asked in value.values()):
            raise LedgerError(f"the ledger's row has no usable {name!r}")
        return {
            str(storable(model)): {
                figure: whole(count)
                for figure, count in cast("Mapping[str, object]", asked).items()
            }
            for model, asked in value.items()
        }


def _is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)
