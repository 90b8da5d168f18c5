"""What is asked and what is answered: requests, replies and the flow between them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar, final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


@final
class ModelText:
    """Text that a model, a judge or a provider wrote.

    It is not a ``str`` on purpose: to show it, a report must pass it through the sanitizer of its
    sink (:mod:`evalrunner.reports.safe_text`), and forgetting to is a type error. Code that reads it
    (a check, a serializer) takes :attr:`raw`.

    Example:
        >>> ModelText("hi").raw
        'hi'
        >>> f"{ModelText('hi')}"
        Traceback (most recent call last):
        TypeError: model text must pass a sanitizer before it is shown
    """

    __slots__ = ("raw",)

    def __init__(self, raw: str) -> None:
        self.raw: Final = raw

    def __str__(self) -> str:
        raise TypeError("model text must pass a sanitizer before it is shown")

    def __format__(self, spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"ModelText({self.raw!a})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelText) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


class Tier(StrEnum):
    """What a check or an answer costs: nothing, the cheap model, the dear one, or the application."""

    CODE = "code"
    PROXY = "proxy"
    FRONTIER = "frontier"
    TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message. ``content`` is text, or the provider's list of parts."""

    role: str
    content: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question to a model. Its fields are its cache key.

    A field that cannot change the answer says ``compare=False``, and only such a field stays out of
    the fingerprint: a forgotten field costs a miss, never a stale hit.

    Attributes:
        model: The identity of who answers, as canonical JSON (see ``Endpoint.identity``).
        messages: The rendered conversation.
        params: Sampling parameters that are sent, ``max_tokens`` always among them.
        tools: Tools offered to the model, as the provider spells them.
        response_format: The structured-output request, as the provider spells it.
        repeat: The index of this draw; 0 for judges, so that equal texts are judged once.
        endpoint: The name in ``models:`` through which the call goes.
        tier: What the call counts as in reports.
        role: ``subject`` for an answer under test, ``confirm`` for the target's answer where the
            proxy's failed, ``judge`` for a verdict.
        suite: The suite that pays.
        case_id: The case that asks.
        check: The type of the check that asks, for a judge.
    """

    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Json]
    tools: Json = None
    response_format: Json = None
    repeat: int = 0
    endpoint: str = field(compare=False)
    tier: Tier = field(compare=False, default=Tier.FRONTIER)
    role: str = field(compare=False, default="subject")
    suite: str = field(compare=False, default="")
    case_id: str = field(compare=False, default="")
    check: str | None = field(compare=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRequest:
    """One question to the user's application, identified by its code or version.

    Attributes:
        target: The identity of the application as canonical JSON: kind, address, digest or version.
        prompt: The rendered prompt: text, or the messages of a chat.
        vars: The row's variables.
        repeat: The index of this draw.
        cacheable: False where the application has no identity that a change would change.
        endpoint: The label of the target.
    """

    target: str
    prompt: str | tuple[Message, ...]
    vars: Mapping[str, Json]
    repeat: int = 0
    cacheable: bool = field(compare=False, default=True)
    endpoint: str = field(compare=False)
    tier: Tier = field(compare=False, default=Tier.TARGET)
    role: str = field(compare=False, default="subject")
    suite: str = field(compare=False, default="")
    case_id: str = field(compare=False, default="")
    check: str | None = field(compare=False, default=None)


Request: TypeAlias = ModelRequest | TargetRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them; ``None`` where it did not say.

    ``input_tokens`` includes ``cached_input_tokens`` and ``cache_write_tokens``;
    ``output_tokens`` includes ``reasoning_tokens``.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def known(self) -> bool:
        """Whether both directions were counted."""
        return self.input_tokens is not None and self.output_tokens is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponse:
    """One complete answer.

    Attributes:
        text: The message content; empty where the model only called tools.
        finish_reason: The provider's own word in lower case, or ``None``.
        refusal: The provider's structured refusal, where it sent one.
        tool_calls: The calls as the provider spelled them.
        usage: What the provider counted.
        served_model: The model id that the reply names.
        latency_seconds: How long the successful attempt took on the wire.
        reported_usd: What an application says its answer cost; ``None`` where it does not say.
        calls: How many model calls an application made for this answer, where it says.
    """

    text: ModelText
    finish_reason: str | None = None
    refusal: ModelText | None = None
    tool_calls: Json = None
    usage: Usage = Usage()
    served_model: str | None = None
    latency_seconds: float = 0.0
    reported_usd: Picodollars | None = None
    calls: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the answer may be kept: neither cut off nor filtered."""
        return self.finish_reason in COMPLETE_FINISH_REASONS


COMPLETE_FINISH_REASONS: Final = frozenset(
    {None, "stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call", "eos"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """How a request was answered and what that cost.

    Attributes:
        fingerprint: The request's identity.
        cached: Answered by the store.
        shared: Answered by another case's call of this run.
        attempts: Requests sent on the wire for it in this run.
        incurred: What this run paid, in picodollars; ``None`` is unknown.
        nominal: What it would have paid with an empty cache, at today's prices; 0 where ``shared``,
            since the first use has paid.
        worth: What this answer costs at today's prices, whoever paid for it.
        miss_cause: Why the store had no answer, where that is known.
        normalized: The kept answer is to a question that is alike but for white space.
        verified: For a call that checks a kept answer: ``agreed`` or ``differed``. It is no miss.
        unmetered: The answer of an application that does not say what it cost: its amounts are 0, and
            what was paid is more than that.
    """

    fingerprint: Fingerprint
    cached: bool
    shared: bool = False
    attempts: int = 0
    incurred: Picodollars | None = Picodollars(0)
    nominal: Picodollars | None = Picodollars(0)
    worth: Picodollars | None = Picodollars(0)
    miss_cause: str | None = None
    normalized: bool = False
    verified: str | None = None
    unmetered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a flow is sent for its request: the answer, and the account of it."""

    response: ModelResponse
    record: CallRecord


T = TypeVar("T")
Flow: TypeAlias = Generator[Request, Reply, T]
"""A computation that asks for model calls instead of making them, and returns a ``T``.

Whoever drives it sends a :class:`Reply` for each request, or throws a
:class:`~evalrunner.errors.ModelCallError` or :class:`~evalrunner.errors.NotAsked`.
"""
