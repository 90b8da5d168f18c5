"""What a user's application may return instead of bare text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from evalrunner.values.dataclass import dataclass

USAGE_NAMES: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An application's answer, and what it cost to make.

    Attributes:
        output: The text that checks look at.
        usage: Tokens by name: ``input_tokens``, ``output_tokens``, ``cached_input_tokens``,
            ``cache_write_tokens``, ``reasoning_tokens``. Left out, the cost is unmetered.
        usd: What the answer cost, in US dollars, where the application knows it. Text or a
            ``Decimal`` is exact; a float counts as what it prints.
        calls: How many model calls it took.

    Example:
        >>> Answer("Paris", usage={"input_tokens": 12, "output_tokens": 1}).output
        'Paris'
    """

    output: str
    usage: Mapping[str, int] | None = None
    usd: str | int | float | Decimal | None = None
    calls: int | None = None
