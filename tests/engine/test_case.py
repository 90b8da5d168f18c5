"""The flow of a case: who is asked, in which order, and what becomes of the answers."""

from __future__ import annotations

import pytest

from evalrunner.errors import BudgetExceeded, FrozenMiss, ModelCallError, ProviderUnavailable
from evalrunner.values.exchange import ModelResponse, ModelText, Tier
from evalrunner.values.result import Outcome
from evalrunner.values.spec import CheckSpec
from tests.engine.builders import CONFIRMED, answer, by_endpoint, case, contains, drive, verdict

RUBRIC = CheckSpec(type="llm-rubric", value="polite")
IS_JSON = CheckSpec(type="is-json")


def asked(requests: list[object]) -> list[str]:
    return [f"{request.role}@{request.endpoint}" for request in requests]  # type: ignore[attr-defined]


def test_a_check_in_code_asks_nobody() -> None:
    result, requests = drive(case(contains("ok")), by_endpoint({"large": [answer("ok!")]}))
    assert result.outcome is Outcome.PASSED
    assert asked(requests) == ["subject@large"]
    assert result.checks[0].tier is Tier.CODE
    assert len(result.records) == 1


def test_code_is_asked_before_judges_wherever_it_stands() -> None:
    """A judge first in the suite is not paid when a check behind it has failed already."""
    result, requests = drive(
        case(RUBRIC, contains("absent")), by_endpoint({"large": [answer("ok")]})
    )
    assert result.outcome is Outcome.FAILED
    assert asked(requests) == ["subject@large"]
    assert [check.outcome for check in result.checks] == [Outcome.SKIPPED, Outcome.FAILED]


def test_judge_always_pays_for_a_settled_verdict() -> None:
    result, requests = drive(
        case(RUBRIC, contains("absent"), judge_always=True),
        by_endpoint({"large": [answer("ok"), verdict(passed=True)]}),
    )
    assert result.outcome is Outcome.FAILED
    assert asked(requests) == ["subject@large", "judge@large"]
    assert [check.outcome for check in result.checks] == [Outcome.PASSED, Outcome.FAILED]


def test_a_second_judge_is_not_paid_after_the_first_has_failed_the_case() -> None:
    result, requests = drive(
        case(RUBRIC, CheckSpec(type="llm-rubric", value="short")),
        by_endpoint({"large": [answer(), verdict(passed=False)]}),
    )
    assert result.outcome is Outcome.FAILED
    assert len(requests) == 2
    assert result.checks[1].outcome is Outcome.SKIPPED


def test_the_judge_is_in_the_result() -> None:
    result, _ = drive(case(RUBRIC), by_endpoint({"large": [answer(), verdict(passed=True)]}))
    check = result.checks[0]
    assert (check.outcome, check.tier, check.model) == (Outcome.PASSED, Tier.FRONTIER, "large")
    assert check.record is not None
    assert check.record == result.records[1].record
    assert check.reason == ModelText("because")


@pytest.mark.parametrize(
    ("proxy_says", "target_says", "outcome", "endpoints"),
    [
        ("{}", [], Outcome.PASSED, ["subject@small"]),
        ("no", ["{}"], Outcome.PASSED, ["subject@small", "confirm@large"]),
        ("no", ["no"], Outcome.FAILED, ["subject@small", "confirm@large"]),
    ],
)
def test_a_failure_on_the_proxy_counts_only_when_the_target_fails_too(
    proxy_says: str, target_says: list[str], outcome: Outcome, endpoints: list[str]
) -> None:
    answers = {"small": [answer(proxy_says)], "large": [answer(text) for text in target_says]}
    result, requests = drive(case(IS_JSON, plan=CONFIRMED), by_endpoint(answers))
    assert result.outcome is outcome
    assert asked(requests) == endpoints
    assert (result.confirmed_from is not None) == bool(target_says)
    if result.confirmed_from is not None:
        assert result.confirmed_from.response.text.raw == proxy_says
        assert result.subject is not None
        assert result.subject.model == "large"
    assert len(result.records) == len(requests)


def test_a_proxy_that_is_down_does_not_send_the_suite_to_the_target() -> None:
    """Else an outage of the cheap model would multiply the bill."""
    result, requests = drive(
        case(IS_JSON, plan=CONFIRMED), by_endpoint({"small": [ProviderUnavailable("502")]})
    )
    assert result.outcome is Outcome.ERRORED
    assert asked(requests) == ["subject@small"]


@pytest.mark.parametrize("error", [ModelCallError("boom"), ProviderUnavailable("502")])
def test_a_failed_call_is_neither_a_failure_nor_a_pass(error: ModelCallError) -> None:
    result, _ = drive(case(contains("x")), by_endpoint({"large": [error]}))
    assert (result.outcome, result.subject, result.checks) == (Outcome.ERRORED, None, ())
    assert result.reason == ModelText(error.message)


def test_a_failed_judge_keeps_the_answer_and_the_other_verdicts() -> None:
    result, _ = drive(
        case(contains("ok"), RUBRIC),
        by_endpoint({"large": [answer("ok"), ProviderUnavailable("502")]}),
    )
    assert result.outcome is Outcome.ERRORED
    assert result.subject is not None
    assert [check.outcome for check in result.checks] == [Outcome.PASSED, Outcome.ERRORED]


def test_an_unreadable_verdict_is_an_error_and_the_call_is_counted() -> None:
    result, _ = drive(case(RUBRIC), by_endpoint({"large": [answer(), answer("fine!")]}))
    assert result.outcome is Outcome.ERRORED
    assert len(result.records) == 2


@pytest.mark.parametrize("refusal", [FrozenMiss("frozen"), BudgetExceeded("no room")])
def test_what_was_not_asked_was_not_run(refusal: FrozenMiss | BudgetExceeded) -> None:
    before, _ = drive(case(contains("x")), by_endpoint({"large": [refusal]}))
    between, _ = drive(case(RUBRIC), by_endpoint({"large": [answer("kept"), refusal]}))
    assert before.outcome is between.outcome is Outcome.NOT_RUN
    assert before.reason == between.reason == refusal.reason
    assert between.subject is not None
    assert between.subject.response.text.raw == "kept"


def test_a_case_threshold_weighs_its_checks() -> None:
    checks = (contains("a", weight=3.0), contains("absent", weight=1.0))
    passed, _ = drive(case(*checks, threshold=0.75), by_endpoint({"large": [answer("a")]}))
    failed, _ = drive(case(*checks, threshold=0.76), by_endpoint({"large": [answer("a")]}))
    assert (passed.outcome, failed.outcome) == (Outcome.PASSED, Outcome.FAILED)


def test_checks_see_the_whole_answer() -> None:
    response = ModelResponse(text=ModelText(""), finish_reason="length")
    result, _ = drive(
        case(CheckSpec(type="finish-reason", value="length")), by_endpoint({"large": [response]})
    )
    assert result.outcome is Outcome.PASSED
