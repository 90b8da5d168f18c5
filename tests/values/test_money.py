"""Money is exact: sums of any order are equal, and text says every picodollar."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.money import (
    PICO_PER_USD,
    Picodollars,
    Price,
    from_usd,
    total,
    usd_text,
    worst_case,
)

amounts = st.integers(min_value=-(10**20), max_value=10**20).map(Picodollars)


@given(amounts)
def test_text_is_exact(amount: Picodollars) -> None:
    text = usd_text(amount)
    assert text is not None
    assert Fraction(Decimal(text)) == Fraction(amount, PICO_PER_USD)


@given(amounts)
def test_text_comes_back(amount: Picodollars) -> None:
    text = usd_text(amount)
    assert text is not None
    assert from_usd(text) == amount


@given(st.lists(st.none() | amounts))
def test_one_unknown_makes_the_sum_unknown(parts: list[Picodollars | None]) -> None:
    known = [part for part in parts if part is not None]
    assert total(parts) == (sum(known) if len(known) == len(parts) else None)


def test_what_lies_below_a_picodollar_is_rounded_against_us() -> None:
    assert from_usd("0.0000000000001") == 1


@pytest.mark.parametrize("text", ["", "NaN", "inf", "-Infinity", "1e40", "five", "0x10"])
def test_what_is_not_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="money"):
        from_usd(text)


def test_worst_case_takes_the_dearest_rate_of_each_part() -> None:
    price = Price(
        input=Picodollars(10),
        cache_write=Picodollars(12),
        output=Picodollars(100),
        per_second=Picodollars(1_000),
    )
    worst = worst_case(price, input_tokens=5, max_tokens=7, seconds=2.0)
    assert worst == 5 * 12 + 7 * 100 + 2 * 1_000


def test_a_price_that_charges_nothing_is_free() -> None:
    assert Price().free
    assert not Price(per_second=Picodollars(1)).free
