"""What an unquoted scalar means, and which numbers and texts can be used at all."""

from __future__ import annotations

import json
import math
import re
from typing import Final

from evalrunner.suite.tree import WrittenFloat
from evalrunner.values.exchange import Json

_LARGEST_INTEGER: Final = 2**64
_INTEGER_DIGITS: Final = 20
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)?(?:\.[0-9]+)?(?:(?<=[0-9])[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, Json]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def plain_scalar(text: str) -> Json:
    """The value of an unquoted YAML scalar, after YAML 1.2 with the numbers of JSON.

    Whatever is no word or number of those stays text: ``no``, ``012``, ``12:30:45``, ``0x1F``, dates.

    Raises:
        ValueError: It is infinite, not a number, or too large to be exact everywhere.

    Example:
        >>> [plain_scalar(text) for text in ("true", "no", "7", "012", ".5", "1e3", "12:30:45")]
        [True, 'no', 7, '012', 0.5, 1000.0, '12:30:45']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return whole_number(text)
    if _FLOAT.fullmatch(text) and text not in ("-", "."):
        return real_number(text)
    if _NOT_A_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a usable number")
    return text


def whole_number(text: str) -> int:
    """The integer that digits spell.

    Raises:
        ValueError: It does not fit 64 bits; most readers of JSON would round it silently.
    """
    if len(text) <= _INTEGER_DIGITS + 1:
        number = int(text)
        if -_LARGEST_INTEGER < number < _LARGEST_INTEGER:
            return number
    shown = text if len(text) <= 30 else f"{text[:12]}… ({len(text):,} characters)"
    raise ValueError(f"the number {shown} does not fit 64 bits; quote it to keep it as text")


def real_number(text: str) -> WrittenFloat:
    """The float that a text spells, which it keeps.

    Raises:
        ValueError: It is infinite or not a number.
    """
    number = WrittenFloat(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]!r} is not a usable number")
    return number


def refuse_constant(word: str) -> Json:
    """What a JSON parser is told to do with ``NaN``, ``Infinity`` and ``-Infinity``."""
    raise ValueError(f"{word} is not JSON")


def refuse_surrogates(value: Json) -> None:
    """Refuses text that no UTF-8 can say: half of a surrogate pair, from an escape.

    Raises:
        ValueError: There is such text somewhere in the value.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is not text") from None
