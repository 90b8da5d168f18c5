"""The JSON Schema of the run document, for editors and other programs."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from evalrunner.values.exchange import Tier
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import Decision, Outcome
from evalrunner.values.spec import CheckClass

Schema: TypeAlias = dict[str, object]

_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": "number"}
_NUMBER_OR_NULL: Final[Schema] = {"type": ["number", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_RATE_OR_NULL: Final[Schema] = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_FLAG: Final[Schema] = {"type": "boolean"}
_MONEY: Final[Schema] = {
    "description": "Dollars as an exact decimal string; null is unknown.",
    "type": ["string", "null"],
    "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
}


def schema_run() -> Schema:
    """The schema of ``evalrunner.run/1`` (JSON Schema 2020-12). Further fields may appear."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evalrunner run document",
        **_object(
            schema={"const": "evalrunner.run/1"},
            run=_run(),
            summary=_summary(),
            gates=_list(_gate()),
            cost_ratio=_cost_ratio(),
            failures=_list(
                _object(code={"enum": [int(code) for code in ExitCode]}, rule=_TEXT, message=_TEXT)
            ),
            remedies=_list(_remedy()),
            warnings=_list(_TEXT),
            misses=_list(_object(cause=_TEXT, count=_COUNT, where=_TEXT, since=_TEXT_OR_NULL)),
            inputs={"type": ["object", "null"]},
            cases=_list(_case()),
        ),
    }


def schema_plan() -> Schema:
    """The schema of ``evalrunner.plan/1`` (JSON Schema 2020-12). Further fields may appear."""
    run = _run()
    for name in ("id", "seed"):
        run["properties"].pop(name)  # type: ignore[attr-defined]  # made by _object
        run["required"].remove(name)  # type: ignore[attr-defined]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evalrunner plan document",
        **_object(
            schema={"const": "evalrunner.plan/1"},
            run=run,
            summary=_planned(by_suite=_by_name(_planned(correction=_TEXT_OR_NULL))),
            cache=_object(mode=_TEXT, signing=_TEXT, damaged=_COUNT),
            gates=_list(_gate()),
            cost_ratio=_cost_ratio(),
            failures=_list(
                _object(code={"enum": [int(code) for code in ExitCode]}, rule=_TEXT, message=_TEXT)
            ),
            remedies=_list(_remedy()),
            misses=_list(_miss()),
            warnings=_list(_TEXT),
        ),
    }


def _planned(**more: Schema) -> Schema:
    model = _object(
        calls=_COUNT,
        maximum=_COUNT,
        input_tokens=_COUNT,
        output_tokens=_COUNT,
        expected_usd=_MONEY,
        maximum_usd=_MONEY,
    )
    return _object(
        cases=_COUNT,
        to_ask=_COUNT,
        cache=_object(
            hits=_COUNT,
            misses=_COUNT,
            hit_rate=_RATE_OR_NULL,
            misses_by_cause=_by_name(_COUNT),
        ),
        calls=_object(
            total=_COUNT,
            maximum=_COUNT,
            proxy=_COUNT,
            frontier=_COUNT,
            by_tier=_by_name(_COUNT),
            by_model=_by_name(model),
        ),
        cost=_object(
            avoided_usd=_object(cache=_MONEY),
            unpriced=_list(_TEXT),
            unmetered=_list(_TEXT),
            estimate=_object(expected_usd=_MONEY, maximum_usd=_MONEY),
        ),
        **more,
    )


def _miss() -> Schema:
    return _object(
        id=_TEXT,
        suite=_TEXT,
        source=_object(file=_TEXT, line=_COUNT),
        role=_TEXT,
        tier=_words(Tier),
        model=_TEXT,
        cause=_TEXT_OR_NULL,
        expected_usd=_MONEY,
        maximum_usd=_MONEY,
    )


def _remedy() -> Schema:
    return _object(action=_TEXT, expected_usd=_MONEY, saves_usd=_MONEY, enough=_FLAG)


def _run() -> Schema:
    return _object(
        id=_TEXT,
        started_at=_TEXT,
        finished_at=_TEXT,
        evalrunner=_TEXT,
        git={"type": ["object", "null"]},
        argv=_list(_TEXT),
        frozen=_FLAG,
        shard=_TEXT_OR_NULL,
        seed=_TEXT,
        exit_code={"enum": [int(code) for code in ExitCode]},
        answered_from=_TEXT_OR_NULL,
    )


def _summary() -> Schema:
    cache = {"mode": _TEXT, "signing": _TEXT, "damaged": _COUNT, "untrusted": _COUNT}
    estimate = _object(expected_usd=_MONEY, maximum_usd=_MONEY, error=_TEXT_OR_NULL)
    suite = _tally()
    optional = suite["properties"]
    assert isinstance(optional, dict)
    optional["gate"] = _object(
        min_pass_rate=_TEXT,
        confidence=_NUMBER_OR_NULL,
        max_regressions=_COUNT_OR_NULL,
        on_inconclusive={"enum": ["fail", "warn"]},
    )
    optional["estimate"] = _object(
        expected_usd=_MONEY, maximum_usd=_MONEY, correction=_TEXT_OR_NULL, error=_TEXT_OR_NULL
    )
    optional["repeat"] = _object(**{"n": _COUNT, "pass": _COUNT_OR_NULL})
    return _tally(
        cache=cache,
        cost={"possibly_paid_usd": _MONEY, "estimate": estimate},
        by_suite=_by_name(suite),
    )


