"""How documents write JSON: in ASCII, on one line, whatever a model or a user made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from evalrunner.values.compact_json import compact_encoder

Object: TypeAlias = dict[str, object]


def finite(value: float | None) -> float | None:
    """The number, or ``None`` where JSON has no way to say it."""
    return value if value is None or math.isfinite(value) else None


def encoded(value: Object) -> bytes:
    """The object as JSON; never fails for what a model or a user wrote."""
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
