"""What judges will ask is what they then ask."""

from __future__ import annotations

import pytest

from evalrunner.engine.judging import Foreteller, judges, later_judges
from evalrunner.engine.tokens import MESSAGE_OVERHEAD, content_bytes, max_output_tokens
from evalrunner.values.exchange import ModelRequest
from evalrunner.values.spec import CheckSpec
from tests.engine.builders import answer, by_endpoint, case, contains, drive, verdict

SAID = "an answer of some length, with ünïcode in it"
FRAME = "Grade {{output}} by {{rubric}}. Once more: {{output}}"
STEPS = '{"steps": ["look", "think twice"]}'
POINTS = '{"reason": "fine", "score": 9}'


@pytest.mark.parametrize(
    ("spec", "verdicts"),
    [
        (CheckSpec(type="llm-rubric", value="polite"), [verdict(passed=True)]),
        (CheckSpec(type="llm-rubric", value="x", rubric_prompt=FRAME), [verdict(passed=True)]),
        (CheckSpec(type="model-graded-closedqa", value="is it?"), [answer("yes\nY")]),
        (
            CheckSpec(type="factuality", value="the sun is hot"),
            [answer('{"category": "A", "reason": "r"}')],
        ),
        (CheckSpec(type="g-eval", value="kind"), [answer(STEPS), answer(POINTS)]),
        (
            CheckSpec(type="g-eval", value=["kind", "brief"]),
            [answer(STEPS), answer(POINTS), answer(STEPS), answer(POINTS)],
        ),
    ],
    ids=["rubric", "own frame", "closedqa", "factuality", "g-eval", "g-eval of two"],
)
def test_a_judge_asks_what_was_foretold(spec: CheckSpec, verdicts: list[object]) -> None:
    subject = case(spec)
    foretold = list(Foreteller().calls(subject, judges(subject.panel)))
    _, asked = drive(subject, by_endpoint({"large": [answer(SAID), *verdicts]}))  # type: ignore[dict-item]
    questions = [one for one in asked if isinstance(one, ModelRequest) and one.role == "judge"]
    assert len(foretold) == len(questions)
    steps = len("look") + len("think twice") + len("\n2. ")
    for call, question in zip(foretold, questions, strict=True):
        length = call.known + call.answers * len(SAID.encode()) + call.said * steps
        assert length == content_bytes(question)
        assert call.overhead == MESSAGE_OVERHEAD * len(question.messages)
        assert call.max_tokens == max_output_tokens(question)


def test_questions_without_an_answer_in_them_are_shared_by_rows() -> None:
    steps, points = Foreteller().calls(case(CheckSpec(type="g-eval", value="kind")), iter([0]))
    again, _ = Foreteller().calls(case(CheckSpec(type="g-eval", value="kind"), number=2), iter([0]))
    assert steps.key == again.key is not None
    assert points.key is None


def test_an_empty_rubric_is_asked_nobody() -> None:
    subject = case(CheckSpec(type="llm-rubric", value=" "))
    assert list(Foreteller().calls(subject, judges(subject.panel))) == []


def test_judges_behind_one_that_waits() -> None:
    rubrics = [CheckSpec(type="llm-rubric", value=text) for text in ("first\nof two", "second")]
    subject = case(contains("a"), *rubrics)
    _, asked = drive(
        subject, by_endpoint({"large": [answer("a"), verdict(passed=True), verdict(passed=True)]})
    )
    later = [list(later_judges(subject, one)) for one in asked[1:] if isinstance(one, ModelRequest)]
    assert later == [[2], []]
