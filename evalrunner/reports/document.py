"""The run document ``evalrunner.run/1``: everything that a run has to say, for programs.

The head comes first and then one case a line, so that a line can be kept, compared and replaced
without parsing the others. The text is ASCII: no byte of it can steer a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from evalrunner.reports.document_cases import case_line
from evalrunner.reports.document_inputs import inputs_json, misses_json
from evalrunner.reports.document_json import Object, encoded, finite
from evalrunner.reports.document_read import from_json
from evalrunner.reports.estimates import (
    correction_text,
    error_text,
    estimate_error,
    priced,
    remedied,
)
from evalrunner.values.money import usd_text
from evalrunner.values.result import (
    CostEstimate,
    CostRatio,
    Estimate,
    Failure,
    GateDecision,
    RunInfo,
    RunReport,
)
from evalrunner.values.spec import GateSpec, RepeatSpec
from evalrunner.values.summary import ModelTally, Tally
from evalrunner.verdict.stats import pass_rate
from evalrunner.verdict.summary import summary_of

__all__ = ["SCHEMA", "Piece", "document_of", "from_json", "head", "pieces_of", "to_json"]
SCHEMA: Final = "evalrunner.run/1"
Piece: TypeAlias = bytes | memoryview
_CASES: Final = b',"cases":['


def to_json(report: RunReport) -> bytes:
    """The whole document, ending in a newline. It never fails for what a model or a user wrote."""
    return document_of(head(report), map(case_line, report.cases))


def document_of(head_json: bytes, lines: Iterable[Piece]) -> bytes:
    """A document of its head (:func:`head`) and its case lines (:func:`case_line`)."""
    return b"".join(pieces_of(head_json, lines))


def pieces_of(head_json: bytes, lines: Iterable[Piece]) -> Iterator[Piece]:
    """The same in pieces, which need not be in memory at once."""
    yield head_json[:-1]
    yield _CASES
    before = b"\n"
    for line in lines:
        yield before
        yield line
        before = b",\n"
    yield b"\n]}\n"


def head(report: RunReport) -> bytes:
    """All of the document but the cases, as one JSON object on one line."""
    return encoded(
        {
            "schema": SCHEMA,
            "run": run_object(report.run),
            "summary": _summary(report),
            "gates": [gate_object(gate) for gate in report.gates],
            "cost_ratio": cost_ratio_object(report.cost_ratio),
            "failures": [failure_object(failure) for failure in report.failures],
            "remedies": [remedied(one) for one in report.remedies],
            "warnings": list(report.warnings),
            "misses": [misses_json(group) for group in report.misses],
            "inputs": None if report.inputs is None else inputs_json(report.inputs),
        }
    )


def run_object(run: RunInfo) -> Object:
    """Which run."""
    return {
        "id": run.id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "evalrunner": run.evalrunner,
        "git": run.git,
        "argv": list(run.argv),
        "frozen": run.frozen,
        "shard": run.shard,
        "seed": run.seed,
        "exit_code": int(run.exit_code),
        "answered_from": run.answered_from,
    }


def _summary(report: RunReport) -> Object:
    summary = summary_of(report)
    total = summary.total
    suites = dict.fromkeys([*summary.by_suite, *report.gate_specs, *report.repeats])
    return {
        **_tally(total),
        "cache": {
            **_cache(total),
            "mode": report.cache.mode,
            "signing": report.cache.signing,
            "damaged": report.cache.damaged,
            "untrusted": report.cache.untrusted,
        },
        "cost": {
            **_cost(total),
            "possibly_paid_usd": usd_text(report.possibly_paid),
            "estimate": {
                **priced(report.estimate),
                "error": error_text(estimate_error(report.estimate, total)),
            },
        },
        "by_suite": {
            name: _suite(
                summary.by_suite.get(name, Tally()),
                report.gate_specs.get(name),
                report.repeats.get(name),
                report.estimates.get(name),
            )
            for name in suites
        },
    }


def _suite(
    part: Tally, gate: GateSpec | None, repeat: RepeatSpec | None, cost: CostEstimate | None
) -> Object:
    found = _tally(part)
    if cost is not None:
        found["estimate"] = {
            **priced(cost),
            "correction": correction_text(cost),
            "error": error_text(estimate_error(cost, part)),
        }
    if gate is not None:
        found["gate"] = {
            "min_pass_rate": str(gate.min_pass_rate),
            "confidence": finite(gate.confidence),
            "max_regressions": gate.max_regressions,
            "on_inconclusive": gate.on_inconclusive,
        }
    if repeat is not None:
        found["repeat"] = {"n": repeat.n, "pass": repeat.required}
    return found


def _tally(part: Tally) -> Object:
    return {
        "cases": part.cases,
        "passed": part.passed,
        "failed": part.failed,
        "errored": part.errored,
        "skipped": part.skipped,
        "not_run": part.not_run,
        "not_run_reasons": part.not_run_reasons,
        "left_out": part.left_out,
        "pass_rate": _rate(pass_rate(part.passed, part.passed + part.failed)),
        "cache": _cache(part),
        "calls": {
            "total": part.misses,
            "proxy": part.calls_by_tier.get("proxy", 0),
            "frontier": part.calls_by_tier.get("frontier", 0),
            "by_tier": part.calls_by_tier,
            "by_model": {name: _model(model) for name, model in sorted(part.by_model.items())},
        },
        "cost": _cost(part),
    }


def _cache(part: Tally) -> Object:
    return {
        "hits": part.hits,
        "misses": part.misses - part.verified,
        "shared": part.shared,
        "hit_rate": part.hit_rate,
        "misses_by_cause": part.misses_by_cause,
        "normalized": part.normalized,
        "verified": {"asked": part.verified, "differed": part.differed},
    }


def _cost(part: Tally) -> Object:
    return {
        "incurred_usd": usd_text(part.incurred.amount),
        "nominal_usd": usd_text(part.nominal.amount),
        "avoided_usd": {
            "cache": usd_text(part.avoided_by_cache),
            "tiering": usd_text(part.tiering.amount),
            "sampling": usd_text(part.sampling.amount),
        },
        "unpriced": list(part.unpriced),
        "unmetered": list(part.unmetered),
    }


def _rate(estimate: Estimate) -> Object:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "confidence": estimate.confidence,
    }


def _model(model: ModelTally) -> Object:
    return {
        "hits": model.hits,
        "calls": model.calls,
        "input_tokens": model.input_tokens,
        "output_tokens": model.output_tokens,
        "incurred_usd": usd_text(model.incurred.amount),
        "nominal_usd": usd_text(model.nominal.amount),
        **({"normalized": model.normalized} if model.normalized else {}),
        **({"verified": model.verified, "differed": model.differed} if model.verified else {}),
        **({"unmetered": model.unmetered} if model.unmetered else {}),
    }


def gate_object(gate: GateDecision) -> Object:
    """A gate's decision, as documents show it."""
    return {
        "name": gate.name,
        "suite": gate.suite,
        "decision": gate.decision.value,
        "observed": gate.observed,
        "limit": gate.limit,
        "detail": gate.detail,
        "on_inconclusive": gate.on_inconclusive,
    }


def failure_object(failure: Failure) -> Object:
    """A reason for the exit code, as documents show it."""
    return {"code": int(failure.code), "rule": failure.rule, "message": failure.message}


def cost_ratio_object(ratio: CostRatio) -> Object:
    """The ratio's figures, as documents show them."""
    return {
        "status": ratio.status,
        "basis": ratio.basis,
        "ratio_total": ratio.ratio_total,
        "ratio_production": ratio.ratio_production,
        "projected_total": ratio.projected_total,
        "projected_production": ratio.projected_production,
        "previous_total": ratio.previous_total,
        "runs_per_month": ratio.runs_per_month,
        "phase": ratio.phase,
        "bound": ratio.bound,
        "testing_usd": usd_text(ratio.testing),
        "inference_usd": usd_text(ratio.inference),
        "window_days": ratio.window_days,
        "sources": list(ratio.sources),
        "detail": ratio.detail,
    }
