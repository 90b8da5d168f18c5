"""What a run is expected to ask and to pay, before its first call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from fractions import Fraction

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Tier
from evalrunner.values.money import Picodollars, total
from evalrunner.values.result import CostEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForecast:
    """The calls of one suite to one endpoint in one role.

    Attributes:
        role: ``subject``, ``confirm`` or ``judge``.
        calls: How many are expected; a call that only may come counts for its probability.
        most_calls: How many there are if everything fails and is confirmed and tried again.
        input_tokens: Expected, all calls together.
        output_tokens: The same of what is answered.
        expected: What they are expected to cost, exact, in picodollars; ``None`` is unknown.
        maximum: The most that they can cost; ``None`` where nothing bounds it.
        unmetered: Whether they go to an application that has never said that its answers cost anything,
            so that ``expected`` is the least.
    """

    suite: str
    endpoint: str
    tier: Tier
    role: str
    calls: Fraction
    most_calls: int
    input_tokens: Fraction
    output_tokens: Fraction
    expected: Fraction | None
    maximum: Picodollars | None
    unmetered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """All calls that may follow, by suite, endpoint and role.

    Attributes:
        calls: The parts; sums are derived, never stored beside them.
        corrections: What each suite's costs have been multiplied with, in millionths; suites of which
            some calls are expected that the ledger knows nothing like are not in it.
    """

    calls: tuple[CallForecast, ...] = ()
    corrections: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that something is asked for, in order."""
        return tuple(dict.fromkeys(part.suite for part in self.calls))

    @property
    def estimate(self) -> CostEstimate:
        """The cost of everything."""
        return estimate_of(self.calls)

    @property
    def by_suite(self) -> dict[str, CostEstimate]:
        """The cost of each suite."""
        return {
            suite: replace(
                estimate_of(part for part in self.calls if part.suite == suite),
                correction=self.corrections.get(suite),
            )
            for suite in self.suites
        }

    def summed(self, name: Callable[[CallForecast], str]) -> Mapping[str, tuple[CallForecast, ...]]:
        """The parts by what *name* says of each, in order of name."""
        groups: dict[str, list[CallForecast]] = {}
        for part in self.calls:
            groups.setdefault(name(part), []).append(part)
        return {key: tuple(groups[key]) for key in sorted(groups)}


def estimate_of(parts: Iterable[CallForecast]) -> CostEstimate:
    """What some calls cost together; the expected part is rounded up to whole picodollars."""
    parts = tuple(parts)
    expected: Picodollars | None = None
    amounts = [part.expected for part in parts]
    if None not in amounts:
        expected = Picodollars(ceiling(sum(filter(None, amounts), Fraction(0))))
    return CostEstimate(
        expected=expected,
        maximum=total(part.maximum for part in parts),
        unmetered=any(part.unmetered and part.calls for part in parts),
    )


def ceiling(amount: Fraction) -> int:
    """The next whole number.

    Example:
        >>> ceiling(Fraction(7, 3)), ceiling(Fraction(2))
        (3, 2)
    """
    return -(-amount.numerator // amount.denominator)
