from __future__ import annotations

import random
from decimal import Decimal
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.verdict.stats import beta_cdf, clopper_pearson, gate_reachable, pass_rate


@pytest.mark.parametrize(
    ("k", "n", "upper"), [(0, 58, 0.05034), (0, 59, 0.04951), (2, 100, 0.06162), (5, 300, 0.03472)]
)
def test_one_sided_upper_bounds_match_published_values(k: int, n: int, upper: float) -> None:
    assert clopper_pearson(k, n, 0.90)[1] == pytest.approx(upper, abs=5e-6)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(5, 10, 0.1870860, 0.8129140), (1, 10, 0.0025286, 0.4450161), (10, 10, 0.6915029, 1.0)],
)
def test_two_sided_ends_match_tables(k: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(k, n) == (pytest.approx(low, abs=1e-7), pytest.approx(high, abs=1e-7))


@given(n=st.integers(1, 60), p=st.floats(0.001, 0.999), data=st.data())
def test_beta_is_the_binomial_tail(n: int, p: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    tail = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert beta_cdf(p, k, n - k + 1) == pytest.approx(tail, rel=1e-9, abs=1e-12)


@given(n=st.integers(1, 5000), data=st.data(), confidence=st.sampled_from((0.8, 0.95, 0.999)))
def test_the_interval_holds_the_rate_and_mirrors(
    n: int, data: st.DataObject, confidence: float
) -> None:
    k = data.draw(st.integers(0, n))
    low, high = clopper_pearson(k, n, confidence)
    assert 0 <= low <= k / n <= high <= 1
    assert (low < k / n or k == 0) and (high > k / n or k == n)
    other_low, other_high = clopper_pearson(n - k, n, confidence)
    assert (1 - other_high, 1 - other_low) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_covers_at_least_its_confidence() -> None:
    rng = random.Random(7)
    n, p, draws = 40, 0.95, 1500
    ends = {k: clopper_pearson(k, n) for k in range(n + 1)}
    covered = 0
    for _ in range(draws):
        low, high = ends[sum(rng.random() < p for _ in range(n))]
        covered += low <= p <= high
    assert covered / draws >= 0.95


def test_nothing_observed_has_no_value() -> None:
    estimate = pass_rate(0, 0)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("k", "n", "confidence"), [(2, 1, 0.95), (-1, 3, 0.95), (1, 2, 1.0), (1, 2, float("nan"))]
)
def test_impossible_arguments_are_refused(k: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"not between 0 and 1|cannot have passed"):
        pass_rate(k, n, confidence)


@pytest.mark.parametrize(
    ("n", "limit", "reachable"),
    [
        (71, "0.95", False),
        (72, "0.95", True),
        (10**6, "1", False),
        (0, "0", False),
        (1, "0", True),
        (9, "NaN", False),
    ],
)
def test_whether_a_gate_can_be_reached(n: int, limit: str, reachable: bool) -> None:
    assert gate_reachable(n, Decimal(limit), 0.95) is reachable
