"""Near duplicates: nothing is called similar that is not, and hardly anything is overlooked."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.suite.near_duplicates import Twin, jaccard, near_duplicates, shingles_of

WORDS = ["".join(random.Random(n).choices(string.ascii_lowercase, k=7)) for n in range(2000)]


def text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=40))


def similarity(one: str, other: str) -> float:
    return jaccard(shingles_of(one), shingles_of(other))


@given(st.lists(st.text(max_size=60), max_size=12), st.floats(0.05, 1.0))
def test_a_twin_is_as_similar_as_is_said(texts: list[str], threshold: float) -> None:
    twins = near_duplicates(texts, threshold=threshold)
    second = {twin.number for twin in twins}
    for twin in twins:
        assert twin.of < twin.number
        assert twin.of not in second
        assert twin.similarity == similarity(texts[twin.number], texts[twin.of]) >= threshold


@given(st.text(max_size=200))
def test_the_same_text_is_a_twin_whatever_it_is(same: str) -> None:
    assert near_duplicates([same, same], threshold=1.0) == [Twin(1, 0, 1.0)]


@pytest.mark.parametrize("changed", [1, 2])
def test_texts_with_a_few_other_words_are_found(changed: int) -> None:
    chance = random.Random(changed)
    originals = [text(chance) for _ in range(150)]
    changes = []
    for one in originals:
        words = one.split()
        for place in chance.sample(range(40), changed):
            words[place] = chance.choice(WORDS)
        changes.append(" ".join(words))
    expected = [similarity(a, b) >= 0.8 for a, b in zip(originals, changes, strict=True)]
    found = {
        twin.number - 150: twin.of for twin in near_duplicates(originals + changes, threshold=0.8)
    }
    assert sum(expected) > 50
    missed = [n for n, similar in enumerate(expected) if similar and found.get(n) != n]
    assert missed == []


def test_case_and_blanks_say_nothing() -> None:
    assert near_duplicates(["Hello  World", "hello world\n"], threshold=1.0)


def test_different_texts_have_no_twins() -> None:
    chance = random.Random(7)
    assert near_duplicates([text(chance) for _ in range(300)], threshold=0.5) == []


def test_a_chain_of_small_steps_makes_no_twins_of_strangers() -> None:
    words = text(random.Random(3)).split()
    chain = [" ".join(words[start : start + 20]) for start in range(20)]
    for twin in near_duplicates(chain, threshold=0.7):
        assert similarity(chain[twin.number], chain[twin.of]) >= 0.7
