"""The public names: what they are, and that each is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import evalrunner

NAMES = ["Answer", "RunReport", "Score", "__version__", "check", "load_suite", "run_suite"]


def test_the_public_names_are_these_and_sorted() -> None:
    assert evalrunner.__all__ == NAMES
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there_and_documented(name: str) -> None:
    value = getattr(evalrunner, name)
    assert isinstance(value, str) or value.__doc__


def test_they_are_listed_before_they_are_used() -> None:
    assert set(NAMES) <= set(dir(evalrunner))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'metric'"):
        _ = evalrunner.metric  # type: ignore[attr-defined]


def test_a_second_look_costs_no_import() -> None:
    first = evalrunner.Score
    assert evalrunner.__dict__["Score"] is first


def test_the_package_without_its_names_imports_nothing() -> None:
    program = "import sys; before = set(sys.modules); import evalrunner; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"__future__", "evalrunner"}
