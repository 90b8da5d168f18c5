"""What a run will cost, before it runs: never below what it then does cost at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.estimate import EXPECTED_OUTPUT_TOKENS, estimate
from evalrunner.engine.habits import Habits
from evalrunner.engine.replay import StoreReader, replay
from evalrunner.engine.tokens import expected_input_tokens, max_input_tokens, max_output_tokens
from evalrunner.testing import MemoryStore
from evalrunner.values.exchange import Message, ModelRequest, TargetRequest
from evalrunner.values.forecast import Forecast
from evalrunner.values.money import Picodollars
from evalrunner.values.result import CostEstimate
from evalrunner.values.spec import DEFAULT_MAX_TOKENS, CheckSpec, Endpoint
from tests.engine.builders import CONFIRMED, ENDPOINTS, case, contains, question
from tests.engine.test_replay import Book

RUBRIC = CheckSpec(type="llm-rubric", value="polite")


def estimated(*cases: object, endpoints: dict[str, Endpoint] | None = None) -> CostEstimate:
    return forecast(*cases, endpoints=endpoints).estimate


def forecast(
    *cases: object, endpoints: dict[str, Endpoint] | None = None, habits: Habits | None = None
) -> Forecast:
    accounts = Accounts(Book(), endpoints or ENDPOINTS)
    waiting = replay(cases, StoreReader(MemoryStore(), accounts)).open  # type: ignore[arg-type]
    return estimate(waiting, accounts, lambda: habits or Habits()).forecast()


def test_nothing_open_costs_nothing() -> None:
    assert estimated() == CostEstimate(expected=Picodollars(0), maximum=Picodollars(0))


def test_one_call() -> None:
    """The prices are 1000 and 2000 picodollars a token; max_tokens is 20; a call has four attempts."""
    cost = estimated(case(contains("x"), text="12345678"))
    assert cost.expected == (2 + 8) * 1000 + 20 * 2000
    assert cost.maximum == 4 * ((8 + 8) * 1000 + 20 * 2000)


def test_equal_questions_are_expected_once_and_bounded_each() -> None:
    """A question that failed for one case is asked again for the next."""
    once = estimated(case(contains("x")))
    twice = estimated(case(contains("x")), case(contains("y"), number=2))
    assert twice.expected == once.expected
    assert twice.maximum == 2 * (once.maximum or 0)


def test_judges_to_come_are_counted() -> None:
    without, with_judge = estimated(case(contains("x"))), estimated(case(contains("x"), RUBRIC))
    assert (with_judge.expected or 0) > (without.expected or 0)


def test_a_confirmation_is_in_the_maximum_alone() -> None:
    cost = estimated(case(CheckSpec(type="is-json"), plan=CONFIRMED))
    assert cost.maximum is not None
    assert cost.expected is not None
    assert cost.maximum >= 4 * 2 * 20 * 2000
    assert cost.expected < 2 * 20 * 2000


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    unpriced = {
        name: Endpoint(name=name, provider="x", model=name, identity="{}") for name in ENDPOINTS
    }
    cost = estimated(case(contains("x")), endpoints=unpriced)
    assert (cost.expected, cost.maximum) == (None, None)


@given(st.text(st.characters()))
def test_more_tokens_than_bytes_are_never_expected(text: str) -> None:
    request = question(text)
    assert expected_input_tokens(request) <= max_input_tokens(request)
    assert max_input_tokens(request) >= len(text)


@pytest.mark.parametrize(
    ("params", "tokens"),
    [({"max_tokens": 7}, 7), ({"max_completion_tokens": 9}, 9), ({}, DEFAULT_MAX_TOKENS)],
)
def test_the_longest_answer(params: dict[str, int], tokens: int) -> None:
    request = ModelRequest(
        model="m", messages=(Message(role="user", content="x"),), params=params, endpoint="e"
    )
    assert max_output_tokens(request) == tokens
    assert EXPECTED_OUTPUT_TOKENS == 256


def test_applications_are_not_estimated() -> None:
    request = TargetRequest(target="{}", prompt="x", vars={}, endpoint="app")
    assert max_input_tokens(request) == max_output_tokens(request) == 0