def _tally(
    cache: dict[str, Schema] | None = None, cost: dict[str, Schema] | None = None, **more: Schema
) -> Schema:
    model = _object(
        hits=_COUNT,
        calls=_COUNT,
        input_tokens=_COUNT,
        output_tokens=_COUNT,
        incurred_usd=_MONEY,
        nominal_usd=_MONEY,
    )
    return _object(
        **{outcome.value: _COUNT for outcome in Outcome},
        cases=_COUNT,
        not_run_reasons=_by_name(_COUNT),
        left_out=_COUNT,
        pass_rate=_object(
            value=_RATE_OR_NULL,
            low=_RATE_OR_NULL,
            high=_RATE_OR_NULL,
            n=_COUNT,
            confidence=_NUMBER,
        ),
        cache=_object(
            hits=_COUNT,
            misses=_COUNT,
            shared=_COUNT,
            hit_rate=_RATE_OR_NULL,
            misses_by_cause=_by_name(_COUNT),
            normalized=_COUNT,
            verified=_object(asked=_COUNT, differed=_COUNT),
            **(cache or {}),
        ),
        calls=_object(
            total=_COUNT,
            proxy=_COUNT,
            frontier=_COUNT,
            by_tier=_by_name(_COUNT),
            by_model=_by_name(model),
        ),
        cost=_object(
            incurred_usd=_MONEY,
            nominal_usd=_MONEY,
            avoided_usd=_object(cache=_MONEY, tiering=_MONEY, sampling=_MONEY),
            unpriced=_list(_TEXT),
            unmetered=_list(_TEXT),
            **(cost or {}),
        ),
        **more,
    )


def _gate() -> Schema:
    return _object(
        name=_TEXT,
        suite=_TEXT_OR_NULL,
        decision=_words(Decision),
        observed=_TEXT_OR_NULL,
        limit=_TEXT_OR_NULL,
        detail=_TEXT,
        on_inconclusive={"enum": ["fail", "warn"]},
    )


def _cost_ratio() -> Schema:
    return _object(
        status={
            "enum": [
                "healthy",
                "watch",
                "warning",
                "critical",
                "insufficient_production",
                "inconclusive",
                "skipped",
            ]
        },
        basis={"enum": ["total", "production"]},
        ratio_total=_TEXT_OR_NULL,
        ratio_production=_TEXT_OR_NULL,
        projected_total=_TEXT_OR_NULL,
        projected_production=_TEXT_OR_NULL,
        previous_total=_TEXT_OR_NULL,
        runs_per_month=_TEXT_OR_NULL,
        phase=_or_null({"enum": ["preflight", "postrun", "gate"]}),
        bound={"enum": ["exact", "upper", "lower"]},
        testing_usd=_MONEY,
        inference_usd=_MONEY,
        window_days=_COUNT,
        sources=_list({"type": "object"}),
        detail=_TEXT,
    )


def _case() -> Schema:
    message = _object(role=_TEXT, content={})
    return _object(
        id=_TEXT,
        row=_COUNT,
        source=_object(file=_TEXT, line=_COUNT),
        description=_TEXT_OR_NULL,
        suite=_TEXT,
        prompt=_TEXT,
        target=_TEXT,
        repeat=_COUNT,
        tags=_by_name(_TEXT),
        rendered={"anyOf": [_TEXT, _list(message)]},
        outcome=_words(Outcome),
        reason=_TEXT_OR_NULL,
        vars={"type": "object"},
        output=_TEXT_OR_NULL,
        subject=_or_null(_subject(confirmed_from=_or_null(_subject(output=_TEXT)))),
        checks=_list(_check()),
        calls=_list(
            _object(
                tier=_words(Tier),
                endpoint=_TEXT,
                input_tokens=_COUNT,
                output_tokens=_COUNT,
                attempts=_COUNT,
                **_paid(_TEXT),
            )
        ),
    )


def _subject(**more: Schema) -> Schema:
    return _object(
        tier=_words(Tier),
        model=_TEXT,
        latency_seconds=_NUMBER_OR_NULL,
        usage=_object(
            input_tokens=_COUNT_OR_NULL,
            output_tokens=_COUNT_OR_NULL,
            cached_input_tokens=_COUNT,
            cache_write_tokens=_COUNT,
            reasoning_tokens=_COUNT,
        ),
        attempts=_COUNT,
        **_paid(_TEXT),
        **more,
    )


def _check() -> Schema:
    return _object(
        **{"class": _words(CheckClass)},
        type=_TEXT,
        value={},
        metric=_TEXT_OR_NULL,
        weight=_NUMBER_OR_NULL,
        outcome=_words(Outcome),
        score=_NUMBER_OR_NULL,
        threshold=_NUMBER_OR_NULL,
        reason=_TEXT,
        tier=_words(Tier),
        model=_TEXT_OR_NULL,
        escalated_from={"anyOf": [_words(Tier), {"type": "null"}]},
        confidence=_NUMBER_OR_NULL,
        **_paid(_TEXT_OR_NULL),
    )


def _paid(fingerprint: Schema) -> dict[str, Schema]:
    return {
        "cached": _FLAG,
        "fingerprint": fingerprint,
        "incurred_usd": _MONEY,
        "nominal_usd": _MONEY,
    }


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "required": sorted(fields), "properties": dict(fields)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _by_name(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _words(words: type[Enum]) -> Schema:
    return {"enum": [word.value for word in words]}
