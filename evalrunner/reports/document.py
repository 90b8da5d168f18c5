"""The run document ``evalrunner.run/1``: everything that a run has to say, for programs.

The head comes first and then one case a line, so that a line can be kept, compared and replaced
without parsing the others. The text is ASCII: no byte of it can steer a terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from evalrunner.reports.document_inputs import inputs_json, misses_json
from evalrunner.reports.document_read import from_json
from evalrunner.reports.estimates import (
    correction_text,
    error_text,
    estimate_error,
    priced,
    remedied,
)
from evalrunner.reports.safe_text import raw
from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.exchange import CallRecord, Message, ModelResponse, Usage
from evalrunner.values.money import usd_text
from evalrunner.values.result import (
    CaseResult,
    ChargedCall,
    CheckResult,
    CostEstimate,
    CostRatio,
    Estimate,
    Failure,
    GateDecision,
    RunInfo,
    RunReport,
    Subject,
    Unasked,
)
from evalrunner.values.spec import GateSpec, RepeatSpec
from evalrunner.values.summary import ModelTally, Tally
from evalrunner.verdict.stats import pass_rate
from evalrunner.verdict.summary import summary_of

__all__ = ["SCHEMA", "case_line", "document_of", "from_json", "head", "to_json"]

SCHEMA: Final = "evalrunner.run/1"

Object: TypeAlias = dict[str, object]

_CASES: Final = b',"cases":['


def to_json(report: RunReport) -> bytes:
    """The whole document, ending in a newline. It never fails for what a model or a user wrote."""
    return document_of(head(report), map(case_line, report.cases))


def document_of(head_json: bytes, lines: Iterable[bytes]) -> bytes:
    """A document of its head (:func:`head`) and its case lines (:func:`case_line`)."""
    parts = [head_json[:-1], _CASES, b"\n"]
    for line in lines:
        parts += (line, b",\n")
    if len(parts) > 3:
        parts[-1] = b"\n"
    return b"".join((*parts, b"]}\n"))


def head(report: RunReport) -> bytes:
    """All of the document but the cases, as one JSON object on one line."""
    return _encoded(
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


def case_line(case: CaseResult) -> bytes:
    """One case as JSON on one line; it begins with ``id``, ``row`` and ``source``."""
    ref, subject = case.case, case.subject
    line: Object = {
        "id": ref.id,
        "row": ref.row,
        "source": {"file": ref.source.file, "line": ref.source.line},
        "description": ref.description,
        "suite": ref.suite,
        "prompt": ref.prompt,
        "target": ref.target,
        "repeat": ref.repeat,
        "tags": ref.tags,
        "rendered": _rendered(ref.rendered),
        "outcome": case.outcome,  # a text already, as every enum here is
        "reason": None if case.reason is None else raw(case.reason),
        "vars": ref.vars,
        "output": None if subject is None else subject.response.text.raw,
        "subject": None if subject is None else _case_subject(subject, case.confirmed_from),
        "checks": [_check(check) for check in case.checks],
        "calls": [_call(call) for call in case.records],
    }
    if case.price is not None:
        line["price"] = priced(case.price)
    if subject is None and case.confirmed_from is not None:
        line["confirmed_from"] = _subject_with_output(case.confirmed_from)
    if case.unasked is not None:
        line["unasked"] = _unasked(case.unasked)
    return _encoded(line)


def _unasked(question: Unasked) -> Object:
    return {
        "role": question.role,
        "tier": question.tier.value,
        "endpoint": question.endpoint,
        "key": question.fingerprint,
        "check": question.check,
        "miss_cause": question.miss_cause,
    }


def _rendered(rendered: str | tuple[Message, ...]) -> object:
    if isinstance(rendered, str):
        return rendered
    return [{"role": message.role, "content": message.content} for message in rendered]


def _case_subject(subject: Subject, confirmed_from: Subject | None) -> Object:
    found = _subject(subject)
    found["confirmed_from"] = (
        None if confirmed_from is None else _subject_with_output(confirmed_from)
    )
    return found


def _subject_with_output(subject: Subject) -> Object:
    return {**_subject(subject), "output": subject.response.text.raw}


def _subject(subject: Subject) -> Object:
    response = subject.response
    found: Object = {
        "tier": subject.tier,
        "model": subject.model,
        "latency_seconds": _finite(response.latency_seconds),
        "usage": _usage(response.usage),
    }
    _put_record(found, subject.record)
    _put_response(found, response)
    return found


def _put_response(found: Object, response: ModelResponse) -> None:
    """What most answers do not have stands there only where they do."""
    if response.finish_reason is not None:
        found["finish_reason"] = response.finish_reason
    if response.served_model is not None:
        found["served_model"] = response.served_model
    if response.refusal is not None:
        found["refusal"] = response.refusal.raw
    if response.tool_calls is not None:
        found["tool_calls"] = response.tool_calls
    if response.reported_usd is not None:
        found["reported_usd"] = usd_text(response.reported_usd)
    if response.calls is not None:
        found["model_calls"] = response.calls


def _put_record(found: Object, record: CallRecord) -> None:
    found["cached"] = record.cached
    found["fingerprint"] = record.fingerprint
    found["attempts"] = record.attempts
    found["incurred_usd"] = usd_text(record.incurred) if record.incurred else _zero(record.incurred)
    found["nominal_usd"] = usd_text(record.nominal) if record.nominal else _zero(record.nominal)
    if record.shared:
        found["shared"] = True
    if record.worth != record.nominal:
        found["worth_usd"] = usd_text(record.worth)
    if record.miss_cause is not None:
        found["miss_cause"] = record.miss_cause
    if record.normalized:
        found["normalized"] = True
    if record.verified is not None:
        found["verified"] = record.verified
    if record.unmetered:
        found["unmetered"] = True


def _zero(amount: int | None) -> str | None:
    return None if amount is None else "0"


def _usage(usage: Usage) -> Object:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _check(check: CheckResult) -> Object:
    found: Object = {
        "type": check.type,
        "value": check.value,
        "metric": check.metric,
        "weight": _finite(check.weight),
        "class": check.check_class,
        "outcome": check.outcome,
        "score": _finite(check.score),
        "threshold": _finite(check.threshold),
        "reason": raw(check.reason),
        "tier": check.tier,
        "model": check.model,
        "escalated_from": check.escalated_from,
        "confidence": _finite(check.confidence),
    }
    if check.record is None:
        found.update(_NO_CALL)
    else:
        _put_record(found, check.record)
    return found


_NO_CALL: Final[Mapping[str, object]] = {
    "cached": False,
    "fingerprint": None,
    "incurred_usd": "0",
    "nominal_usd": "0",
}


def _call(call: ChargedCall) -> Object:
    found: Object = {
        "tier": call.tier,
        "endpoint": call.endpoint,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
    }
    _put_record(found, call.record)
    if call.tiering != 0:
        found["avoided_tiering_usd"] = usd_text(call.tiering)
    return found


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
            "confidence": _finite(gate.confidence),
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


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _encoded(value: Object) -> bytes:
    try:
        return _encode(value).encode("ascii")
    except (ValueError, RecursionError):
        return _encode(_tame(value, 0)).encode("ascii")


def _plain(value: object) -> object:
    """A mapping or sequence of another kind, as the encoder knows it; anything else as text."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else str(value)


_encode: Final = compact_encoder(allow_nan=False, default=_plain)
_MAX_DEPTH: Final = 100


def _tame(value: object, depth: int) -> object:
    """The value without what JSON cannot say: numbers that are none, and bottomless nesting."""
    if depth > _MAX_DEPTH:
        return "nested too deeply"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _tame(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tame(item, depth + 1) for item in value]
    return value
