"""The work that every contestant does: golden rows, prompts, and the words a right answer holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

PROMPT = "Answer in one word: {{question}}"
RUBRIC = "The answer names a code word and nothing else. The question was: {{question}}"
MODEL = "bench"
JUDGE = "judge"
IN_FLIGHT = 50


def expected(entry: int) -> str:
    """The code word of an entry: no part of the question, so that only an answer can hold it.

    Example:
        >>> expected(1)
        'w9e3779b1'
    """
    return f"w{entry * 2654435761 % 2**32:08x}"


def row(entry: int, *, wording: str = "What is") -> dict[str, str]:
    """One golden row; another ``wording`` is another question with the same right answer."""
    return {"question": f"{wording} the code word of entry {entry}?", "expected": expected(entry)}


def rows(count: int) -> list[dict[str, str]]:
    """``count`` golden rows, all different."""
    return [row(entry) for entry in range(count)]


def write_jsonl(path: Path, items: Iterable[dict[str, str]]) -> None:
    """Writes one JSON object a line."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
