from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.result import Outcome
from evalrunner.verdict.compare import compare, mcnemar

P, F, E = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED
outcomes = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(list(Outcome)))


def test_pairs_by_id() -> None:
    found = compare(
        {"kept": P, "worse": P, "better": F, "gone": P, "lost": P},
        {"kept": P, "worse": F, "better": P, "new": F, "lost": E},
    )
    assert found.regressions == ("worse",)
    assert found.improvements == ("better",)
    assert (found.added, found.removed, found.undecided) == (("new",), ("gone",), ("lost",))
    assert found.unchanged == 1 and found.p_value == 1.0


@given(outcomes, outcomes)
def test_every_id_is_in_exactly_one_place(
    base: dict[str, Outcome], head: dict[str, Outcome]
) -> None:
    found = compare(base, head)
    named = [
        *found.regressions,
        *found.improvements,
        *found.undecided,
        *found.added,
        *found.removed,
    ]
    assert len(named) == len(set(named))
    assert len(named) + found.unchanged == len(base.keys() | head.keys())
    assert compare(head, base).regressions == found.improvements


@pytest.mark.parametrize(
    ("worse", "better", "p"), [(0, 0, 1), (5, 0, 2 / 32), (1, 9, 22 / 1024), (4, 4, 1), (0, 1, 1)]
)
def test_known_p_values(worse: int, better: int, p: float) -> None:
    assert mcnemar(worse, better) == p


@given(st.integers(0, 200), st.integers(0, 200))
def test_p_is_the_binomial_tail(b: int, c: int) -> None:
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(min(1.0, 2 * tail))


def test_many_changes_do_not_take_long() -> None:
    assert 0 < mcnemar(9_800, 10_200) < 0.01
