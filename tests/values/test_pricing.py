"""The cost of a call: exact where everything is known, unknown otherwise, never negative."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.exchange import Usage
from evalrunner.values.money import Picodollars, Price, PriceStep, worst_case
from evalrunner.values.pricing import price_call


def pico(amount: int) -> Picodollars:
    return Picodollars(amount)


LIST = Price(input=pico(1000), output=pico(4000), cached_input=pico(100), cache_write=pico(1250))
SIMPLE = Price(input=pico(1000), output=pico(4000))
HOURLY = Price(per_second=pico(700_000_000))
STEPPED = Price(
    input=pico(10),
    output=pico(20),
    steps=(
        PriceStep(above=100, input=pico(30), output=pico(40)),
        PriceStep(above=200, input=pico(50), output=pico(60), cached_input=pico(5)),
    ),
)


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (LIST, Usage(input_tokens=10, output_tokens=2), 18_000),
        (LIST, Usage(input_tokens=10, output_tokens=2, cached_input_tokens=8), 10_800),
        (LIST, Usage(input_tokens=10, output_tokens=2, cache_write_tokens=4), 19_000),
        (SIMPLE, Usage(input_tokens=10, output_tokens=2, cached_input_tokens=8), 18_000),
        (LIST, Usage(input_tokens=0, output_tokens=0), 0),
        (LIST, Usage(input_tokens=1, output_tokens=9, reasoning_tokens=9), 37_000),
        (STEPPED, Usage(input_tokens=100, output_tokens=1), 1_020),
        (STEPPED, Usage(input_tokens=101, output_tokens=1), 3_070),
        (STEPPED, Usage(input_tokens=201, output_tokens=1, cached_input_tokens=200), 1_110),
        (HOURLY, Usage(), 350_000_000),
        (Price(), Usage(), 0),
    ],
)
def test_tokens_and_seconds_cost_what_the_price_says(price: Price, usage: Usage, cost: int) -> None:
    assert price_call(price, usage, 0.5) == cost


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"input_tokens": 1},
        {"output_tokens": 1},
        {"input_tokens": -1_000_000, "output_tokens": 1},
        {"input_tokens": 1, "output_tokens": -1},
        {"input_tokens": 1.0, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": math.nan, "output_tokens": 1},
        {"input_tokens": 10**10, "output_tokens": 1},
        {"input_tokens": 5, "output_tokens": 1, "cached_input_tokens": 6},
        {"input_tokens": 5, "output_tokens": 1, "cached_input_tokens": 3, "cache_write_tokens": 3},
        {"input_tokens": 5, "output_tokens": 1, "cached_input_tokens": -1},
        {"input_tokens": 5, "output_tokens": 1, "reasoning_tokens": 2},
    ],
)
def test_counts_that_cannot_be_true_make_the_cost_unknown(counts: dict[str, Any]) -> None:
    assert price_call(LIST, Usage(**counts), 0.5) is None


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 1e9])
def test_seconds_count_only_where_they_are_paid(seconds: float) -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    assert price_call(HOURLY, usage, seconds) is None
    assert price_call(SIMPLE, usage, seconds) == 5000


@given(
    st.sampled_from([LIST, SIMPLE, STEPPED, HOURLY]),
    st.integers(0, 400),
    st.integers(0, 400),
    st.data(),
    st.floats(0, 100),
)
def test_no_call_costs_more_than_its_worst_case(
    price: Price, prompt: int, answer: int, data: st.DataObject, seconds: float
) -> None:
    read = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - read))
    usage = Usage(
        input_tokens=prompt,
        output_tokens=answer,
        cached_input_tokens=read,
        cache_write_tokens=written,
    )
    cost = price_call(price, usage, seconds)
    worst = worst_case(price, input_tokens=prompt, max_tokens=answer, seconds=seconds)
    assert cost is not None
    assert 0 <= cost <= worst
