"""A sum of money that may be known between two ends only; exact, in dollars."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import PICO_PER_USD, Picodollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Money between ``low`` and ``high`` dollars; without ``high`` nobody knows how much it may be.

    Neither end is below zero, and ``high`` is not below ``low``: what says otherwise is no amount,
    and becomes one that nobody knows. So nothing that is computed from it can look better than it is.

    Example:
        >>> Amount.between(0, 1) + Amount.exactly(2)
        Amount(low=Fraction(2, 1), high=Fraction(3, 1))
        >>> Amount.between(-1, 5) == UNKNOWN
        True
    """

    low: Fraction
    high: Fraction | None

    @classmethod
    def between(cls, low: Fraction | int, high: Fraction | int | None) -> Amount:
        """The amount with these ends, or :data:`UNKNOWN` where they are impossible."""
        if low < 0 or (high is not None and high < low):
            return UNKNOWN
        return cls(low=Fraction(low), high=None if high is None else Fraction(high))

    @classmethod
    def exactly(cls, dollars: Fraction | int) -> Amount:
        """An amount that is known."""
        return cls.between(dollars, dollars)

    @classmethod
    def at_least(cls, dollars: Fraction | int) -> Amount:
        """An amount of which a part is known."""
        return cls.between(dollars, None)

    @classmethod
    def of(cls, pico: Picodollars | None) -> Amount:
        """A sum of the ledger; ``None``, the unknown price, is :data:`UNKNOWN`."""
        return UNKNOWN if pico is None else cls.exactly(Fraction(pico, PICO_PER_USD))

    @property
    def exact(self) -> bool:
        """Whether both ends are one."""
        return self.low == self.high

    @property
    def zero(self) -> bool:
        """Whether it is certainly nothing."""
        return self.high == 0

    def __add__(self, other: Amount) -> Amount:
        both = None if self.high is None or other.high is None else self.high + other.high
        return Amount.between(self.low + other.low, both)

    def less(self, part: Amount) -> Amount:
        """What is left without a part that lies inside it; never below zero.

        Example:
            >>> Amount.exactly(10).less(Amount.between(2, 3))
            Amount(low=Fraction(7, 1), high=Fraction(8, 1))
        """
        low = Fraction(0) if part.high is None else max(Fraction(0), self.low - part.high)
        high = None if self.high is None else max(Fraction(0), self.high - part.low)
        return Amount.between(low, high)

    def times(self, factor: Fraction | int) -> Amount:
        """So many times as much; *factor* is not negative."""
        return Amount.between(self.low * factor, None if self.high is None else self.high * factor)


UNKNOWN: Final = Amount(low=Fraction(0), high=None)
"""Money of which nothing is known."""

NOTHING: Final = Amount(low=Fraction(0), high=Fraction(0))
"""No money at all."""


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum of amounts."""
    return sum(amounts, NOTHING)
