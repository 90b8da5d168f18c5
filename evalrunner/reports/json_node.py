"""A JSON object that somebody else wrote, read field by field; each refusal names the place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Final, NoReturn, TypeVar

from evalrunner.errors import RunDocumentError
from evalrunner.values.exchange import Json
from evalrunner.values.money import Picodollars, from_usd

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_DEPTH: Final = 200
MAX_INTEGER: Final = 2**63

E = TypeVar("E", bound=Enum)


class JsonNode:
    """One object of the document and the way to it, for messages."""

    __slots__ = ("fields", "path")

    def __init__(self, fields: Mapping[str, object], path: str) -> None:
        self.fields = fields
        self.path = path

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Ends the reading."""
        raise RunDocumentError(f"{self.path}.{key} is not {expected}", hint=_HINT)

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.fields.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        """Text; without a default it must be there."""
        value = self.fields.get(key, default)
        return value if isinstance(value, str) else self.refuse(key, "text")

    def text_or_none(self, key: str) -> str | None:
        """Text, or ``None`` where it is null or missing."""
        return self.text(key) if self.has(key) else None

    def boolean(self, key: str) -> bool:
        """True or false; missing is false."""
        value = self.fields.get(key, False)
        return value if isinstance(value, bool) else self.refuse(key, "true or false")

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number from 0; without a default it must be there."""
        value = self.fields.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_INTEGER:
            self.refuse(key, "a whole number from 0")
        return value

    def integer_or_none(self, key: str) -> int | None:
        """A whole number from 0, or ``None`` where it is null or missing."""
        return self.integer(key) if self.has(key) else None

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.fields.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(key, "a number")
        try:
            found = float(value)
        except OverflowError:
            self.refuse(key, "a usable number")
        return found if math.isfinite(found) else self.refuse(key, "a finite number")

    def number_or_none(self, key: str) -> float | None:
        """A finite number, or ``None`` where it is null or missing."""
        return self.number(key) if self.has(key) else None

    def money(self, key: str) -> Picodollars | None:
        """Dollars as a decimal string; null is unknown."""
        if not self.has(key):
            return None
        text = self.text(key)
        try:
            return from_usd(text)
        except (ValueError, ArithmeticError):
            return self.refuse(key, "a decimal string of dollars")

    def word(self, key: str, words: type[E]) -> E:
        """One of an enum's words."""
        value = self.fields.get(key)
        try:
            return words(value)
        except ValueError:
            return self.refuse(key, "one of " + ", ".join(str(word.value) for word in words))

    def json(self, key: str) -> Json:
        """Any JSON of a sane depth and finite numbers."""
        return self._json(self.fields.get(key), key, MAX_DEPTH)

    def mapping(self, key: str) -> Mapping[str, Json]:
        """An object; missing is empty."""
        return {name: self._json(item, key, MAX_DEPTH) for name, item in self._object(key).items()}

    def texts(self, key: str) -> Mapping[str, str]:
        """An object whose values are texts; missing is empty."""
        found = {name: item for name, item in self._object(key).items() if isinstance(item, str)}
        return found if len(found) == len(self._object(key)) else self.refuse(key, "texts by name")

    def counts(self, key: str) -> Mapping[str, int]:
        """An object whose values are whole numbers; missing is empty."""
        node = JsonNode(self._object(key), f"{self.path}.{key}")
        return {name: node.integer(name) for name in node.fields}

    def node(self, key: str) -> JsonNode:
        """An object; missing is empty."""
        return JsonNode(self._object(key), f"{self.path}.{key}")

    def nodes(self, key: str) -> Iterator[JsonNode]:
        """A list of objects; missing is empty."""
        for index, item in enumerate(self.items(key)):
            if not isinstance(item, dict):
                self.refuse(f"{key}[{index}]", "an object")
            yield JsonNode(item, f"{self.path}.{key}[{index}]")

    def items(self, key: str) -> Sequence[object]:
        """A list; missing is empty."""
        value = self.fields.get(key, [])
        return value if isinstance(value, list) else self.refuse(key, "a list")

    def text_items(self, key: str) -> tuple[str, ...]:
        """A list of texts; missing is empty."""
        found = tuple(item for item in self.items(key) if isinstance(item, str))
        return found if len(found) == len(self.items(key)) else self.refuse(key, "a list of texts")

    def _object(self, key: str) -> Mapping[str, object]:
        value = self.fields.get(key, {})
        return value if isinstance(value, dict) else self.refuse(key, "an object")

    def _json(self, value: object, key: str, depth: int) -> Json:
        if value is None or isinstance(value, str | bool | int):
            return value
        if depth == 0:
            self.refuse(key, f"nested less than {MAX_DEPTH} deep")
        if isinstance(value, float):
            return value if math.isfinite(value) else self.refuse(key, "made of finite numbers")
        if isinstance(value, list):
            return [self._json(item, key, depth - 1) for item in value]
        if isinstance(value, dict):
            return {name: self._json(item, key, depth - 1) for name, item in value.items()}
        return self.refuse(key, "JSON")


def parse(data: bytes, *, name: str, max_bytes: int = MAX_BYTES) -> JsonNode:
    """The object in *data*.

    Raises:
        RunDocumentError: It is too large, not UTF-8, not JSON, says NaN, or is no object.
    """
    if len(data) > max_bytes:
        raise RunDocumentError(f"{name!r} is larger than {max_bytes:,} bytes", hint=_HINT)
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RunDocumentError(f"{name!r} is not JSON: {_short(error)}", hint=_HINT) from None
    if not isinstance(value, dict):
        raise RunDocumentError(f"{name!r} is not a JSON object", hint=_HINT)
    return JsonNode(value, repr(name))


def _short(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


_HINT: Final = "give a run document that `evalrunner run -o FILE.json` wrote"
