"""What the cheap tier avoided: nominal and tiering together are what every call on the target costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.checks.base import JudgeSeat
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase, case_flow
from evalrunner.engine.tiering import Tiering
from evalrunner.errors import CallTimeout, ModelCallError
from evalrunner.values.exchange import ModelResponse, Reply, Tier
from evalrunner.values.fingerprint import fingerprint
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.result import CaseResult
from evalrunner.values.spec import CheckSpec, Endpoint

from .builders import CONFIRMED, answer, case, contains, endpoint, verdict

SMALL, LARGE = 20, 2000  # of 10 tokens in and 5 out
RUBRIC = CheckSpec(type="llm-rubric", value="polite")


def accounts(**changes: object) -> Accounts:
    dear = changes.get("large", Price(input=Picodollars(100), output=Picodollars(200)))
    endpoints = {
        "small": endpoint("small", price=Price(input=Picodollars(1), output=Picodollars(2))),
        "large": endpoint("large", price=dear),
    }
    return Accounts(ConfiguredPrices(at=0.0), endpoints)


def told(
    one: EvalCase,
    answers: Mapping[str, Sequence[ModelResponse | ModelCallError]],
    book: Accounts | None = None,
    frontier: str | None = "large",
) -> CaseResult:
    """The case driven to its end, every reply paid for, and then told what was avoided."""
    book = book or accounts()
    waiting = {name: list(found) for name, found in answers.items()}
    flow = case_flow(one)
    request = next(flow)
    try:
        while True:
            found = waiting[request.endpoint].pop(0)
            if isinstance(found, ModelCallError):
                request = flow.throw(found)
                continue
            worth = book.worth(request, found)
            record = book.paid(fingerprint(request), attempts=1, incurred=worth, worth=worth)
            request = flow.send(Reply(response=found, record=record))
    except StopIteration as stop:
        result: CaseResult = stop.value
    (done,) = Tiering(accounts=book, frontier=frontier).told([one], [result])
    return done


def avoided(result: CaseResult) -> list[int | None]:
    return [call.tiering for call in result.records]


def nominal(result: CaseResult) -> int:
    return sum(call.record.nominal or 0 for call in result.records)


def test_an_answer_of_the_proxy_saves_what_the_target_costs_more() -> None:
    done = told(case(contains("ok"), plan=CONFIRMED), {"small": [answer("ok")]})
    assert avoided(done) == [LARGE - SMALL]
    assert nominal(done) + sum(filter(None, avoided(done))) == LARGE


def test_an_answer_that_the_target_confirms_has_cost_on_top() -> None:
    answers = {"small": [answer("no")], "large": [answer("ok")]}
    done = told(case(contains("ok"), plan=CONFIRMED), answers)
    assert avoided(done) == [-SMALL, 0]
    assert nominal(done) + sum(filter(None, avoided(done))) == LARGE


def test_a_verdict_on_an_answer_that_did_not_count_has_cost_on_top_too() -> None:
    one = case(RUBRIC, plan=CONFIRMED)
    answers = {
        "small": [answer("no")],
        "large": [verdict(passed=False), answer("ok"), verdict(passed=True)],
    }
    assert avoided(told(one, answers)) == [-SMALL, -LARGE, 0, 0]


def test_a_verdict_of_the_proxy_is_beside_one_of_the_frontier() -> None:
    seat = JudgeSeat(endpoint=endpoint("small"), tier=Tier.PROXY)
    one = case(RUBRIC)
    one = replace(one, panel=replace(one.panel, seats=(seat,)))
    done = told(one, {"large": [answer("ok")], "small": [verdict(passed=True)]})
    assert avoided(done) == [0, LARGE - SMALL]


def test_a_confirmation_without_an_answer_leaves_what_the_proxy_cost() -> None:
    answers = {"small": [answer("no")], "large": [CallTimeout("down")]}
    assert avoided(told(case(contains("ok"), plan=CONFIRMED), answers)) == [-SMALL]


def test_what_the_target_costs_is_unknown_where_its_price_is() -> None:
    by_the_hour = Price(input=Picodollars(0), output=Picodollars(0), per_second=Picodollars(1))
    for price in (None, by_the_hour):
        done = told(
            case(contains("ok"), plan=CONFIRMED), {"small": [answer("ok")]}, accounts(large=price)
        )
        assert avoided(done) == [None]


def test_what_was_told_is_left_as_it_is() -> None:
    """A case is told when it ends and kept by its identity: telling it again makes no other one."""
    one = case(contains("ok"), plan=CONFIRMED)
    done = told(one, {"small": [answer("ok")]})
    tiering = Tiering(accounts=accounts(), frontier="large")
    assert tiering.told([one], [done])[0] is done
    confirmed = told(one, {"small": [answer("no")], "large": [answer("ok")]})
    assert tiering.of(one, confirmed) is confirmed


@pytest.mark.parametrize("field", ["shared", "verified"])
def test_what_nobody_would_have_paid_for_twice_saves_nothing(field: str) -> None:
    done = told(case(contains("ok"), plan=CONFIRMED), {"small": [answer("ok")]})
    (call,) = done.records
    record = replace(call.record, **{field: True if field == "shared" else "agreed"})
    again = replace(done, records=(replace(call, record=record, tiering=Picodollars(0)),))
    one = case(contains("ok"), plan=CONFIRMED)
    (seen,) = Tiering(accounts=accounts(), frontier="large").told([one], [again])
    assert avoided(seen) == [0]


def test_a_target_that_is_the_proxy_itself_saves_nothing() -> None:
    one = case(contains("ok"), plan=CONFIRMED)
    assert one.proxy is not None
    one = replace(one, target=one.proxy, proxy=None)
    assert avoided(told(one, {"small": [answer("ok")]})) == [0]


def test_an_application_has_no_price_to_compare_with() -> None:
    app = Endpoint(name="app", provider="application", model="python", identity="app")
    book = Accounts(ConfiguredPrices(at=0.0), {"small": endpoint("small"), "app": app})
    seat = JudgeSeat(endpoint=endpoint("small"), tier=Tier.PROXY)
    one = case(RUBRIC)
    one = replace(
        one, panel=replace(one.panel, seats=(seat,)), target=replace(one.target, endpoint="app")
    )
    answers = {"app": [answer("ok")], "small": [verdict(passed=True)]}
    assert avoided(told(one, answers, book, frontier=None))[-1] is None
