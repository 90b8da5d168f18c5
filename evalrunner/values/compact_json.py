"""JSON without blanks and in ASCII, from an encoder that is made once and not for every text."""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder as _machinery


def compact_encoder(
    *,
    sort_keys: bool = False,
    allow_nan: bool = True,
    default: Callable[[object], object] | None = None,
) -> Callable[[object], str]:
    r"""A function that writes a value as :meth:`json.JSONEncoder.encode` does.

    That method builds its machine anew for each text, which costs more than a short text does. A
    circle ends as bottomless nesting does, in ``RecursionError``.

    Example:
        >>> compact_encoder(sort_keys=True)({"b": [1, "é"], "a": None})
        '{"a":null,"b":[1,"\\u00e9"]}'
    """
    plain = json.JSONEncoder(
        separators=(",", ":"),
        sort_keys=sort_keys,
        allow_nan=allow_nan,
        check_circular=False,
        default=default,
    )
    make = getattr(_machinery, "c_make_encoder", None)
    if make is None:  # a Python without its C parts
        return plain.encode
    parts_of = make(
        None, plain.default, _machinery.encode_basestring_ascii, None, ":", ",", sort_keys, False, allow_nan
    )  # fmt: skip

    def encode(value: object) -> str:
        return "".join(parts_of(value, 0))

    return encode
