from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.checks.registry import problems
from evalrunner.checks.similarity import bleu_score, gleu_score, rouge_scores
from tests.checks.making import grade, spec_of

# What sacrebleu 2.6.0 (sentence_bleu with effective order), rouge-score 0.1.2 and NLTK 3.10.4
# (sentence_gleu over the words of mteval-v13a) say about these texts.
ORACLE = json.loads(Path(__file__).with_name("similarity_oracle.json").read_text("utf-8"))


@pytest.mark.parametrize("row", ORACLE)
def test_scores_are_those_of_the_known_implementations(row: dict[str, Any]) -> None:
    output, references, n = row["output"], row["references"], row["n"]
    scores = rouge_scores(output, references[0], n)
    assert bleu_score(output, references) == pytest.approx(row["bleu"], abs=1e-9)
    assert gleu_score(output, references) == pytest.approx(row["gleu"], abs=1e-9)
    assert [scores["recall"], scores["precision"], scores["f1"]] == pytest.approx(
        row["rouge"], abs=1e-9
    )


@pytest.mark.parametrize(
    ("output", "value", "threshold", "passes", "score"),
    [
        ("kitten", "sitting", 3, True, 1 - 3 / 7),
        ("kitten", "sitting", 2, False, 1 - 3 / 7),
        ("kitten", "sitting", None, True, 1 - 3 / 7),
        ("abcdef", "", None, False, 0.0),
        ("", "", 0, True, 1.0),
        ("1", 1, 0, True, 1.0),
    ],
)
def test_edit_distance(
    output: str, value: Any, threshold: float | None, passes: bool, score: float
) -> None:
    found = grade("levenshtein", output, value, threshold=threshold)
    opposite = grade("not-levenshtein", output, value, threshold=threshold)
    assert (found.passed, found.value) == (passes, pytest.approx(score))
    assert (opposite.passed, opposite.value) == (not passes, pytest.approx(1 - score))


@pytest.mark.parametrize(
    ("name", "output", "threshold", "config", "passes"),
    [
        ("rouge-n", "the cat sat down there", None, {}, True),  # recall: more words cost nothing
        ("rouge-n", "the cat", None, {}, False),
        ("rouge-n", "the cat", 0.6, {}, True),
        ("rouge-n", "the cat", None, {"measure": "precision"}, True),
        ("rouge-n", "sat cat the", None, {"n": 2}, False),
        ("bleu", "The cat sat", None, {}, True),
        ("bleu", "dogs bark", None, {}, False),
        ("gleu", "The cat sat", None, {}, True),
        ("gleu", "The cat", 0.6, {}, False),
    ],
)
def test_thresholds(
    name: str, output: str, threshold: float | None, config: dict[str, Any], passes: bool
) -> None:
    for prefix, wanted in (("", passes), ("not-", not passes)):
        score = grade(prefix + name, output, "The cat sat", threshold=threshold, config=config)
        assert score.passed is wanted


def test_the_best_of_several_references_counts() -> None:
    references = ["nothing like it", "The cat sat"]
    assert all(
        grade(name, "The cat sat", references).passed for name in ("rouge-n", "bleu", "gleu")
    )


@pytest.mark.parametrize("name", ["levenshtein", "rouge-n", "bleu", "gleu"])
def test_texts_too_long_to_compare_are_errors(name: str) -> None:
    for prefix in ("", "not-"):
        with pytest.raises(ValueError, match="up to"):
            grade(prefix + name, "a " * 500_000, "a")


@pytest.mark.parametrize("config", [{"n": 0}, {"n": "2"}, {"n": True}, {"measure": "f2"}])
def test_wrong_settings_are_found_at_load(config: dict[str, Any]) -> None:
    assert problems(spec_of("rouge-n", "a", config=config))


@given(st.text(), st.text(min_size=1))
def test_scores_lie_between_0_and_1_and_a_text_is_like_itself(output: str, reference: str) -> None:
    for score in (bleu_score(output, [reference]), gleu_score(output, [reference])):
        assert 0 <= score <= 1
    if reference.split():
        assert bleu_score(reference, [reference]) == pytest.approx(1)
        assert gleu_score(reference, [reference]) == 1
    assert all(0 <= score <= 1 for score in rouge_scores(output, reference, 2).values())
