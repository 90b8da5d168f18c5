"""Two runs of the same cases: whether chance explains the difference, with the standard library alone.

Draws, prompts and targets of one golden row are no independent evidence, so everything here is told
which values belong to one cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import comb, sqrt
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.verdict.stats import beta_cdf

_MOST: Final = 1e6
_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The mean of ``head - base`` over pairs, with the interval of a clustered standard error.

    Attributes:
        mean: Of the paired differences; above 0 the head is better.
        low: The interval's lower end; ``None`` where fewer than two clusters leave no error to see.
        high: Its upper end.
        n: Pairs.
        clusters: Clusters that they form.
        confidence: Of the interval.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    confidence: float


def sign_flip_p(sums: Iterable[int]) -> tuple[float, float]:
    """How probable it is that chance alone makes the head so much worse, and so much better.

    Exact: under the null each cluster's sum is as likely as its negative, so the total's distribution
    is that of ``sum(+-|d|)``. Where every cluster is one pair this is McNemar's exact test, one-sided.

    Args:
        sums: For each cluster, passes gained minus passes lost.

    Returns:
        ``P(total <= observed)`` and ``P(total >= observed)``; 1 and 1 where nothing changed.

    Example:
        >>> sign_flip_p([-1, -1, -1, -1, -1])
        (0.03125, 1.0)
        >>> sign_flip_p([-2, 1, 0])
        (0.5, 0.75)
    """
    changed = [each for each in sums if each]
    ways: dict[int, int] = {0: 1}
    for size, number in sorted(Counter(map(abs, changed)).items()):
        ways = _with_flips(ways, size, number)
    observed, every = sum(changed), 2 ** len(changed)
    worse = sum(count for total, count in ways.items() if total <= observed)
    better = sum(count for total, count in ways.items() if total >= observed)
    return float(Fraction(worse, every)), float(Fraction(better, every))


def _with_flips(ways: Mapping[int, int], size: int, number: int) -> dict[int, int]:
    """The totals, and in how many ways each comes, with *number* more clusters of one size."""
    found: dict[int, int] = {}
    for up in range(number + 1):
        step, ways_up = size * (2 * up - number), comb(number, up)
        for total, count in ways.items():
            found[total + step] = found.get(total + step, 0) + count * ways_up
    return found


def paired_difference(
    differences: Mapping[str, Iterable[float]], confidence: float = 0.95
) -> PairedDifference | None:
    """The mean paired difference; ``None`` without a pair.

    The variance of the mean is ``G / (G - 1) * sum over clusters of (sum of (d - mean))^2 / n^2`` with G
    clusters, and the interval is Student's with G - 1 degrees of freedom (Miller, *Adding Error Bars
    to Evals*, 2024, with the usual small-sample factor).

    Args:
        differences: Head minus base, by cluster.
        confidence: Of the interval, between 0 and 1.

    Example:
        >>> found = paired_difference({"a": [0.5], "b": [0.0], "c": [0.1]})
        >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
        (0.2, -0.457, 0.857)
    """
    groups = [values for values in map(list, differences.values()) if values]
    n = sum(map(len, groups))
    if not n:
        return None
    mean = sum(map(sum, groups)) / n
    low = high = None
    if len(groups) > 1:
        squares = sum((sum(values) - mean * len(values)) ** 2 for values in groups)
        error = sqrt(squares * len(groups) / (len(groups) - 1)) / n
        reach = error * student_quantile((1 + confidence) / 2, len(groups) - 1)
        low, high = mean - reach, mean + reach
    return PairedDifference(
        mean=mean, low=low, high=high, n=n, clusters=len(groups), confidence=confidence
    )


def student_quantile(p: float, degrees: int) -> float:
    """The value that Student's t does not exceed with probability *p*, from 0.5 to below 1.

    Example:
        >>> round(student_quantile(0.975, 2), 3), round(student_quantile(0.975, 1_000_000), 2)
        (4.303, 1.96)
    """
    low, high = 0.0, _MOST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        tail = beta_cdf(degrees / (degrees + middle * middle), degrees / 2, 0.5) / 2
        low, high = (middle, high) if 1 - tail < p else (low, middle)
    return (low + high) / 2
