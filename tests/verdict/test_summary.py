from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.exchange import ModelText, Tier
from evalrunner.values.result import CaseResult, Outcome
from evalrunner.values.spec import RepeatSpec
from evalrunner.values.summary import Spent, Summary, Tally
from evalrunner.verdict.summary import (
    count,
    from_store,
    row_outcomes,
    summarise,
    tally,
    with_left_out,
)
from tests.verdict.cases import call, case, cases


@given(st.lists(cases, max_size=6), st.lists(cases, max_size=6))
def test_summaries_form_a_group(left: list[CaseResult], right: list[CaseResult]) -> None:
    a, b = summarise(left), summarise(right)
    assert a + b == b + a == summarise([*left, *right])
    assert a + b - b == a
    assert a + Summary() == a == Summary() + a
    assert a - a == Summary()


@given(st.lists(cases, max_size=6))
def test_parts_sum_to_the_whole(found: list[CaseResult]) -> None:
    assert sum(map(tally, found), Summary()) == summarise(found)
    assert summarise(found).total.cases == len(found)


@pytest.mark.parametrize(
    ("one", "hits", "misses", "shared"),
    [
        (call(cached=True), 1, 0, 0),
        (call(cached=True, shared=True), 1, 0, 0),
        (call(shared=True), 0, 0, 1),
        (call(), 0, 1, 0),
    ],
)
def test_each_record_is_a_hit_a_shared_answer_or_a_miss(one, hits, misses, shared) -> None:  # type: ignore[no-untyped-def]
    total = tally(case(records=(one,))).total
    assert (total.hits, total.misses, total.shared) == (hits, misses, shared)
    assert sum(total.calls_by_tier.values()) == misses
    assert sum(model.calls for model in total.by_model.values()) == misses
    assert sum(model.input_tokens for model in total.by_model.values()) == 3 * misses


def test_money_is_exact_and_unknown_money_stays_unknown() -> None:
    known = case(records=(call(incurred=1, nominal=4, tiering=9),))
    total = summarise([known, known]).total
    assert (total.incurred.amount, total.nominal.amount, total.tiering.amount) == (2, 8, 18)
    assert total.avoided_by_cache == 6 and total.unpriced == ()
    unknown = case("t/1", records=(call(endpoint="odd", nominal=None),))
    mixed = summarise([known, unknown]).total
    assert mixed.nominal.amount is None and mixed.avoided_by_cache is None
    assert mixed.unpriced == ("odd",)
    assert (summarise([known, unknown]) - tally(unknown)).total.nominal.amount == 4


def test_calls_are_counted_by_tier_and_causes_by_name() -> None:
    total = tally(
        case(records=(call(tier=Tier.FRONTIER, cause="new"), call(cause="new"), call()))
    ).total
    assert total.calls_by_tier == {"frontier": 1, "proxy": 2}
    assert total.misses_by_cause == {"new": 2}


def test_reasons_of_cases_that_were_not_run_are_counted_wherever_they_come_from() -> None:
    read = case(outcome=Outcome.NOT_RUN)
    object.__setattr__(read, "reason", ModelText("budget"))
    live = case(outcome=Outcome.NOT_RUN, reason="budget")
    assert summarise([read, live]).total.not_run_reasons == {"budget": 2}


def test_a_run_from_the_store_pays_nothing_and_hits_everything() -> None:
    part = tally(case(records=(call(), call(shared=True), call(cached=True)))).by_suite["s"]
    stored = from_store(part)
    assert (stored.hits, stored.misses, stored.shared) == (3, 0, 0)
    assert stored.incurred.amount == 0 and stored.nominal == part.nominal
    assert stored.calls_by_tier == {} and stored.passed == 1


P, F, E, S, N = (Outcome(word) for word in ("passed", "failed", "errored", "skipped", "not_run"))


@pytest.mark.parametrize(
    ("draws", "n", "required", "outcome"),
    [
        ([P, P, P, F, P], 5, 4, P),
        ([P, P, F, F, P], 5, 4, F),
        ([P, P, P, P], 5, 4, P),
        ([P, P, P, F, E], 5, 4, E),
        ([P, P, P, F, N], 5, 4, N),
        ([F, F, N, N, N], 5, 4, F),
        ([P, P, P], 5, 4, N),
        ([P, F], 2, None, F),
        ([P, P], 2, None, P),
        ([S, S], 2, 1, S),
    ],
)
def test_a_row_passes_by_its_draws(draws, n, required, outcome) -> None:  # type: ignore[no-untyped-def]
    found = [case("s/a#b", each, repeat=index) for index, each in enumerate(draws)]
    assert row_outcomes(found, RepeatSpec(n=n, required=required)) == {"s/a#b": outcome}


@given(st.lists(st.sampled_from(list(Outcome)), max_size=20))
def test_only_verdicts_are_in_n(outcomes: list[Outcome]) -> None:
    rows = {str(index): outcome for index, outcome in enumerate(outcomes)}
    assert count(rows) == (outcomes.count(P), outcomes.count(P) + outcomes.count(F))


def test_a_case_is_summed_in_microseconds() -> None:
    many = [case(records=(call(), call(cached=True)))] * 10_000
    best = min(_seconds(many) for _ in range(3))
    assert best / len(many) < 50e-6  # 5 µs where nothing else runs


def _seconds(many: list[CaseResult]) -> float:
    start = process_time()
    summarise(many)
    return process_time() - start


def _looked(outcomes: dict[str, int], nominal: int | None = 30, tiering: int = 10) -> Summary:
    spent = Spent(unknown=1) if nominal is None else Spent(known=nominal)
    part = Tally(nominal=spent, tiering=Spent(known=tiering), **outcomes)  # type: ignore[arg-type]
    return Summary(by_suite={"s": part})


@pytest.mark.parametrize(
    ("sums", "left_out", "expected"),
    [
        (_looked({"passed": 4}), 36, 360),  # 10 a case, every call on the target
        (_looked({"passed": 3, "failed": 1}), 2, 20),
        (_looked({"passed": 1, "errored": 3}), 4, 40),  # they were looked at, too
        (_looked({"passed": 2, "skipped": 9, "not_run": 9}), 1, 20),
        (_looked({"passed": 3}, tiering=-10), 1, 7),  # to the nearest picodollar
        (_looked({"not_run": 4}), 4, None),
        (_looked({"errored": 4}), 4, None),
        (_looked({"passed": 4}, nominal=None), 4, None),
    ],
)
def test_what_a_sample_left_out_is_worth_what_the_rest_costs(
    sums: Summary, left_out: int, expected: int | None
) -> None:
    total = with_left_out(sums, {"s": left_out}).total
    assert (total.left_out, total.sampling.amount) == (left_out, expected)


def test_each_suite_is_estimated_by_itself_and_a_whole_suite_is_left_alone() -> None:
    sums = _looked({"passed": 4}) + Summary(
        by_suite={"t": Tally(passed=1, nominal=Spent(known=1000))}
    )
    assert with_left_out(sums, {"s": 4}).total.sampling.amount == 40
    assert with_left_out(sums, {"s": 4, "t": 1}).total.sampling.amount == 1040
    assert with_left_out(sums, {"s": 0}) is sums
