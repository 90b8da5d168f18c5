from __future__ import annotations

from itertools import product
from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.verdict.compare import mcnemar
from evalrunner.verdict.paired import paired_difference, sign_flip_p, student_quantile

sums = st.lists(st.integers(-3, 3), max_size=9)


@given(sums)
def test_the_distribution_is_that_of_every_flip(changes: list[int]) -> None:
    totals = [
        sum(sign * abs(each) for sign, each in zip(signs, changes, strict=True))
        for signs in product((1, -1), repeat=len(changes))
    ]
    observed = sum(changes)
    worse, better = sign_flip_p(changes)
    assert worse == pytest.approx(sum(total <= observed for total in totals) / len(totals))
    assert better == pytest.approx(sum(total >= observed for total in totals) / len(totals))


@given(st.integers(0, 60), st.integers(0, 60))
def test_single_pairs_are_mcnemars_test(lost: int, gained: int) -> None:
    worse, better = sign_flip_p([-1] * lost + [1] * gained)
    assert min(1.0, 2 * min(worse, better)) == pytest.approx(mcnemar(lost, gained))


def test_thousands_of_changes_and_cluster_sizes_do_not_take_long() -> None:
    draw = Random(1)
    worse, better = sign_flip_p([draw.choice((-3, -2, -1, -1, 1, 2)) for _ in range(3000)])
    assert worse < 1e-6 < better


@pytest.mark.parametrize(
    ("p", "degrees", "value"),
    [
        (0.975, 1, 12.7062),
        (0.95, 5, 2.0150),
        (0.975, 30, 2.0423),
        (0.995, 120, 2.6174),
        (0.5, 7, 0),
    ],
)
def test_quantiles_of_the_printed_table(p: float, degrees: int, value: float) -> None:
    assert student_quantile(p, degrees) == pytest.approx(value, abs=2e-4)


def test_singletons_have_the_ordinary_error() -> None:
    values = [0.0, 0.2, -0.1, 0.4, 0.0]
    found = paired_difference({str(n): [value] for n, value in enumerate(values)})
    mean = sum(values) / 5
    error = sqrt(sum((value - mean) ** 2 for value in values) / 4 / 5)
    assert found is not None and found.low is not None and found.high is not None
    assert found.mean == pytest.approx(mean)
    assert found.high - found.mean == pytest.approx(2.7764 * error, rel=1e-4)


def test_copies_in_one_cluster_add_no_certainty() -> None:
    alone = paired_difference({"a": [0.3], "b": [-0.1], "c": [0.2]})
    copied = paired_difference({"a": [0.3] * 9, "b": [-0.1] * 9, "c": [0.2] * 9})
    assert alone is not None and copied is not None
    assert (copied.low, copied.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_one_cluster_has_no_interval_and_none_has_nothing() -> None:
    one = paired_difference({"a": [0.5, 0.25]})
    assert one is not None and one.mean == 0.375 and one.low is None and one.high is None
    assert paired_difference({}) is None and paired_difference({"a": []}) is None
