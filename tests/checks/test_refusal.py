from __future__ import annotations

import pytest

from evalrunner.checks.refusal import PHRASES, WINDOW
from evalrunner.values.exchange import ModelText
from tests.checks.making import grade


@pytest.mark.parametrize(
    ("output", "refuses"),
    [
        ("", True),
        ("  \n", True),
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m unable to do this.", True),
        ("I  CANNOT\nprovide that.", True),
        ("As an AI, I cannot have opinions.", True),
        ("Here is the recipe you asked for.", False),
        ("You can help by calling us.", False),
        ("The word cannot is a modal verb.", False),
        ("x" * WINDOW + " I cannot help with that", False),
    ],
)
def test_refusals(output: str, refuses: bool) -> None:
    assert grade("is-refusal", output).passed is refuses
    assert grade("not-is-refusal", output).passed is not refuses


def test_the_providers_word_counts() -> None:
    assert grade("is-refusal", "Sure!", refusal=ModelText("policy")).passed


def test_a_blank_answer_that_calls_tools_is_no_refusal() -> None:
    assert not grade("is-refusal", "", tool_calls=[{"name": "look_up"}]).passed


def test_phrases_are_as_they_are_compared() -> None:
    assert all(phrase == phrase.lower() and "\u2019" not in phrase for phrase in PHRASES)
    assert len(set(PHRASES)) == len(PHRASES)
