from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evalrunner.checks.python import function_reference
from evalrunner.checks.registry import build
from evalrunner.errors import ConfigError
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import Score
from tests.checks.making import context_of, spec_of


def run(answer: Any, *, name: str = "python", threshold: float | None = None) -> Score:
    """What a function that returns (or raises) this means."""

    def function(output: str, context: dict[str, Any]) -> Any:
        assert output == "Hello"
        assert context["vars"] == {}
        assert context["prompt"] == "the prompt"
        if isinstance(answer, Exception):
            raise answer
        return answer

    check = build(
        spec_of(name, "file://checks.py", threshold=threshold), load=lambda reference: function
    )
    assert check.grade is not None
    return check.grade(context_of("Hello", "file://checks.py", threshold=threshold))


@pytest.mark.parametrize(
    ("answer", "threshold", "passes", "score"),
    [
        (True, None, True, 1),
        (False, None, False, 0),
        (0.4, None, True, 0.4),
        (0, None, False, 0),
        (0.4, 0.5, False, 0.4),
        (0.5, 0.5, True, 0.5),
        (7, 5, True, 1),
        (-2, None, False, 0),
        ({"pass": True}, None, True, 1),
        ({"pass": False, "score": 0.9}, None, False, 0.9),
        ({"pass": True, "score": 0.4}, 0.5, False, 0.4),
        ({"pass_": True, "score": 0.6}, 0.5, True, 0.6),
        ({"score": 0.6}, 0.5, True, 0.6),
        ({"score": 0.6}, None, True, 0.6),
        (Score(value=0.2, passed=True), None, True, 0.2),
    ],
)
def test_answers(answer: Any, threshold: float | None, passes: bool, score: float) -> None:
    found = run(answer, threshold=threshold)
    assert (found.passed, found.value) == (passes, pytest.approx(score))
    opposite = run(answer, name="not-python", threshold=threshold)
    assert (opposite.passed, opposite.value) == (not passes, pytest.approx(1 - score))


def test_a_reason_is_model_text_since_it_may_quote_the_answer() -> None:
    assert run({"pass": False, "reason": "rude"}).reason == ModelText("rude")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "yes",
        [True],
        {},
        {"reason": "x"},
        {"pass": "yes"},
        {"pass": True, "score": "1"},
        {"score": float("nan")},
        float("nan"),
        float("inf"),
        Score(value=2, passed=True),
        KeyError("missing"),
        RecursionError(),
        AssertionError("not polite"),
    ],
)
@pytest.mark.parametrize("name", ["python", "not-python"])
def test_what_is_no_score_is_an_error_either_way(answer: Any, name: str) -> None:
    with pytest.raises(ValueError, match="the function"):
        run(answer, name=name)


def test_an_exception_is_named() -> None:
    with pytest.raises(ValueError, match="AssertionError: not polite"):
        run(AssertionError("not polite"))


def test_an_interrupt_is_not_swallowed() -> None:
    def function(output: str, context: object) -> bool:
        raise KeyboardInterrupt

    check = build(spec_of("python", "a.py:f"), load=lambda reference: function)
    assert check.grade is not None
    with pytest.raises(KeyboardInterrupt):
        check.grade(context_of("Hello"))


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("file://checks.py", "checks.py:get_assert"),
        ("file://a/b.py:polite", "a/b.py:polite"),
        ("app.checks:polite", "app.checks:polite"),
    ],
)
def test_references(value: str, reference: str) -> None:
    asked: list[str] = []

    def load(name: str) -> Callable[..., object]:
        asked.append(name)
        return lambda output, context: True

    build(spec_of("python", value), load=load)
    assert asked == [reference]


@pytest.mark.parametrize(
    "value",
    [
        "output == 'x'",
        "import os\nreturn True",
        "checks/a.js:f",
        "a.py:f-g",
        "a.py:{{f}}",
        "",
        5,
        ":f",
    ],
)
def test_code_in_a_suite_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="put the code into a file"):
        function_reference(value)
    with pytest.raises(ConfigError):
        build(spec_of("python", value))


def test_without_a_loader_it_can_be_planned_but_not_run() -> None:
    check = build(spec_of("python", "a.py:f"))
    assert check.grade is not None
    with pytest.raises(ValueError, match="not loaded"):
        check.grade(context_of("Hello"))
