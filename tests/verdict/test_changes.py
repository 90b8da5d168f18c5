"""Comparing two runs: what is found, what is told apart, and how often chance is taken for change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from evalrunner.values.exchange import CallRecord, ModelResponse, Tier
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.result import (
    CaseResult,
    CheckResult,
    Outcome,
    RunInfo,
    RunReport,
    Subject,
)
from evalrunner.values.spec import CheckClass, RepeatSpec
from evalrunner.verdict.changes import RunChanges, compare_runs
from tests.verdict.cases import case

P, F, E = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED
INFO = RunInfo(id="r", started_at="", finished_at="", evalrunner="1", git=None, argv=())


def report(
    cases: Sequence[CaseResult], *, draws: int = 1, required: int | None = None
) -> RunReport:
    repeats = {"s": RepeatSpec(n=draws, required=required)} if draws > 1 else {}
    return RunReport(run=INFO, cases=cases, repeats=repeats)


def asked(
    name: str,
    outcome: Outcome,
    *,
    question: str = "q",
    threshold: float | None = 0.7,
    score: float | None = None,
    kind: str = "llm-rubric",
    repeat: int = 0,
) -> CaseResult:
    """A case with one check, and an answer to a question."""
    subject = Subject(
        tier=Tier.TARGET,
        model="m",
        response=ModelResponse(text="answer"),
        record=CallRecord(fingerprint=Fingerprint(question * 64), cached=False),
    )
    check = CheckResult(
        type=kind,
        check_class=CheckClass.SEMANTIC,
        outcome=outcome,
        score=float(outcome is P) if score is None else score,
        threshold=threshold,
        reason="too short" if outcome is F else "",
    )
    return replace(case(name, outcome, repeat=repeat), subject=subject, checks=(check,))


def changes(base: Sequence[CaseResult], head: Sequence[CaseResult]) -> RunChanges:
    return compare_runs(report(base), report(head))


def test_a_regression_says_which_check_failed_and_why() -> None:
    found = changes([asked("s/1", P)], [asked("s/1", F, question="r")])
    (only,) = found.regressions
    assert (only.id, only.suite, only.check, only.reason) == ("s/1", "s", "llm-rubric", "too short")
    assert not only.flaky and found.firm_regressions == 1
    assert not found.worse, "one flip is no evidence"


def test_rows_of_one_run_only_and_rows_without_a_verdict_are_named() -> None:
    base = [asked("s/1", P), asked("s/2", P), asked("s/3", F)]
    head = [asked("s/2", E), asked("s/3", P, question="r"), asked("s/4", P)]
    found = changes(base, head)
    assert (found.removed, found.added, found.undecided) == (("s/1",), ("s/4",), ("s/2",))
    assert [each.id for each in found.improvements] == ["s/3"]
    assert found.base_rate.n == found.head_rate.n == 1


def test_another_verdict_on_the_same_question_is_flaky() -> None:
    found = changes([asked("s/1", P)], [asked("s/1", F)])
    assert found.regressions[0].flaky and found.firm_regressions == 0


def test_a_stricter_check_on_the_same_answer_is_no_flake() -> None:
    found = changes([asked("s/1", P)], [asked("s/1", F, threshold=0.9)])
    assert not found.regressions[0].flaky


def test_draws_that_disagree_are_flaky() -> None:
    base = [asked("s/1", P), asked("s/1", P, repeat=1)]
    head = [asked("s/1", P, question="r"), asked("s/1", F, question="r", repeat=1)]
    found = compare_runs(report(base, draws=2), report(head, draws=2))
    assert found.regressions[0].flaky
    steady = [replace(each, outcome=F) for each in head]
    found = compare_runs(report(base, draws=2), report(steady, draws=2))
    assert not found.regressions[0].flaky


def test_an_earlier_run_shows_what_is_flaky() -> None:
    base, head = [asked("s/1", P)], [asked("s/1", F, question="r")]
    earlier = report([asked("s/1", F)])
    other_question = report([asked("s/1", F, question="x")])
    assert compare_runs(report(base), report(head), history=[earlier]).regressions[0].flaky
    found = compare_runs(report(base), report(head), history=[other_question])
    assert not found.regressions[0].flaky


@pytest.mark.parametrize(
    ("head", "change"),
    [
        (asked("s/1", P, threshold=0.5), "threshold 0.7 to 0.5"),
        (asked("s/1", P, threshold=None), "threshold 0.7 to none"),
        (replace(asked("s/1", P), checks=()), "removed"),
        (asked("s/1", P, kind="equals"), "removed"),
    ],
)
def test_a_weakened_check_is_named(head: CaseResult, change: str) -> None:
    (found,) = changes([asked("s/1", P)], [head]).checks
    assert (found.suite, found.type, found.change, found.rows) == ("s", "llm-rubric", change, 1)


def test_weight_and_value_count_as_changes_and_equal_checks_do_not() -> None:
    base = asked("s/1", P)
    (check,) = base.checks
    lighter = replace(base, checks=(replace(check, weight=0.0),))
    other = replace(base, checks=(replace(check, value="Kind"),))
    assert [each.change for each in changes([base], [lighter]).checks] == ["weight 1 to 0"]
    assert [each.change for each in changes([base], [other]).checks] == ["value changed"]
    twice = replace(base, checks=(check, check))
    assert changes([twice], [twice]).checks == ()
    assert [each.change for each in changes([twice], [base]).checks] == ["removed"]


def test_variants_of_one_row_are_one_piece_of_evidence() -> None:
    names = [f"s/1@p{n}" for n in range(8)]
    found = changes([asked(n, P) for n in names], [asked(n, F, question="r") for n in names])
    assert found.chance.worse == 0.5, "eight flips of one row are one flip"
    apart = [f"s/{n}" for n in range(8)]
    found = changes([asked(n, P) for n in apart], [asked(n, F, question="r") for n in apart])
    assert found.chance.worse == 1 / 256 and found.worse
    assert found.by_suite["s"] == found.chance


def test_scores_move_without_a_verdict_that_changes() -> None:
    base = [asked(f"s/{n}", P, score=0.9) for n in range(4)]
    head = [asked(f"s/{n}", P, score=0.8 + n / 100) for n in range(4)]
    found = changes(base, head)
    assert found.score is not None and found.score.high is not None
    assert found.score.mean == pytest.approx(-0.085) and found.score.high < 0
    assert found.unchanged == 4 and not found.regressions


PAIRS = 200
CASES = 1000


def simulated(draw: Random, regression: float) -> bool:
    """Whether a pair of runs, with one case in 50 flaky, is called worse."""
    base, head = [], []
    for number in range(CASES):
        flaky = number < CASES // 50
        before = draw.choice((P, F)) if flaky else P
        after = draw.choice((P, F)) if flaky else (F if draw.random() < regression else P)
        base.append(case(f"s/{number}", before))
        head.append(case(f"s/{number}", after))
    return changes(base, head).worse


@pytest.mark.parametrize(
    ("regression", "least", "most"), [(0.0, 0.0, 0.05), (0.01, 0.4, 1.0), (0.05, 0.95, 1.0)]
)
def test_false_alarms_stay_below_the_level_and_a_regression_is_found(
    regression: float, least: float, most: float, rounds
) -> None:
    pairs = rounds(40, PAIRS)
    draw = Random(20261122)
    found = sum(simulated(draw, regression) for _ in range(pairs)) / pairs
    assert least <= found <= most
