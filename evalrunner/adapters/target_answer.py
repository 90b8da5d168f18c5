"""What an application said, as the answer that checks look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from evalrunner.errors import TargetFailed
from evalrunner.values.answer import USAGE_NAMES, Answer
from evalrunner.values.exchange import Json, Message, ModelResponse, ModelText, Usage
from evalrunner.values.money import Picodollars, from_usd

_LARGEST_COUNT = 10**9


def response_from(answered: object, *, label: str, seconds: float) -> ModelResponse:
    """The response of an application that returned a text or an :class:`Answer`.

    Raises:
        TargetFailed: It is neither, or what it reports about tokens and money is impossible.
    """
    answer = Answer(answered) if isinstance(answered, str) else answered
    if not isinstance(answer, Answer) or not _is_text(answer.output):
        raise TargetFailed(
            f"target {label!r} returned {type(answered).__name__}, not text",
            hint="return a str, or evalrunner.Answer(output, usage=…, usd=…, calls=…)",
        )
    return ModelResponse(
        text=ModelText(answer.output),
        usage=_usage(answer.usage, label),
        latency_seconds=seconds,
        reported_usd=_money(answer.usd, label),
        calls=None if answer.calls is None else _count(answer.calls, "calls", label),
    )


def answer_from_json(document: object, *, label: str) -> object:
    """An :class:`Answer` of an object with ``output`` beside ``usage``, ``usd`` and ``calls``."""
    if not isinstance(document, dict) or "output" not in document:
        return document if isinstance(document, str) else text_of(document)
    unknown = set(document) - {"output", "usage", "usd", "calls"}
    if unknown:
        raise TargetFailed(
            f"target {label!r} answered with the unknown field {min(unknown)!r}",
            hint="answer with output, usage, usd and calls, or with plain text",
        )
    return Answer(
        text_of(document["output"]),
        document.get("usage"),
        document.get("usd"),
        document.get("calls"),
    )


def text_of(value: object) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def prompt_as_json(prompt: str | tuple[Message, ...]) -> Json:
    """A prompt as an application receives it: text, or a list of ``role`` and ``content``."""
    if isinstance(prompt, str):
        return prompt
    return [{"role": message.role, "content": message.content} for message in prompt]


def _is_text(value: object) -> bool:
    return isinstance(value, str)  # the user's code may say anything


def _usage(reported: object, label: str) -> Usage:
    if reported is None:
        return Usage()
    if not isinstance(reported, Mapping) or not set(reported) <= USAGE_NAMES:
        raise TargetFailed(
            f"target {label!r} reported usage that cannot be read",
            hint=f"usage is a mapping with some of {', '.join(sorted(USAGE_NAMES))}",
        )
    counts = {name: _count(value, str(name), label) for name, value in reported.items()}
    return Usage(
        input_tokens=counts.get("input_tokens"),
        output_tokens=counts.get("output_tokens"),
        cached_input_tokens=counts.get("cached_input_tokens", 0),
        cache_write_tokens=counts.get("cache_write_tokens", 0),
        reasoning_tokens=counts.get("reasoning_tokens", 0),
    )


def _count(value: object, name: str, label: str) -> int:
    if type(value) is int and 0 <= value <= _LARGEST_COUNT:
        return value
    raise TargetFailed(f"target {label!r} reported {name} = {value!r}, which is no count")


def _money(value: object, label: str) -> Picodollars | None:
    if value is None:
        return None
    plain = str(value) if type(value) in {int, float, str, Decimal} else "?"
    try:
        amount = from_usd(plain)
    except ValueError:
        amount = Picodollars(-1)
    if amount < 0:
        raise TargetFailed(f"target {label!r} reported usd = {value!r}, which is no cost")
    return amount
