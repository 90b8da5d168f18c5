"""The regex check, on RE2: no pattern and no answer can make it slow."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol, cast

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import Complaint, is_templated
from evalrunner.checks.text import as_needle, verdict
from evalrunner.values.exchange import Json
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

MAX_TEXT: Final = 1_000_000
"""Characters that a pattern is run over; a longer answer is an error, not half an answer."""

MAX_PATTERN: Final = 10_000

_BEYOND_RE2: Final = ("(?=", "(?!", "(?<=", "(?<!", "(?>", "invalid escape sequence: \\1")


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """The first match anywhere, or ``None``."""
        ...


def compile_pattern(pattern: str) -> Pattern:
    """The pattern, compiled by RE2, which takes time in proportion to the text, whatever it says.

    Raises:
        ValueError: RE2 refuses it: it is broken, too large, or has look-around or back-references.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"has a pattern of more than {MAX_PATTERN} characters")
    return _compiled(pattern)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern:
    import re2  # type: ignore[import-untyped]  # 7 ms that only a regex check pays

    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr beside us
    try:
        return cast("Pattern", re2.compile(pattern, options))
    except re2.error as error:
        raise ValueError(_complaint(pattern, error)) from None
    except UnicodeEncodeError:
        raise ValueError("has a pattern with a lone surrogate, which is no character") from None


def _complaint(pattern: str, error: Exception) -> Complaint:
    told = error.args[0] if error.args else ""
    detail = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    if any(mark in detail for mark in _BEYOND_RE2):
        return (
            f"has the pattern {pattern[:80]!r} with look-around or a back-reference, which cannot be"
            " run in bounded time; use two checks (one with not-), or a python check"
        )
    return f"has a pattern that cannot be read: {detail[:120]}"


def regex(spec: CheckSpec) -> Grade:
    """The pattern is found anywhere in the answer; flags stand inside it, as in ``(?i)yes``."""
    fixed = None if is_templated(spec.value) else compile_pattern(as_needle(spec.value))

    def grade(context: CheckContext) -> Score:
        pattern = fixed or compile_pattern(as_needle(context.value))
        holds = pattern.search(searchable(context.output)) is not None
        return verdict(holds, "the pattern is found" if holds else "the pattern is not found")

    return grade


def searchable(output: str) -> str:
    """The answer as RE2 can read it: a lone surrogate, which is no character, becomes ``?``.

    Raises:
        ValueError: The answer is longer than :data:`MAX_TEXT`.
    """
    if len(output) > MAX_TEXT:
        raise ValueError(f"the answer is longer than {MAX_TEXT:,} characters")
    try:
        output.encode("utf-8")
    except UnicodeEncodeError:
        return output.encode("utf-8", "replace").decode("utf-8")
    return output


def pattern_shape(value: Json) -> Complaint | None:
    """The shape of regex's value: a pattern that RE2 takes."""
    if not isinstance(value, str):
        return f"takes a pattern, not {value!r}"
    try:
        compile_pattern(as_needle(value))
    except ValueError as error:
        return str(error)
    return None
