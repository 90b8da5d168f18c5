"""The identity of a value: canonical JSON, hashed once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final, NewType, cast

from evalrunner.values.compact_json import compact_encoder

Fingerprint = NewType("Fingerprint", str)
"""64 hex digits; two values with one fingerprint are the same question."""

SCHEMA: Final = 1
"""The number of the key's form. A new number empties every cache; nothing else about a release does."""


def canonical_json(value: object) -> str:
    r"""The one JSON text of a value: keys sorted, no blanks, ASCII only.

    Equal values give equal text on every platform, Python and hash seed. ``-0.0`` becomes ``0.0``;
    ``1``, ``1.0``, ``"1"`` and ``True`` stay four different values.

    Raises:
        ValueError: A number is NaN or infinite, a mapping has a key that is not text, or a value has
            no JSON form.

    Example:
        >>> canonical_json({"b": 1.0, "a": [True, None, "é"]})
        '{"a":[true,null,"\\u00e9"],"b":1.0}'
    """
    return _encode(_plain(value))


def digest(value: object) -> Fingerprint:
    """The fingerprint of a JSON value.

    Example:
        >>> digest({"a": 1})[:12]
        '015abd7f5cc5'
    """
    return Fingerprint(sha256(canonical_json(value).encode("ascii")).hexdigest())


def fingerprint(request: object) -> Fingerprint:
    """The identity of a request: every field of its dataclass that takes part in comparison.

    The class's name and :data:`SCHEMA` are inside, so that a model and an application never share
    a key and an old key never answers a new form.
    """
    kind = type(request)
    # The canonical JSON of {"kind": …, "request": request, "schema": …}, put together from its parts,
    # most of which are plain text: that takes a third of the time.
    names = _identity_fields(kind)  # type: ignore[arg-type]  # every class can be hashed
    parts = [f'"{name}":{_text(getattr(request, name))}' for name in names]
    text = f'{{"kind":"{kind.__name__}","request":{{{",".join(parts)}}},"schema":{SCHEMA}}}'
    return Fingerprint(sha256(text.encode("ascii")).hexdigest())


def _text(value: object) -> str:
    """The canonical JSON of a part."""
    if type(value) is str:
        return _quoted(value)
    if type(value) is int:
        return str(value)
    return "null" if value is None else _encode(_plain(value))


@cache
def _identity_fields(kind: type[Any]) -> tuple[str, ...]:
    """The fields that take part in comparison, in the order of their names."""
    return tuple(sorted(field.name for field in fields(kind) if field.compare))


_encode: Final = compact_encoder(allow_nan=False, sort_keys=True)


_ATOMS: Final = frozenset({str, int, bool, type(None)})


def _plain(value: object) -> object:
    """The same value in dicts and lists, or a refusal of what JSON cannot say."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is float:
        return _plain_float(cast("float", value))
    # Most parts are atoms: passing them by halves the calls, and with them the time.
    if isinstance(value, (dict, Mapping)):  # a dict is told sooner than a Mapping
        return {
            key if type(key) is str else _refuse_key(key): (
                item if type(item) in _ATOMS else _plain(item)
            )
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _ATOMS else _plain(item) for item in value]
    if is_dataclass(kind):
        parts = ((name, getattr(value, name)) for name in _identity_fields(kind))
        return {name: part if type(part) in _ATOMS else _plain(part) for name, part in parts}
    if isinstance(value, str):  # an enum's member, above all
        return str(value)
    raise ValueError(f"{kind.__name__} has no canonical form")


def _plain_float(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} has no canonical form")
    return value + 0.0  # -0.0 becomes 0.0


def _refuse_key(key: object) -> str:
    raise ValueError(f"the key {key!r} is not text")
