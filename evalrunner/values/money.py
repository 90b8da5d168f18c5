"""Money: exact, in whole picodollars, and never a binary float.

A picodollar is 10⁻¹² US dollars: the price of one token at one microdollar per million tokens. Every
published token price is a whole number of them, so that sums are exact and fit a database's integers.
Unknown money is ``None`` and stays so through every sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NewType

from evalrunner.values.dataclass import dataclass

Picodollars = NewType("Picodollars", int)

ZERO: Final = Picodollars(0)
PICO_PER_USD: Final = 10**12
_LARGEST_USD: Final = Decimal(10) ** 9


def from_usd(amount: str | int | Decimal) -> Picodollars:
    """Whole picodollars of a dollar amount; what lies below one is rounded up, against us.

    Raises:
        ValueError: The amount is not a finite number of at most a billion dollars.

    Example:
        >>> from_usd("0.05")
        50000000000
    """
    try:
        value = Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount of money") from None
    if not value.is_finite() or abs(value) > _LARGEST_USD:
        raise ValueError(f"{amount!r} is not a usable amount of money")
    scaled = (value * PICO_PER_USD).to_integral_value(ROUND_CEILING)
    return Picodollars(int(scaled))


@lru_cache(maxsize=1024)
def usd_text(amount: Picodollars | None) -> str | None:
    """The amount as an exact decimal string of dollars, ``None`` for unknown.

    Example:
        >>> usd_text(Picodollars(1_250_000_000)), usd_text(Picodollars(0)), usd_text(None)
        ('0.00125', '0', None)
    """
    if amount is None:
        return None
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), PICO_PER_USD)
    decimals = f"{rest:012d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def dollars(amount: int | None) -> str:
    """An amount for people: cents above a dollar, else three digits; never 0 for more than nothing.

    Example:
        >>> [dollars(pico) for pico in (0, 1, 125_400_000, 12_345_000_000, 4_567_000_000_000, None)]
        ['$0', '<$0.000001', '$0.000125', '$0.0123', '$4.57', 'unknown']
    """
    if amount is None:
        return "unknown"
    value = Decimal(abs(amount)) / PICO_PER_USD
    sign = "-" if amount < 0 else ""
    if value == 0:
        return "$0"
    if value < Decimal("0.000001"):
        return f"{sign}<$0.000001"
    if value >= 1:
        return f"{sign}${value:,.2f}"
    digits = 2 - value.adjusted()
    return f"{sign}${value:.{digits}f}".rstrip("0").rstrip(".")


def total(amounts: Iterable[Picodollars | None]) -> Picodollars | None:
    """The sum, or ``None`` as soon as one part is unknown.

    Example:
        >>> total([Picodollars(1), Picodollars(2)]), total([Picodollars(1), None])
        (3, None)
    """
    result = 0
    for amount in amounts:
        if amount is None:
            return None
        result += amount
    return Picodollars(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """The rates of a whole call whose prompt is longer than ``above`` input tokens."""

    above: int
    input: Picodollars
    output: Picodollars
    cached_input: Picodollars | None = None
    cache_write: Picodollars | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model's tokens cost, in picodollars a token, and where that is known from.

    Attributes:
        input: One input token.
        output: One output token.
        cached_input: One input token read from the provider's prompt cache; ``None``: as ``input``.
        cache_write: One input token written to it; ``None``: as ``input``.
        per_second: One second of a self-hosted endpoint's time.
        steps: Dearer rates of long prompts, in ascending order.
        source: The provenance: ``override``, ``free``, ``local``, or a price list and its version.
    """

    input: Picodollars = ZERO
    output: Picodollars = ZERO
    cached_input: Picodollars | None = None
    cache_write: Picodollars | None = None
    per_second: Picodollars = ZERO
    steps: tuple[PriceStep, ...] = ()
    source: str = "override"

    @property
    def free(self) -> bool:
        """Whether nothing is ever charged at this price."""
        return not self.per_second and self.tokens_free

    @property
    def tokens_free(self) -> bool:
        """Whether no token is ever charged at this price."""
        return not (
            self.input or self.output or self.cached_input or self.cache_write or self.steps
        )

    def at(self, input_tokens: int) -> Price:
        """The rates of a call with a prompt of that length."""
        for step in reversed(self.steps):
            if input_tokens > step.above:
                return replace(
                    self,
                    input=step.input,
                    output=step.output,
                    cached_input=step.cached_input,
                    cache_write=step.cache_write,
                    steps=(),
                )
        return self


def busy_cost(price: Price, seconds: float) -> Picodollars:
    """What an endpoint that is paid by the second costs for that long, begun milliseconds whole.

    Args:
        price: The endpoint's price.
        seconds: Finite and not negative.
    """
    milliseconds = math.ceil(round(seconds * 1000, 6))
    return Picodollars(-(-milliseconds * price.per_second // 1000))


def worst_case(price: Price, *, input_tokens: int, max_tokens: int, seconds: float) -> Picodollars:
    """The most that one call can cost: every token at its dearest rate, the whole deadline long."""
    dearest_input, dearest_output = _dearest(price)
    if price.steps:
        step_input, step_output = _dearest(price.at(input_tokens))
        dearest_input = max(dearest_input, step_input)
        dearest_output = max(dearest_output, step_output)
    tokens = input_tokens * dearest_input + max_tokens * dearest_output
    return Picodollars(tokens + (busy_cost(price, seconds) if price.per_second else 0))


def _dearest(rate: Price) -> tuple[int, int]:
    """The dearest that an input token and an output token can cost at a rate."""
    return max(rate.input, rate.cached_input or 0, rate.cache_write or 0), rate.output
