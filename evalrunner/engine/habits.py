"""What earlier runs tell about the calls of a suite: how long they were, how often they were needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from functools import lru_cache
from typing import Final

from evalrunner.engine.ports import PastEstimate, Settlement, Usual
from evalrunner.values.dataclass import dataclass
from evalrunner.values.pricing import plausible

MILLION: Final = 10**6
LEAST_CORRECTION: Final = MILLION // 2
MOST_CORRECTION: Final = MILLION * 2
CORRECTED_BY: Final = 5
"""So many past estimates of a suite have a say in its next one."""

Kind = tuple[str, str, str]
"""Suite, endpoint and role of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is known of a project's calls before a run.

    Attributes:
        usual: By suite, endpoint and role, what recent calls were like.
        corrections: By suite, what its next estimate is multiplied with, in millionths (see
            :func:`correction`).
    """

    usual: Mapping[Kind, Usual] = field(default_factory=dict[Kind, Usual])
    corrections: Mapping[str, int] = field(default_factory=dict[str, int])

    def knows(self, kind: Kind) -> bool:
        """Whether there were such calls."""
        return kind in self.usual

    def output_tokens(self, kind: Kind) -> Fraction | None:
        """The usual length of an answer."""
        usual = self.usual.get(kind)
        return None if usual is None else _exact(usual.output_tokens)

    def prompt_ratio(self, kind: Kind) -> Fraction:
        """Tokens that prompts turned out to have, over those that their size had suggested."""
        usual = self.usual.get(kind)
        if usual is None or not usual.guessed_tokens or not usual.input_tokens:
            return Fraction(1)
        return _exact(usual.input_tokens) / _exact(usual.guessed_tokens)

    def cost(self, kind: Kind) -> Fraction | None:
        """What such a call cost on average, in picodollars."""
        usual = self.usual.get(kind)
        return None if usual is None else _exact(usual.cost)

    def confirmed(self, suite: str, proxy: str, target: str) -> Fraction:
        """The part of the proxy's answers that the target was asked to confirm."""
        asked = self._count((suite, proxy, "subject"))
        return min(_ONE, Fraction(self._count((suite, target, "confirm")), asked or 1))

    def judged(self, suite: str, judge: str) -> Fraction | None:
        """Verdicts asked of a judge for each answer; ``None`` where there were no answers."""
        answers = sum(
            usual.count
            for (name, _, role), usual in self.usual.items()
            if name == suite and role != "judge"
        )
        return Fraction(self._count((suite, judge, "judge")), answers) if answers else None

    def correction(self, suite: str) -> int:
        """What the suite's estimate is multiplied with, in millionths."""
        return self.corrections.get(suite, MILLION)

    def _count(self, kind: Kind) -> int:
        usual = self.usual.get(kind)
        return 0 if usual is None else usual.count


_ONE: Final = Fraction(1)


def correction(past: Iterable[PastEstimate]) -> int:
    """What the next estimate is multiplied with, in millionths, so that it errs less than the last ones.

    It is what the last :data:`CORRECTED_BY` estimated runs paid over what they would have been expected
    to pay without any correction, large runs counting for more than small ones::

        correction = sum(incurred) / sum(expected / correction then),  held between 1/2 and 2

    An estimate that had no history to go by teaches nothing, since the next one has.

    Example:
        >>> correction([])
        1000000
    """
    taught = [one for one in past if one.correction][:CORRECTED_BY]
    uncorrected = sum((Fraction(one.expected, one.correction or 1) for one in taught), Fraction(0))
    if not uncorrected:
        return MILLION
    paid = sum(one.incurred for one in taught)
    return min(MOST_CORRECTION, max(LEAST_CORRECTION, round(paid / uncorrected)))


def habits_of(usual: Mapping[Kind, Usual], past: Mapping[str, Sequence[PastEstimate]]) -> Habits:
    """What a ledger's history comes to."""
    return Habits(usual=usual, corrections={suite: correction(of) for suite, of in past.items()})


def length_of(settlement: Settlement) -> tuple[int, int, int, int, int] | None:
    """One call's part in the sums behind :class:`Usual`; ``None`` where it teaches nothing."""
    usage = settlement.usage
    uncounted = usage.input_tokens is None and usage.output_tokens is None
    if settlement.status != "ok" or settlement.cost is None:
        return None
    if uncounted:
        return 1, 0, 0, 0, settlement.cost
    if not plausible(usage):
        return None
    read = usage.input_tokens or 0
    guessed = read if settlement.guessed_tokens is None else settlement.guessed_tokens
    return 1, read, usage.output_tokens or 0, guessed, settlement.cost


@lru_cache(maxsize=256)
def _exact(number: float) -> Fraction:
    return Fraction(number).limit_denominator(MILLION)
