"""What history says of the next run: lengths, how often, and by how much to mend an estimate."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.engine.habits import LEAST_CORRECTION, MILLION, MOST_CORRECTION, Habits, correction
from evalrunner.engine.ports import PastEstimate, Usual
from evalrunner.values.money import Picodollars


def past(expected: int, incurred: int, factor: int | None = MILLION) -> PastEstimate:
    return PastEstimate(
        run_id="r",
        at=1.0,
        expected=Picodollars(expected),
        maximum=None,
        incurred=Picodollars(incurred),
        correction=factor,
    )


@pytest.mark.parametrize(
    ("estimates", "factor"),
    [
        ([], 1.0),
        ([past(100, 150)], 1.5),
        ([past(150, 150, 1_500_000)], 1.5),
        ([past(100, 150), past(100, 100)], 1.25),
        ([past(1000, 1100), past(10, 20)], 1.108911),
        ([past(100, 1000)], 2.0),
        ([past(100, 1)], 0.5),
        ([past(100, 150, None)], 1.0),
        ([past(100, 150, None), past(100, 120)], 1.2),
        ([*[past(100, 110)] * 5, past(100, 900)], 1.1),
    ],
    ids=[
        "no history",
        "half as much again",
        "a correction that was right stays",
        "two runs alike",
        "the larger run counts for more",
        "at most twice",
        "at least half",
        "an estimate without history teaches nothing",
        "and takes no place",
        "the last five",
    ],
)
def test_correction(estimates: list[PastEstimate], factor: float) -> None:
    assert correction(estimates) == pytest.approx(factor * MILLION, abs=1)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**15), st.integers(0, 10**16), st.none() | st.integers(1, 10**7)
        ),
        max_size=9,
    )
)
def test_a_correction_is_bounded_whatever_happened(rows: list[tuple[int, int, int | None]]) -> None:
    factor = correction([past(*row) for row in rows])
    assert LEAST_CORRECTION <= factor <= MOST_CORRECTION


USUAL = {
    ("s", "small", "subject"): Usual(count=10, input_tokens=30, output_tokens=4, guessed_tokens=20),
    ("s", "large", "confirm"): Usual(count=3, input_tokens=30, output_tokens=4),
    ("s", "large", "judge"): Usual(count=26, input_tokens=300, output_tokens=40.5, cost=7),
    ("t", "large", "judge"): Usual(count=99, input_tokens=1, output_tokens=1),
}


def test_rates_and_lengths() -> None:
    habits = Habits(usual=USUAL, corrections={"s": 1_250_000})
    assert habits.confirmed("s", "small", "large") == Fraction(3, 10)
    assert habits.judged("s", "large") == 2
    assert habits.judged("t", "large") is None
    assert habits.prompt_ratio(("s", "small", "subject")) == Fraction(3, 2)
    assert habits.prompt_ratio(("s", "large", "confirm")) == 1
    assert habits.output_tokens(("s", "large", "judge")) == Fraction(81, 2)
    assert habits.output_tokens(("s", "huge", "judge")) is None
    assert habits.cost(("s", "large", "judge")) == 7
    assert (habits.correction("s"), habits.correction("t")) == (1_250_000, MILLION)
