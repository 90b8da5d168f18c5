"""Small cases for the engine's tests, and the synchronous driver of flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evalrunner.checks.base import JudgeSeat
from evalrunner.checks.registry import build
from evalrunner.checks.tiers import LOOK_AT_TARGET, CasePlan
from evalrunner.engine.case import EvalCase, Panel, case_flow
from evalrunner.errors import ModelCallError, NotAsked
from evalrunner.values.exchange import (
    CallRecord,
    Message,
    ModelRequest,
    ModelResponse,
    ModelText,
    Reply,
    Request,
    Tier,
    Usage,
)
from evalrunner.values.fingerprint import fingerprint
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.result import CaseRef, CaseResult
from evalrunner.values.spec import CheckSpec, Endpoint

PRICE = Price(input=Picodollars(1000), output=Picodollars(2000))
USAGE = Usage(input_tokens=10, output_tokens=5)
COST = 10 * 1000 + 5 * 2000
CONFIRMED = CasePlan(subject="proxy", confirm=True)


def endpoint(name: str, **changes: object) -> Endpoint:
    fields: dict[str, object] = {"price": PRICE, "timeout_seconds": 5.0, **changes}
    return Endpoint(
        name=name, provider="openai", model=name, identity=f'{{"model":"{name}"}}', **fields
    )  # type: ignore[arg-type]


ENDPOINTS = {name: endpoint(name) for name in ("small", "large")}
JUDGE = JudgeSeat(endpoint=ENDPOINTS["large"], tier=Tier.FRONTIER)


def answer(text: str = "ok", **changes: object) -> ModelResponse:
    fields: dict[str, object] = {"finish_reason": "stop", "usage": USAGE, **changes}
    return ModelResponse(text=ModelText(text), **fields)  # type: ignore[arg-type]


def verdict(*, passed: bool) -> ModelResponse:
    return answer(
        f'{{"reason": "because", "pass": {str(passed).lower()}, "score": {float(passed)}}}'
    )


def question(text: str, name: str = "large", tier: Tier = Tier.FRONTIER) -> ModelRequest:
    return ModelRequest(
        model=ENDPOINTS[name].identity,
        messages=(Message(role="user", content=text),),
        params={"max_tokens": 20},
        endpoint=name,
        tier=tier,
        suite="s",
        case_id="s/1",
    )


def contains(value: str, **changes: object) -> CheckSpec:
    return CheckSpec(type="contains", value=value, **changes)  # type: ignore[arg-type]


def case(
    *checks: CheckSpec,
    text: str = "hi",
    number: int = 1,
    plan: CasePlan = LOOK_AT_TARGET,
    **panel: object,
) -> EvalCase:
    built = tuple(build(spec) for spec in checks)
    return EvalCase(
        ref=CaseRef(
            id=f"s/{number}",
            suite="s",
            prompt="p",
            target="frontier",
            row=number,
            repeat=0,
            rendered=text,
            vars={"question": text},
        ),
        target=question(text),
        proxy=question(text, "small", Tier.PROXY) if plan.subject == "proxy" else None,
        panel=Panel(
            checks=built,
            seats=tuple(JUDGE if check.is_judge else None for check in built),
            plan=plan,
            **panel,  # type: ignore[arg-type]
        ),
        values=tuple(spec.value for spec in checks),
    )


Answers = Callable[[Request], ModelResponse | ModelCallError | NotAsked]


def drive(case_: EvalCase, answers: Answers) -> tuple[CaseResult, list[Request]]:
    """Runs a case's flow to its end without an event loop; the result, and what was asked."""
    flow, asked = case_flow(case_), []
    request = next(flow)
    while True:
        asked.append(request)
        found = answers(request)
        try:
            if isinstance(found, ModelResponse):
                request = flow.send(reply(request, found))
            else:
                request = flow.throw(found)
        except StopIteration as stop:
            return stop.value, asked


def reply(request: Request, response: ModelResponse) -> Reply:
    key = fingerprint(request)
    return Reply(response=response, record=CallRecord(fingerprint=key, cached=False, attempts=1))


def by_endpoint(
    answers: Mapping[str, Sequence[ModelResponse | ModelCallError | NotAsked]],
) -> Answers:
    """Answers in turn, a list of them for each endpoint."""
    waiting = {name: list(found) for name, found in answers.items()}
    return lambda request: waiting[request.endpoint].pop(0)
