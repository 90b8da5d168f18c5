from __future__ import annotations

from typing import Any

import pytest

from tests.checks.making import grade

TABLE: list[tuple[str, Any, str, bool]] = [
    # type, value, output, passes
    ("equals", "yes", "yes", True),
    ("equals", "yes", "yes ", False),
    ("equals", "yes", "Yes", False),
    ("equals", "", "", True),
    ("equals", 42, "42", True),
    ("equals", True, "true", True),
    ("equals", {"a": 1, "b": [True]}, '{"b": [true], "a": 1.0}', True),
    ("equals", {"a": True}, '{"a": 1}', False),
    ("equals", {"a": 1}, '{"a": 1, "b": 2}', False),
    ("equals", {"a": 1}, "not json", False),
    ("equals", [1, 2], "[1, 2]", True),
    ("equals", [1, 2], "[2, 1]", False),
    ("contains", "ell", "hello", True),
    ("contains", "ELL", "hello", False),
    ("contains", 4, "24h", True),
    ("contains", "x", "", False),
    ("icontains", "ELL", "hello", True),
    ("icontains", "STRASSE", "die Straße", True),
    ("contains-any", ["x", "e"], "hello", True),
    ("contains-any", ["x", "E"], "hello", False),
    ("contains-any", "x, e", "hello", True),
    ("contains-any", '"x, e", q', "hello", False),
    ("contains-any", '"o, w", q', "hello, world", True),
    ("icontains-any", ["x", "E"], "hello", True),
    ("contains-all", ["h", "o"], "hello", True),
    ("contains-all", ["h", "x"], "hello", False),
    ("contains-all", "h,o", "hello", True),
    ("contains-all", ["H", "o"], "hello", False),
    ("icontains-all", ["H", "O"], "hello", True),
    ("icontains-all", ["H", "X"], "hello", False),
    ("starts-with", "he", "hello", True),
    ("starts-with", "lo", "hello", False),
    ("starts-with", "He", "hello", False),
    ("word-count", 2, "two  words\n", True),
    ("word-count", 3, "two words", False),
    ("word-count", "2", "two words", True),
    ("word-count", 0, "  ", True),
    ("word-count", {"min": 1, "max": 2}, "two words", True),
    ("word-count", {"min": 3}, "two words", False),
    ("word-count", {"max": 1}, "two words", False),
    ("word-count", {"max": 2}, "", True),
]


@pytest.mark.parametrize(("name", "value", "output", "passes"), TABLE)
def test_a_check_and_its_opposite(name: str, value: Any, output: str, passes: bool) -> None:
    straight, inverted = grade(name, output, value), grade(f"not-{name}", output, value)
    assert (straight.passed, straight.value) == (passes, float(passes))
    assert (inverted.passed, inverted.value) == (not passes, float(not passes))
    assert straight.reason == inverted.reason, "a reason tells the fact, whichever way it counts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contains", ""),
        ("icontains", ""),
        ("starts-with", ""),
        ("contains-any", ["a", ""]),
        ("contains-all", "{{missing}}"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "not-"])
def test_what_looks_for_nothing_is_an_error_either_way(name: str, value: Any, prefix: str) -> None:
    from evalrunner.checks.registry import build
    from tests.checks.making import context_of, spec_of

    check = build(spec_of(prefix + name, value))
    assert check.grade is not None
    rendered = "" if value == "{{missing}}" else value
    with pytest.raises(ValueError, match="empty"):
        check.grade(context_of("hello", rendered))


@pytest.mark.parametrize(
    ("found", "value", "passes"),
    [
        ("stop", "stop", True),
        ("stop", "STOP", True),
        ("end_turn", "stop", True),
        ("max_tokens", "length", True),
        ("length", "stop", False),
        ("tool_use", "tool_calls", True),
    ],
)
def test_finish_reasons_in_every_dialect(found: str, value: str, passes: bool) -> None:
    assert grade("finish-reason", "", value, finish_reason=found).passed is passes
    assert grade("not-finish-reason", "", value, finish_reason=found).passed is not passes


@pytest.mark.parametrize("name", ["finish-reason", "not-finish-reason"])
def test_an_unknown_finish_reason_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no finish reason"):
        grade(name, "", "stop")


def test_a_reason_quotes_no_more_than_a_line() -> None:
    assert grade("contains", "x", "a\nb").reason == "does not contain 'a\\nb'"
    huge = "a" * 1_000_000
    for name, value in (("contains", huge), ("starts-with", huge), ("contains-all", [huge])):
        assert len(str(grade(name, "x", value).reason)) < 200


@pytest.mark.parametrize("value", ['"never closed', "a" * 1_000_000])
def test_a_list_that_cannot_be_read_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        grade("contains-any", "x", value)
