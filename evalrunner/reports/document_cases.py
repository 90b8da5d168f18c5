"""The cases of a run document, one a line, so that a line can be kept and compared without being parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalrunner.reports.document_json import Object, encoded, finite
from evalrunner.reports.estimates import priced
from evalrunner.reports.safe_text import raw
from evalrunner.values.exchange import CallRecord, Message, ModelResponse, Usage
from evalrunner.values.money import usd_text
from evalrunner.values.result import CaseResult, ChargedCall, CheckResult, Subject, Unasked


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
    return encoded(line)


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
        "latency_seconds": finite(response.latency_seconds),
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
        "weight": finite(check.weight),
        "class": check.check_class,
        "outcome": check.outcome,
        "score": finite(check.score),
        "threshold": finite(check.threshold),
        "reason": raw(check.reason),
        "tier": check.tier,
        "model": check.model,
        "escalated_from": check.escalated_from,
        "confidence": finite(check.confidence),
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
