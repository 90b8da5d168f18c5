from __future__ import annotations

from typing import Any

import pytest

from evalrunner.values.exchange import ModelText
from tests.checks.making import grade

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
OPENAI = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ANTHROPIC = [{"name": "weather", "input_schema": SCHEMA}]


def call(arguments: Any, name: str = "weather") -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


GOOD = call('{"city": "Bern"}')


@pytest.mark.parametrize("tools", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    ("calls", "passes"),
    [
        ([GOOD], True),
        ([GOOD, GOOD], True),
        ([{"type": "tool_use", "name": "weather", "input": {"city": "Bern"}}], True),
        ([{"functionCall": {"name": "weather", "args": {"city": "Bern"}}}], True),
        ([call("{}")], False),
        ([call('{"city": 5}')], False),
        ([call('{"city": "Bern", "x": 1}')], False),
        ([call("not json")], False),
        ([call("[1]")], False),
        ([call("")], False),
        ([GOOD, call('{"city": "Bern"}', name="news")], False),
        ([], False),
        (None, False),
        ("weather", False),
    ],
)
def test_tools_calls(tools: Any, calls: Any, passes: bool) -> None:
    name = "is-valid-openai-tools-call"
    assert grade(name, "", tools=tools, tool_calls=calls).passed is passes
    assert grade(f"not-{name}", "", tools=tools, tool_calls=calls).passed is not passes


@pytest.mark.parametrize(
    ("output", "calls", "passes"),
    [
        ("", [GOOD], True),
        ("", [GOOD, GOOD], False),
        ("", {"name": "weather", "arguments": '{"city": "Bern"}'}, True),
        ('{"name": "weather", "arguments": {"city": "Bern"}}', None, True),
        ('{"name": "weather", "arguments": "{\\"city\\": 1}"}', None, False),
        ("Bern", None, False),
    ],
)
def test_one_function_call(output: str, calls: Any, passes: bool) -> None:
    for name in ("is-valid-function-call", "is-valid-openai-function-call"):
        assert grade(name, output, tools=OPENAI, tool_calls=calls).passed is passes


def test_what_is_wrong_is_model_text() -> None:
    reason = grade("is-valid-openai-tools-call", "", tools=OPENAI, tool_calls=[call("{}")]).reason
    assert isinstance(reason, ModelText)
    assert "city" in reason.raw


def test_without_tools_there_is_nothing_to_compare() -> None:
    for name in ("is-valid-openai-tools-call", "not-is-valid-function-call"):
        with pytest.raises(ValueError, match="offers no tools"):
            grade(name, "", tool_calls=[GOOD])


@pytest.mark.parametrize(
    ("wanted", "called", "threshold", "passes", "score"),
    [
        ("a, b", ["a", "b"], None, True, 1.0),
        ("a, b", ["b", "a", "a"], None, True, 1.0),
        (["a", "b"], ["a"], None, False, 2 / 3),
        (["a", "b"], ["a"], 0.6, True, 2 / 3),
        (["a"], ["a", "b", "c"], None, False, 0.5),
        (["a"], [], None, False, 0.0),
    ],
)
def test_f1(
    wanted: Any, called: list[str], threshold: float | None, passes: bool, score: float
) -> None:
    calls = [call("{}", name=name) for name in called]
    found = grade("tool-call-f1", "", wanted, threshold=threshold, tool_calls=calls)
    assert (found.passed, found.value) == (passes, pytest.approx(score))
    assert (
        grade("not-tool-call-f1", "", wanted, threshold=threshold, tool_calls=calls).passed
        is not passes
    )
