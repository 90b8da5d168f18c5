"""What one call cost, from its price and the tokens that the provider counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, Usage
from evalrunner.values.money import ZERO, Picodollars, Price, busy_cost

_MOST_TOKENS: Final = 10**9
_MOST_SECONDS: Final = 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """That nobody knows a price, and why: what it would be is never guessed."""

    reason: str


PROCESSINGS: Final = ("standard", "batch", "flex", "priority")
"""How a provider may handle a call at a price of its own."""


def processing_of(params: Mapping[str, Json]) -> str:
    """How calls with these parameters are handled, as they ask for it.

    Example:
        >>> processing_of({"service_tier": "flex"}), processing_of({"service_tier": "auto"})
        ('flex', 'standard')
    """
    asked = params.get("service_tier")
    return asked if isinstance(asked, str) and asked in PROCESSINGS else "standard"


def price_call(price: Price, usage: Usage, seconds: float) -> Picodollars | None:
    """The exact cost of a call, or ``None`` where it cannot be known.

    Nothing that a provider sent makes it negative or a guess: a count that is missing, no whole
    number, negative, beyond reason or larger than the whole it is part of makes the cost unknown.

    Args:
        price: What the endpoint's tokens and seconds cost.
        usage: The counts as they came.
        seconds: How long the endpoint was busy; counts only where it is paid by the second.

    Example:
        >>> price = Price(input=Picodollars(1000), output=Picodollars(4000))
        >>> price_call(price, Usage(input_tokens=10, output_tokens=5), 0.2)
        30000
        >>> price_call(price, Usage(), 0.2) is None
        True
    """
    if price.free:
        return ZERO
    busy = _busy_cost(price, seconds)
    tokens = _token_cost(price, usage)
    return None if busy is None or tokens is None else Picodollars(busy + tokens)


def _busy_cost(price: Price, seconds: float) -> int | None:
    if not price.per_second:
        return 0
    if not (math.isfinite(seconds) and 0 <= seconds <= _MOST_SECONDS):
        return None
    return busy_cost(price, seconds)


def _token_cost(price: Price, usage: Usage) -> int | None:
    """What the tokens cost: those read from or written to a prompt cache at rates of their own."""
    if price.tokens_free:
        return 0
    if not plausible(usage):
        return None
    rates = price.at(usage.input_tokens or 0)
    read, written = usage.cached_input_tokens, usage.cache_write_tokens
    read_rate = rates.input if rates.cached_input is None else rates.cached_input
    write_rate = rates.input if rates.cache_write is None else rates.cache_write
    plain = (usage.input_tokens or 0) - read - written
    prompt = plain * rates.input + read * read_rate + written * write_rate
    return prompt + (usage.output_tokens or 0) * rates.output


def plausible(usage: Usage) -> bool:
    """Whether all counts are there and can be: whole, within reason, no part above its whole."""
    read, written, reasoning = (
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
    for count in (usage.input_tokens, usage.output_tokens, read, written, reasoning):
        if type(count) is not int or not 0 <= count <= _MOST_TOKENS:
            return False
    return read + written <= (usage.input_tokens or 0) and reasoning <= (usage.output_tokens or 0)
