"""Ceilings: exactly at the limit a call fits, one picodollar above it does not."""

from __future__ import annotations

import pytest

from evalrunner.values.ceilings import Ceilings, scopes
from evalrunner.values.money import Picodollars

WHERE = scopes("r", "s", 0.0)
TEN = Picodollars(10)


@pytest.mark.parametrize(
    "ceilings", [Ceilings(run=TEN), Ceilings(suites={"s": TEN}), Ceilings(month=TEN)]
)
def test_a_limit_may_be_reached_but_not_passed(ceilings: Ceilings) -> None:
    sums = dict.fromkeys(WHERE, 7)
    assert ceilings.admit(sums, WHERE, "s", 3)
    assert not ceilings.admit(sums, WHERE, "s", 4)
    assert not ceilings.admit(sums, WHERE, "s", None)


def test_without_a_limit_everything_fits() -> None:
    assert Ceilings().admit(dict.fromkeys(WHERE, 10**18), WHERE, "s", None)
    assert Ceilings(suites={"other": Picodollars(0)}).admit({}, WHERE, "s", 5)


def test_the_lowest_of_several_limits_decides() -> None:
    ceilings = Ceilings(run=Picodollars(100), suites={"s": TEN}, month=Picodollars(100))
    assert ceilings.admit({}, WHERE, "s", 10)
    assert not ceilings.admit({}, WHERE, "s", 11)


@pytest.mark.parametrize(
    ("at", "month"),
    [
        (0.0, "1970-01"),
        (1_767_225_599.9, "2025-12"),
        (1_767_225_600.0, "2026-01"),
        (4e9, "2096-10"),
    ],
)
def test_months_are_those_of_the_calendar_in_utc(at: float, month: str) -> None:
    assert scopes("r", "s", at)[2] == f"month/{month}"
