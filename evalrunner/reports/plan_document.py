"""The plan document ``evalrunner.plan/1``: what a run would do, in the words of the run document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from evalrunner.reports.document import cost_ratio_object, failure_object, gate_object, run_object
from evalrunner.reports.estimates import correction_text, priced, remedied
from evalrunner.values.exchange import Tier
from evalrunner.values.forecast import CallForecast, estimate_of
from evalrunner.values.money import usd_text
from evalrunner.values.plan import Found, Miss, PlanReport

SCHEMA: Final = "evalrunner.plan/1"

Object = dict[str, object]


def plan_to_json(plan: PlanReport) -> str:
    """The whole document in ASCII, ending in a newline."""
    return json.dumps(_document(plan), separators=(",", ":")) + "\n"


def _document(plan: PlanReport) -> Object:
    run = run_object(plan.run)
    del run["id"], run["seed"]  # of a run, which this is none of
    return {
        "schema": SCHEMA,
        "run": run,
        "summary": {
            **_sums(plan.total, plan.forecast.calls, plan.causes),
            "by_suite": {name: _suite(plan, name, found) for name, found in plan.found.items()},
        },
        "cache": {
            "mode": plan.cache.mode,
            "signing": plan.cache.signing,
            "damaged": plan.cache.damaged,
        },
        "gates": [gate_object(gate) for gate in plan.gates],
        "cost_ratio": cost_ratio_object(plan.cost_ratio),
        "failures": [failure_object(failure) for failure in plan.failures],
        "remedies": [remedied(remedy) for remedy in plan.remedies],
        "misses": [_miss(miss) for miss in plan.misses],
        "warnings": list(plan.warnings),
    }


def _suite(plan: PlanReport, name: str, found: Found) -> Object:
    calls = [call for call in plan.forecast.calls if call.suite == name]
    estimate = plan.forecast.by_suite.get(name)
    sums = _sums(found, calls, {})
    sums["correction"] = None if estimate is None else correction_text(estimate)
    return sums


def _sums(found: Found, calls: Sequence[CallForecast], causes: Mapping[str, int]) -> Object:
    """The figures of some suites. Calls are expected ones, rounded; ``maximum`` bounds them."""
    asked = _rounded(calls)
    whole = found.hits + asked
    by_tier = {
        tier: _rounded(call for call in calls if call.tier.value == tier)
        for tier in sorted({call.tier.value for call in calls})
    }
    names = sorted({call.endpoint for call in calls})
    return {
        "cases": found.cases,
        "to_ask": found.waiting,
        "cache": {
            "hits": found.hits,
            "misses": asked,
            "hit_rate": found.hits / whole if whole else None,
            "misses_by_cause": dict(causes),
        },
        "calls": {
            "total": asked,
            "maximum": sum(call.most_calls for call in calls),
            "proxy": by_tier.get(Tier.PROXY.value, 0),
            "frontier": by_tier.get(Tier.FRONTIER.value, 0),
            "by_tier": by_tier,
            "by_model": {
                name: _model([call for call in calls if call.endpoint == name]) for name in names
            },
        },
        "cost": {
            "avoided_usd": {"cache": usd_text(found.nominal.amount)},
            "unpriced": sorted({call.endpoint for call in calls if call.expected is None}),
            "unmetered": sorted({call.endpoint for call in calls if call.unmetered}),
            "estimate": priced(estimate_of(calls)),
        },
    }


def _model(calls: Sequence[CallForecast]) -> Object:
    return {
        "calls": _rounded(calls),
        "maximum": sum(call.most_calls for call in calls),
        "input_tokens": round(sum(call.input_tokens for call in calls)),
        "output_tokens": round(sum(call.output_tokens for call in calls)),
        **priced(estimate_of(calls)),
    }


def _miss(miss: Miss) -> Object:
    source = miss.case.source
    return {
        "id": miss.case.id,
        "suite": miss.case.suite,
        "source": {"file": source.file, "line": source.line},
        "role": miss.role,
        "tier": miss.tier,
        "model": miss.endpoint,
        "cause": miss.cause,
        **priced(miss.price),
    }


def _rounded(calls: Iterable[CallForecast]) -> int:
    return round(sum(call.calls for call in calls))
