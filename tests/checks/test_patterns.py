from __future__ import annotations

from itertools import product
from time import perf_counter

import pytest

from evalrunner.checks.patterns import MAX_TEXT
from evalrunner.checks.registry import build
from evalrunner.errors import ConfigError
from tests.checks.making import context_of, grade, spec_of

GROUPS = [
    "(a+)+",
    "(a*)*",
    "(a|aa)+",
    "(a|a?)+",
    "([a-zA-Z]+)*",
    "(.*a){20}",
    "(a+a+)+",
    "((a+)*)*",
]
ENDS = ["$", "b", "[^a]$", "\\d$", "!"]
SUBJECTS = ["a" * 40, "a" * 50_000, "a" * 20_000 + "!"]
EVIL = [(group + end, subject) for group, end, subject in product(GROUPS, ENDS, SUBJECTS)]


def test_a_hundred_evil_patterns_take_no_time() -> None:
    assert len(EVIL) >= 100
    for pattern, subject in EVIL:
        began = perf_counter()
        grade("regex", subject, pattern)
        assert perf_counter() - began < 1, (pattern, len(subject))


@pytest.mark.parametrize(
    ("pattern", "output", "passes"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("B", "abc", False),
        ("(?i)B", "abc", True),
        (r"^\d{4}-\d{2}$", "2026-11", True),
        ("é+", "caféé", True),
        (".", "\ud800", True),
        ("^$", "", True),
    ],
)
def test_found_anywhere_without_flags(pattern: str, output: str, passes: bool) -> None:
    assert grade("regex", output, pattern).passed is passes
    assert grade("not-regex", output, pattern).passed is not passes


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1", "(?>a)"])
def test_what_cannot_be_bounded_is_refused_when_built(pattern: str) -> None:
    with pytest.raises(ConfigError, match="look-around or a back-reference"):
        build(spec_of("regex", pattern))


@pytest.mark.parametrize(
    "pattern", ["(", "[", "a**", "\ud800", "((a{100}){100}){100}", "x" * 20_000]
)
def test_a_broken_pattern_is_refused_when_built(pattern: str) -> None:
    with pytest.raises(ConfigError, match="pattern"):
        build(spec_of("not-regex", pattern))


def test_a_broken_pattern_of_a_row_is_an_error_of_that_row() -> None:
    check = build(spec_of("not-regex", "{{pattern}}"))
    assert check.grade is not None
    assert check.grade(context_of("abc", "x")).passed
    with pytest.raises(ValueError, match="cannot be read"):
        check.grade(context_of("abc", "("))


def test_an_answer_beyond_the_cap_is_an_error_not_half_an_answer() -> None:
    assert grade("regex", "a" * MAX_TEXT, "a$").passed
    with pytest.raises(ValueError, match="longer than"):
        grade("regex", "a" * (MAX_TEXT + 1), "a$")
