"""What a check is: a function from a context to a score, or a flow that asks a judge for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TypeAlias

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Flow, Json, Message, ModelRequest, ModelResponse, Tier
from evalrunner.values.money import Picodollars
from evalrunner.values.result import Score
from evalrunner.values.spec import JUDGE_MAX_TOKENS, CheckClass, CheckSpec, Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Everything that a check may see.

    Attributes:
        output: The answer's text, raw.
        response: The whole answer.
        prompt: The rendered prompt.
        vars: The row's variables (and the suite's).
        value: The check's ``value``, rendered for this row.
        threshold: The check's ``threshold``.
        config: The check's ``config``.
        cost: What the answer would cost today with an empty cache; ``None`` is unknown.
        tools: The tools that the suite offered.
        suite: The suite's name.
        case_id: The case's id.
    """

    output: str
    response: ModelResponse
    prompt: str | tuple[Message, ...]
    vars: Mapping[str, Json]
    value: Json = None
    threshold: float | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    cost: Picodollars | None = None
    tools: Json = None
    suite: str = ""
    case_id: str = ""


Grade: TypeAlias = Callable[[CheckContext], Score]
"""A check in code. It raises ``ValueError`` where it cannot decide (an errored check, never a failed one)."""

Ask: TypeAlias = Callable[[CheckContext, "JudgeSeat"], Flow[Score]]
"""A judge: it asks through the seat's endpoint. An unreadable verdict raises ``MalformedReply``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSeat:
    """Who judges: the endpoint, and the tier that it counts as."""

    endpoint: Endpoint
    tier: Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check, built once for all rows. Exactly one of ``grade`` and ``ask`` is set.

    ``grade`` and ``ask`` already honour ``not-``: their score says what the user asked for.
    """

    spec: CheckSpec
    check_class: CheckClass
    grade: Grade | None = None
    ask: Ask | None = None

    @property
    def is_judge(self) -> bool:
        """Whether it needs a model."""
        return self.ask is not None


def judge_request(
    seat: JudgeSeat,
    messages: tuple[Message, ...],
    context: CheckContext,
    *,
    check: str,
    response_format: Json = None,
) -> ModelRequest:
    """The request of one judge call: the endpoint's own parameters, verdict-sized, at temperature 0.

    OpenAI's reasoning models refuse a temperature, and so are sent none.
    """
    return ModelRequest(
        model=seat.endpoint.identity,
        messages=messages,
        params={**_verdict_params(seat.endpoint), **seat.endpoint.params},
        response_format=response_format,
        endpoint=seat.endpoint.name,
        tier=seat.tier,
        role="judge",
        suite=context.suite,
        case_id=context.case_id,
        check=check,
    )


def _verdict_params(endpoint: Endpoint) -> dict[str, Json]:
    reasons = endpoint.provider == "openai" and endpoint.base_url is None
    if reasons and endpoint.model.startswith(("o1", "o3", "o4", "gpt-5")):
        return {"max_tokens": JUDGE_MAX_TOKENS}
    return {"temperature": 0, "max_tokens": JUDGE_MAX_TOKENS}
