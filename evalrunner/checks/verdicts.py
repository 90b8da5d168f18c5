"""Reads what a judge said. What cannot be read is an error, never a verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast

from evalrunner.checks.kinds import is_number
from evalrunner.checks.text import quoted
from evalrunner.errors import MalformedReply
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import ModelResponse

_FENCE: Final = re.compile(r"\A(```+|~~~+)[A-Za-z0-9]*\s(.*)\1\Z", re.DOTALL)
_MAX_VERDICT: Final = 100_000
_YES: Final = frozenset({"Y", "YES"})
_NO: Final = frozenset({"N", "NO"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judge decided. ``score`` is ``None`` where it gave none."""

    passed: bool
    score: float | None
    reason: str


def verdict_text(response: ModelResponse) -> str:
    """The judge's words, blanks around them dropped.

    Raises:
        MalformedReply: It was cut off, filtered or refused, or said nothing.
    """
    if not response.complete:
        raise MalformedReply(
            f"the judge's verdict is not whole (finish reason {str(response.finish_reason)[:40]!r})",
            hint="raise max_tokens of the model that judges"
            if response.finish_reason in ("length", "max_tokens")
            else None,
        )
    if response.refusal is not None:
        raise MalformedReply("the judge refused to judge")
    text = response.text.raw.strip()
    if not text:
        raise MalformedReply("the judge said nothing")
    if len(text) > _MAX_VERDICT:
        raise MalformedReply("the judge's verdict is too long to be one")
    return text


def verdict_object(response: ModelResponse) -> Mapping[str, object]:
    """The one JSON object that the judge's whole answer is; a code fence may stand around it.

    It is never looked for inside other text, where it could be a quotation of what was judged; and a
    key that stands twice makes it unreadable.

    Raises:
        MalformedReply: The answer is anything else.
    """
    text = verdict_text(response)
    fenced = _FENCE.match(text)
    try:
        found: object = json.loads(
            fenced[2] if fenced else text,
            object_pairs_hook=_unique,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError):
        raise MalformedReply(
            f"the judge's verdict is not one JSON object: {quoted(text)}"
        ) from None
    if not isinstance(found, dict):
        raise MalformedReply(f"the judge's verdict is not a JSON object: {quoted(text)}")
    return cast("dict[str, object]", found)


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_verdict(response: ModelResponse) -> Verdict:
    """The verdict ``{"reason": …, "pass": true, "score": 0.0 to 1.0}``.

    Raises:
        MalformedReply: ``pass`` is missing or no truth value, ``score`` is not a number from 0 to 1, or
            ``reason`` is not text.
    """
    found = verdict_object(response)
    passed, score, reason = found.get("pass"), found.get("score"), reason_of(found)
    if not isinstance(passed, bool):
        raise MalformedReply("the judge's verdict has no 'pass' that is true or false")
    if score is None:
        return Verdict(passed=passed, score=None, reason=reason)
    return Verdict(passed=passed, score=number_within(score, 1.0), reason=reason)


def reason_of(found: Mapping[str, object]) -> str:
    """The reason in a verdict, empty where there is none.

    Raises:
        MalformedReply: It is not text.
    """
    reason = found.get("reason")
    if reason is not None and not isinstance(reason, str):
        raise MalformedReply("the judge's reason is not text")
    return reason or ""


def number_within(number: object, most: float) -> float:
    """A score of a verdict.

    Raises:
        MalformedReply: It is not a number from 0 to ``most``.
    """
    if not is_number(number) or not 0 <= cast("float", number) <= most:
        raise MalformedReply(f"the judge's score is not a number from 0 to {most:g}")
    return float(cast("float", number))


def last_word(response: ModelResponse) -> tuple[str, str]:
    """The one word of the last line, in capitals, and what stands before it.

    Marks of emphasis, quotes, brackets and a full stop around the word are dropped; a line with more
    than the word is no verdict.

    Raises:
        MalformedReply: The last line is not one word.
    """
    before, _, last = verdict_text(response).rpartition("\n")
    word = last.strip().strip("*_`'\"().").strip().upper()
    if not word.isalpha() or not word.isascii():
        raise MalformedReply(
            f"the last line of the judge's verdict is not one word: {quoted(last.strip())}"
        )
    return word, before.strip()


def read_yes_or_no(response: ModelResponse) -> Verdict:
    """A verdict whose last line is Y or N.

    Raises:
        MalformedReply: It is neither.
    """
    word, reason = last_word(response)
    if word not in _YES | _NO:
        raise MalformedReply("the last line of the judge's verdict is neither Y nor N")
    return Verdict(passed=word in _YES, score=1.0 if word in _YES else 0.0, reason=reason)


def read_category(response: ModelResponse, categories: str) -> tuple[str, str]:
    """The letter and the reason of ``{"category": "A", "reason": …}``, or of a last line that is it.

    Raises:
        MalformedReply: It is none of the letters.
    """
    text = verdict_text(response)
    if text.startswith(("{", "```", "~~~")):
        found = verdict_object(response)
        category, reason = str(found.get("category")).strip("() ").upper(), reason_of(found)
    else:
        category, reason = last_word(response)
    if len(category) != 1 or category not in categories:
        raise MalformedReply(f"the judge's category is none of {', '.join(categories)}")
    return category, reason
