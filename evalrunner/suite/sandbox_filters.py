"""The filters that templates may use; none of them makes much out of little."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from jinja2 import Undefined

from evalrunner.suite.template import to_text

MAX_TEXT: Final = 5_000_000
_MAX_VALUES: Final = 200_000
_MAX_INDENT: Final = 40


class LimitPassed(Exception):
    """A template asks for more work or memory than one row may cost."""


def bounded_text(value: object) -> str:
    """A value as templates write it, refused before it becomes too large."""
    if not isinstance(value, str):
        _refuse_large(value)
    return to_text(value)


def joined(parts: Sequence[object], separator: str) -> str:
    """The parts as one text of bounded length."""
    texts = [bounded_text(_defined(part)) for part in parts]
    size = sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0)
    if size > MAX_TEXT:
        raise LimitPassed(f"a text in a template is longer than {MAX_TEXT:,} characters")
    return separator.join(texts)


def _refuse_large(value: object) -> None:
    stack, seen = [value], 0
    while stack:
        item = stack.pop()
        seen += 1
        if seen > _MAX_VALUES:
            raise LimitPassed(f"a value in a template holds more than {_MAX_VALUES:,} others")
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


def _defined(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # raises what StrictUndefined says
    return value


def _text(value: object) -> str:
    return bounded_text(_defined(value))


def _items_of(value: object) -> list[object]:
    _defined(value)
    if not isinstance(value, (list, tuple, str, Mapping)):
        raise TypeError("this filter needs a list, a mapping or text")
    return list(value)


def _join(value: object, separator: object = "") -> str:
    return joined(_items_of(value), _text(separator))


def _replace(value: object, old: object, new: object) -> str:
    text, wanted, other = _text(value), _text(old), _text(new)
    size = len(text) + text.count(wanted) * max(len(other) - len(wanted), 0)
    if size > MAX_TEXT:
        raise LimitPassed(f"a text in a template is longer than {MAX_TEXT:,} characters")
    return text.replace(wanted, other)


def _default(value: object, fallback: object = "", boolean: object = False) -> object:  # noqa: FBT002
    if isinstance(value, Undefined) or (boolean and not value):
        return fallback
    return value


def _tojson(value: object) -> str:
    _refuse_large(_defined(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _indent(value: object, width: object = 4) -> str:
    columns = width if isinstance(width, int) else 4
    if not 0 <= columns <= _MAX_INDENT:
        raise LimitPassed(f"indent goes up to {_MAX_INDENT} columns")
    lines = _text(value).split("\n")
    return joined([lines[0], *(" " * columns + line if line else line for line in lines[1:])], "\n")


def _truncate(value: object, length: int = 255, end: object = "...") -> str:
    text, tail = _text(value), _text(end)
    return text if len(text) <= length else text[: max(length - len(tail), 0)] + tail


def _length(value: object) -> int:
    return len(_items_of(value))


def _first(value: object) -> object:
    found = _items_of(value)
    if not found:
        raise ValueError("there is no first item")
    return found[0]


def _last(value: object) -> object:
    found = _items_of(value)
    if not found:
        raise ValueError("there is no last item")
    return found[-1]


def _sort(value: object, reverse: object = False) -> list[object]:  # noqa: FBT002
    try:
        return sorted(_items_of(value), key=_scalar, reverse=bool(reverse))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError("only texts, or only numbers, can be sorted") from None


def _scalar(value: object) -> object:
    if isinstance(value, (str, int, float)):
        return value
    raise TypeError


def _unique(value: object) -> list[object]:
    found = {(type(item), _scalar(item)): item for item in reversed(_items_of(value))}
    return list(reversed(found.values()))


def _pairs(value: object) -> list[object]:
    _defined(value)
    if not isinstance(value, Mapping):
        raise TypeError("items needs a mapping")
    return list(value.items())


def _number(value: object) -> int | float:
    value = _defined(value)
    if isinstance(value, str) and len(value) <= 40:
        return float(value) if "." in value or "e" in value.lower() else int(value)
    if isinstance(value, (int, float)):
        return value
    raise TypeError("this is not a number")


def _round(value: object, digits: int = 0) -> float:
    return round(float(_number(value)), max(min(int(digits), 12), 0))


FILTERS: Final[dict[str, Callable[..., object]]] = {
    "abs": lambda value: abs(_number(value)),
    "capitalize": lambda value: _text(value).capitalize(),
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": lambda value: float(_number(value)),
    "indent": _indent,
    "int": lambda value: int(_number(value)),
    "items": _pairs,
    "join": _join,
    "last": _last,
    "length": _length,
    "list": _items_of,
    "lower": lambda value: _text(value).lower(),
    "replace": _replace,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else _items_of(value)[::-1],
    "round": _round,
    "sort": _sort,
    "string": _text,
    "title": lambda value: _text(value).title(),
    "to_json": _tojson,
    "tojson": _tojson,
    "trim": lambda value: _text(value).strip(),
    "truncate": _truncate,
    "unique": _unique,
    "upper": lambda value: _text(value).upper(),
    "wordcount": lambda value: len(_text(value).split()),
}
"""By name. Each takes what a row may hold and never an object of the engine."""

TESTS: Final = frozenset(
    "boolean defined divisibleby eq equalto even false float ge gt in integer iterable le lower lt "
    "mapping ne none number odd sequence string true undefined upper == != > >= < <=".split()
)
