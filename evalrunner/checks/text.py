"""Checks that compare the answer's text with text."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import Complaint, is_number
from evalrunner.values.exchange import Json
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "safety": "content_filter",
    "refusal": "content_filter",
}
"""What providers call the four reasons ``stop``, ``length``, ``tool_calls`` and ``content_filter``."""

_MAX_QUOTED: Final = 80
_MAX_MISSING_TOLD: Final = 10

_MAX_LIST: Final = 131_072


def verdict(holds: bool, fact: str) -> Score:  # noqa: FBT001  # it is what the verdict is about
    """A score of 1 or 0 with the fact that it stands for."""
    return Score(value=1.0 if holds else 0.0, passed=holds, reason=fact)


def as_text(value: Json) -> str:
    """The text that a value is compared as: text itself, anything else as JSON writes it.

    Example:
        >>> as_text("a"), as_text(42), as_text(True)
        ('a', '42', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)


def quoted(text: str) -> str:
    """The text as a reason shows it: on one line, and not more than its beginning."""
    return repr(text) if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]!r}…"


def as_list(value: Json) -> list[str]:
    """The entries of a list, or of one text with commas; quotes keep a comma inside an entry.

    Raises:
        ValueError: There is no entry, one is empty, or the quotes cannot be read.

    Example:
        >>> as_list('red, "green, or lime", blue')
        ['red', 'green, or lime', 'blue']
    """
    if isinstance(value, str):
        if len(value) > _MAX_LIST:
            raise ValueError("the list cannot be read: it is too long")
        try:
            rows = csv.reader(value.splitlines(), skipinitialspace=True, strict=True)
            entries = [entry.strip() for row in rows for entry in row]
        except csv.Error as error:
            raise ValueError(f"the list cannot be read: {error}") from None
    elif isinstance(value, (list, tuple)):
        entries = [as_text(entry) for entry in value]
    else:
        raise ValueError(f"{value!r} is not a list")
    if not entries or not all(entries):
        raise ValueError("the list to look for is empty or has an empty entry")
    return entries


def equals(spec: CheckSpec) -> Grade:
    """The whole answer is the value; an object or list is compared deeply with the answer's JSON."""
    del spec
    return _equals


def _equals(context: CheckContext) -> Score:
    expected = context.value
    if isinstance(expected, (Mapping, list, tuple)):
        same = _equals_json(context.output, expected)
    else:
        same = context.output == as_text(expected)
    return verdict(same, "equals the value" if same else "does not equal the value")


def _equals_json(output: str, expected: Json) -> bool:
    try:
        found = json.loads(output)
    except RecursionError:
        raise ValueError("the answer's JSON is nested too deeply to be read") from None
    except ValueError:
        return False
    return same_json(found, expected)


