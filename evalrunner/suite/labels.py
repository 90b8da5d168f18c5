"""Words that become parts of case ids and filters. Needs the standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from evalrunner.suite.tree import WrittenFloat

MAX_LABEL: Final = 200
_FORBIDDEN: Final = re.compile(r"[/@#\x00-\x1f\x7f-\x9f\u2028\u2029]")


def checked_label(value: str) -> str:
    """The label itself.

    Raises:
        ValueError: It cannot be part of a case id, and why.
    """
    if not value.strip() or value != value.strip():
        raise ValueError("this must be text without blanks around it")
    if len(value) > MAX_LABEL:
        raise ValueError(f"this is longer than {MAX_LABEL} characters")
    found = _FORBIDDEN.search(value)
    if found:
        raise ValueError(f"{found[0]!r} may not stand here: it is part of case ids")
    return value


def label_from(text: str) -> str:
    """A label made of any text: what may not stand in one becomes ``-``.

    Example:
        >>> label_from("openai/gpt-5.1")
        'openai-gpt-5.1'
    """
    return _FORBIDDEN.sub("-", text).strip()[:MAX_LABEL].strip() or "-"


def tag_texts(value: object) -> dict[str, str]:
    """Tags as text: numbers as written, words of a list as words that are ``true``.

    Raises:
        ValueError: They are no mapping of scalars and no list of words.

    Example:
        >>> tag_texts({"team": "billing", "year": 2026}), tag_texts(["slow"])
        ({'team': 'billing', 'year': '2026'}, {'slow': 'true'})
    """
    if isinstance(value, Mapping):
        return {str(key): _scalar_text(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {_scalar_text(item): "true" for item in value}
    raise ValueError("tags must be a mapping of text, or a list of words")


def _scalar_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, WrittenFloat):
        return value.text
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError("a tag must be text")
