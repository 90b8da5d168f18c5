"""Two runs, paired by case: what got worse, what got better, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A base run and a head run, by case id; ids are sorted.

    Attributes:
        regressions: Passed in the base, failed in the head.
        improvements: Failed in the base, passed in the head.
        undecided: In both, but without a verdict (passed or failed) in one of them.
        added: Only in the head.
        removed: Only in the base.
        unchanged: How many kept their verdict.
        p_value: McNemar's exact two-sided probability of so lopsided a change by chance.
    """

    regressions: tuple[str, ...] = ()
    improvements: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    p_value: float = 1.0


def compare(base: Mapping[str, Outcome], head: Mapping[str, Outcome]) -> Comparison:
    """Pairs two runs by id. A case without a verdict is neither a regression nor an improvement."""
    both = sorted(base.keys() & head.keys())
    decided = [key for key in both if base[key] in _VERDICTS and head[key] in _VERDICTS]
    changed = [key for key in decided if base[key] is not head[key]]
    worse = tuple(key for key in changed if base[key] is Outcome.PASSED)
    better = tuple(key for key in changed if base[key] is Outcome.FAILED)
    return Comparison(
        regressions=worse,
        improvements=better,
        undecided=tuple(sorted(set(both).difference(decided))),
        added=tuple(sorted(head.keys() - base.keys())),
        removed=tuple(sorted(base.keys() - head.keys())),
        unchanged=len(decided) - len(changed),
        p_value=mcnemar(len(worse), len(better)),
    )


def mcnemar(worse: int, better: int) -> float:
    """The exact two-sided p-value of McNemar's test: ``2 P(Binomial(b + c, 1/2) <= min(b, c))``.

    Exact in whole numbers, at most 1, and 1 where nothing changed.

    Example:
        >>> mcnemar(5, 0), mcnemar(3, 3), mcnemar(0, 0)
        (0.0625, 1.0, 1.0)
    """
    n = worse + better
    term = tail = 1
    for k in range(min(worse, better)):
        term = term * (n - k) // (k + 1)
        tail += term
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))


_VERDICTS: Final = frozenset({Outcome.PASSED, Outcome.FAILED})
