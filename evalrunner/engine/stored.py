"""The stored form of an answer: JSON bytes, read back only if every field has its own type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.exchange import Json, ModelResponse, ModelText, Usage
from evalrunner.values.money import Picodollars

T = TypeVar("T")

_USAGE_FIELDS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_encode: Final = compact_encoder(allow_nan=False)


def response_to_bytes(response: ModelResponse) -> bytes:
    """The answer as compact JSON, without the fields that say nothing."""
    usage = response.usage
    document: dict[str, Json] = {
        "text": response.text.raw,
        "finish_reason": response.finish_reason,
        "refusal": response.refusal.raw if response.refusal else None,
        "tool_calls": response.tool_calls,
        "usage": [getattr(usage, name) for name in _USAGE_FIELDS],
        "served_model": response.served_model,
        "latency_seconds": response.latency_seconds,
        "reported_usd": response.reported_usd,
        "calls": response.calls,
    }
    return _encode({key: value for key, value in document.items() if value is not None}).encode()


def response_from_bytes(body: bytes) -> ModelResponse | None:
    """The answer again, or ``None`` where the bytes are not one.

    Example:
        >>> response_from_bytes(response_to_bytes(ModelResponse(text=ModelText("hi")))).text.raw
        'hi'
        >>> response_from_bytes(b"[]") is None
        True
    """
    try:
        document = json.loads(body)
        return _response(cast("Mapping[str, Any]", document)) if type(document) is dict else None
    except (ValueError, TypeError, RecursionError):
        return None


def _response(document: Mapping[str, Any]) -> ModelResponse:
    refusal = document.get("refusal")
    return ModelResponse(
        text=ModelText(_text(document.get("text"))),
        finish_reason=_optional(document, "finish_reason", str),
        refusal=None if refusal is None else ModelText(_text(refusal)),
        tool_calls=document.get("tool_calls"),
        usage=_usage(document.get("usage", [])),
        served_model=_optional(document, "served_model", str),
        latency_seconds=float(document.get("latency_seconds", 0.0)),
        reported_usd=cast("Picodollars | None", _optional(document, "reported_usd", int)),
        calls=_optional(document, "calls", int),
    )


def _usage(numbers: object) -> Usage:
    if not isinstance(numbers, list) or len(numbers) != len(_USAGE_FIELDS):
        raise ValueError("usage")
    if not all(number is None or type(number) is int for number in numbers):
        raise ValueError("usage")
    return Usage(**dict(zip(_USAGE_FIELDS, numbers, strict=True)))


def _optional(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = document.get(name)
    if value is not None and type(value) is not kind:
        raise ValueError(name)
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("text")
    return value
