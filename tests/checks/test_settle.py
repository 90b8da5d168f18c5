from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.checks.base import Check
from evalrunner.checks.settle import case_outcome, is_settled
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CheckResult, Outcome
from evalrunner.values.spec import CheckClass
from tests.checks.making import spec_of

P, F, E, S = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED, Outcome.SKIPPED


def result(outcome: Outcome, score: float | None = None, weight: float = 1.0) -> CheckResult:
    return CheckResult(
        type="contains",
        check_class=CheckClass.SEMANTIC,
        outcome=outcome,
        score=score,
        weight=weight,
        reason="because",
    )


def check(weight: float = 1.0) -> Check:
    spec = spec_of("contains", "x", weight=weight)
    return Check(spec=spec, check_class=CheckClass.SEMANTIC)


@pytest.mark.parametrize(
    ("results", "threshold", "outcome"),
    [
        # without a threshold every check with a weight must hold
        ([], None, P),
        ([result(P), result(P)], None, P),
        ([result(P), result(F)], None, F),
        ([result(P), result(F, weight=0)], None, P),
        ([result(F, weight=0)], None, P),
        ([result(P), result(E)], None, E),
        ([result(F), result(E)], None, F),
        ([result(E), result(F)], None, F),
        ([result(E, weight=0), result(P)], None, P),
        ([result(F), result(S)], None, F),
        # with one the weighted mean decides alone
        ([result(P, 1.0), result(F, 0.0)], 0.5, P),
        ([result(P, 1.0), result(F, 0.0)], 0.51, F),
        ([result(P, 1.0, weight=3), result(F, 0.0)], 0.75, P),
        ([result(P, 0.7), result(P, 0.7), result(P, 0.7)], 0.7, P),
        ([result(F, 0.4)], 0, P),
        ([result(F, 0.0, weight=0), result(P, 1.0)], 1.0, P),
        # an errored check: failed only if it could not have saved the case
        ([result(P, 1.0), result(E)], 0.5, E),
        ([result(F, 0.0), result(F, 0.0), result(E)], 0.5, F),
        ([result(F, 0.0), result(E)], 0.5, E),
        ([result(E)], 0.5, E),
        # a judge that was not asked: the rest has settled it
        ([result(P, 1.0), result(S)], 0.5, P),
        ([result(F, 0.0), result(S)], 0.6, F),
    ],
)
def test_outcomes(
    results: Sequence[CheckResult], threshold: float | None, outcome: Outcome
) -> None:
    found, reason = case_outcome(results, threshold)
    assert found is outcome
    assert bool(reason) is (outcome is not P)


def test_reasons_keep_what_a_model_wrote_apart() -> None:
    told = CheckResult(
        type="llm-rubric",
        check_class=CheckClass.SEMANTIC,
        outcome=F,
        reason=ModelText("rude"),
    )
    assert case_outcome([told], None)[1] == ModelText("llm-rubric: rude")
    assert case_outcome([result(F)], None)[1] == "contains: because"
    assert case_outcome([result(F, 0.25)], 0.5)[1] == "score 0.25 is below the threshold 0.5"


@pytest.mark.parametrize(
    ("known", "open_weights", "threshold", "settled"),
    [
        ([], [1], None, False),
        ([result(P)], [1], None, False),
        ([result(F)], [1], None, True),
        ([result(F, weight=0)], [1], None, False),
        ([result(E)], [1], None, False),  # a failure may still come
        ([result(F), result(E)], [1], None, True),
        ([result(P)], [0], None, False),  # asked for its own sake
        ([result(P, 1.0)], [1], 0.5, True),
        ([result(P, 1.0)], [1], 0.6, False),
        ([result(F, 0.0)], [1], 0.5, False),
        ([result(F, 0.0)], [1], 0.6, True),
        ([result(P, 1.0)], [3], 0.5, False),
        ([result(P, 1.0), result(E)], [1], 0.3, False),
        ([result(P, 1.0)], [0], 0.5, False),
        ([], [1], 0, True),
    ],
)
def test_settled(
    known: list[CheckResult], open_weights: list[float], threshold: float | None, settled: bool
) -> None:
    checks = [check(r.weight) for r in known] + [check(weight) for weight in open_weights]
    results = [*known, *(None for _ in open_weights)]
    assert is_settled(checks, results, threshold) is settled


scores = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
decided = st.builds(
    lambda passed, score, weight: result(P if passed else F, score, weight),
    st.booleans(),
    scores,
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)


@given(
    st.lists(decided, max_size=4),
    st.lists(decided, min_size=1, max_size=3),
    st.none() | scores,
)
def test_a_settled_verdict_never_changes(
    known: list[CheckResult], later: list[CheckResult], threshold: float | None
) -> None:
    checks = [check(r.weight) for r in (*known, *later)]
    if is_settled(checks, [*known, *(None for _ in later)], threshold):
        skipped = [result(S, weight=r.weight) for r in later]
        without = case_outcome([*known, *skipped], threshold)[0]
        assert case_outcome([*known, *later], threshold)[0] is without
