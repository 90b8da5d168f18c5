from __future__ import annotations

from decimal import Decimal

import pytest

from evalrunner.checks.registry import problems
from evalrunner.values.money import from_usd
from tests.checks.making import grade, spec_of


@pytest.mark.parametrize(("seconds", "passes"), [(0.5, True), (0.4999, True), (0.5001, False)])
def test_latency_is_in_milliseconds(seconds: float, passes: bool) -> None:
    assert grade("latency", "", threshold=500, latency_seconds=seconds).passed is passes
    assert grade("not-latency", "", threshold=500, latency_seconds=seconds).passed is not passes


@pytest.mark.parametrize(
    ("usd", "threshold", "passes"),
    [("0.001", 0.001, True), ("0.0010000001", 0.001, False), ("0", 0, True), ("0.3", 0.3, True)],
)
def test_cost_is_compared_exactly(usd: str, threshold: float, passes: bool) -> None:
    cost = from_usd(Decimal(usd))
    assert grade("cost", "", threshold=threshold, cost=cost).passed is passes
    assert grade("not-cost", "", threshold=threshold, cost=cost).passed is not passes


@pytest.mark.parametrize("name", ["latency", "not-latency", "cost", "not-cost"])
def test_the_unknown_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="unknown"):
        grade(name, "", threshold=1)


@pytest.mark.parametrize("name", ["latency", "cost"])
def test_a_threshold_is_required(name: str) -> None:
    assert "needs a threshold" in problems(spec_of(name))[0].message
