"""Short ways to make a check, a context and a judge's reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalrunner.checks.base import CheckContext, JudgeSeat
from evalrunner.checks.registry import build
from evalrunner.values.exchange import (
    CallRecord,
    ModelRequest,
    ModelResponse,
    ModelText,
    Reply,
    Tier,
)
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec, Endpoint

SEAT = JudgeSeat(
    endpoint=Endpoint(name="large", provider="openai", model="gpt-5.1", identity='"large"'),
    tier=Tier.FRONTIER,
)


def spec_of(name: str, value: Any = None, **fields: Any) -> CheckSpec:
    """The spec that the suite loader makes of a check's name and value."""
    negated = name.startswith("not-")
    return CheckSpec(type=name.removeprefix("not-"), negated=negated, value=value, **fields)


def context_of(output: str, value: Any = None, **fields: Any) -> CheckContext:
    """What the engine shows to a check."""
    known = {key: fields.pop(key) for key in _CONTEXT_FIELDS if key in fields}
    response = ModelResponse(text=ModelText(output), **fields)
    return CheckContext(
        output=output, response=response, prompt="the prompt", vars={}, value=value, **known
    )


_CONTEXT_FIELDS = ("threshold", "config", "cost", "tools", "suite", "case_id")


def grade(name: str, output: str, value: Any = None, **fields: Any) -> Score:
    """What a check in code says about an answer."""
    shared = {key: fields[key] for key in ("threshold", "config") if key in fields}
    check = build(spec_of(name, value, **shared))
    assert check.grade is not None
    return check.grade(context_of(output, value, **fields))


def reply_of(text: str, **fields: Any) -> Reply:
    """A judge's reply."""
    return Reply(
        response=ModelResponse(text=ModelText(text), **fields),
        record=CallRecord(fingerprint=Fingerprint("0" * 64), cached=False),
    )


def judged(
    name: str,
    output: str,
    value: Any,
    *replies: str | Reply,
    fields: Mapping[str, Any] | None = None,
    seat: JudgeSeat = SEAT,
) -> tuple[Score, list[ModelRequest]]:
    """What a judge's check makes of scripted replies, and what it asked."""
    spec = spec_of(name, value, **(fields or {}))
    check = build(spec)
    assert check.ask is not None
    flow = check.ask(context_of(output, value, threshold=spec.threshold, config=spec.config), seat)
    asked: list[ModelRequest] = []
    waiting = list(replies)
    try:
        request = next(flow)
        while True:
            assert isinstance(request, ModelRequest)
            asked.append(request)
            reply = waiting.pop(0)
            request = flow.send(reply if isinstance(reply, Reply) else reply_of(reply))
    except StopIteration as stop:
        assert not waiting
        score: Score = stop.value
        return score, asked