def same_json(left: Json, right: Json) -> bool:
    """Whether two JSON values are the same: 1 is 1.0 but not ``true``, and order of keys is nothing.

    Example:
        >>> same_json({"a": [1, True]}, {"a": [1.0, True]}), same_json([1], [True])
        (True, False)
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(left[k], right[k]) for k in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same_json, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def contains(spec: CheckSpec) -> Grade:
    """The value stands somewhere in the answer."""
    del spec
    return _containing(as_needle, str)


def icontains(spec: CheckSpec) -> Grade:
    """The value stands somewhere in the answer, in whatever case."""
    del spec
    return _containing(as_needle, str.casefold)


def as_needle(value: Json) -> str:
    """The text to look for.

    Raises:
        ValueError: It is empty, as a missing variable leaves it: every answer contains that.
    """
    needle = as_text(value)
    if not needle:
        raise ValueError("the text to look for is empty")
    return needle


def _containing(needle_of: Callable[[Json], str], fold: Callable[[str], str]) -> Grade:
    def grade(context: CheckContext) -> Score:
        needle = needle_of(context.value)
        holds = fold(needle) in fold(context.output)
        return verdict(holds, f"{'contains' if holds else 'does not contain'} {quoted(needle)}")

    return grade


def contains_any(spec: CheckSpec) -> Grade:
    """At least one entry of the list stands in the answer."""
    del spec
    return _listing(str, every=False)


def icontains_any(spec: CheckSpec) -> Grade:
    """At least one entry of the list stands in the answer, in whatever case."""
    del spec
    return _listing(str.casefold, every=False)


def contains_all(spec: CheckSpec) -> Grade:
    """Every entry of the list stands in the answer."""
    del spec
    return _listing(str, every=True)


def icontains_all(spec: CheckSpec) -> Grade:
    """Every entry of the list stands in the answer, in whatever case."""
    del spec
    return _listing(str.casefold, every=True)


def _listing(fold: Callable[[str], str], *, every: bool) -> Grade:
    def grade(context: CheckContext) -> Score:
        needles, output = as_list(context.value), fold(context.output)
        missing = [needle for needle in needles if fold(needle) not in output]
        if every:
            return verdict(not missing, _missing(missing) if missing else "contains all")
        holds = len(missing) < len(needles)
        return verdict(holds, "contains one of the list" if holds else "contains none of the list")

    return grade


def _missing(needles: Sequence[str]) -> str:
    return "does not contain " + ", ".join(map(quoted, needles[:_MAX_MISSING_TOLD]))


def starts_with(spec: CheckSpec) -> Grade:
    """The answer begins with the value."""
    del spec
    return _starts_with


def _starts_with(context: CheckContext) -> Score:
    start = as_needle(context.value)
    holds = context.output.startswith(start)
    return verdict(holds, f"{'starts' if holds else 'does not start'} with {quoted(start)}")


def word_count(spec: CheckSpec) -> Grade:
    """The answer has so many words: a number, or at least ``min`` and at most ``max``."""
    del spec
    return _word_count


def _word_count(context: CheckContext) -> Score:
    low, high = word_bounds(context.value)
    count = len(context.output.split())
    holds = low <= count and (high is None or count <= high)
    wanted = str(low) if low == high else f"{low} to {'any number' if high is None else high}"
    return verdict(holds, f"{count} words, {wanted} wanted")


def word_bounds(value: Json) -> tuple[int, int | None]:
    """The least and the greatest number of words.

    Raises:
        ValueError: The value is neither a whole number nor ``{min, max}`` in this order.
    """
    if isinstance(value, Mapping):
        unknown = set(value) - {"min", "max"}
        if unknown or not value:
            raise ValueError(f"takes min and max, not {sorted(map(str, value))!r}")
        low = _whole(value.get("min", 0))
        high = _whole(value["max"]) if "max" in value else None
        if high is not None and high < low:
            raise ValueError(f"takes a max ({high}) that is not below the min ({low})")
        return low, high
    exact = _whole(value)
    return exact, exact


def _whole(value: Json) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = value.strip()
        return int(value[:18])
    if isinstance(value, (int, float)) and is_number(value) and value >= 0 and value == int(value):
        return int(value)
    raise ValueError(f"takes a whole number of words, not {value!r}")


def word_shape(value: Json) -> Complaint | None:
    """The shape of word-count's value."""
    try:
        word_bounds(value)
    except ValueError as error:
        return str(error)
    return None


def finish_reason(spec: CheckSpec) -> Grade:
    """The provider's reason for the answer's end is the value, in whatever case and dialect."""
    del spec
    return _finish_reason


def _finish_reason(context: CheckContext) -> Score:
    found = context.response.finish_reason
    if found is None:
        raise ValueError("the provider gave no finish reason")
    holds = _normal(found) == _normal(as_needle(context.value))
    return verdict(holds, f"finish reason {_normal(found)[:40]!r}")


def _normal(reason: str) -> str:
    lowered = reason.strip().lower()
    return FINISH_REASONS.get(lowered, lowered)
