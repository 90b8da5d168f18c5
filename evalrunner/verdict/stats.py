"""The exact interval of a rate (Clopper and Pearson), with the standard library alone.

One interval serves the summary and the gates, so that no report shows two. It is the exact one,
since gates live near a rate of 1, where the usual approximations promise more than they keep.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import exp, lgamma, log, log1p
from typing import Final

from evalrunner.values.result import Estimate

_STEPS: Final = 200
_TINY: Final = 1e-300
_CLOSE: Final = 1e-15


def pass_rate(passed: int, n: int, confidence: float = 0.95) -> Estimate:
    """The observed rate with its exact interval; without observations there is no value.

    Raises:
        ValueError: The counts or the confidence are impossible.

    Example:
        >>> pass_rate(0, 0)
        Estimate(value=None, low=None, high=None, n=0, confidence=0.95)
        >>> rate = pass_rate(9, 10)
        >>> rate.value, round(rate.low, 3), round(rate.high, 3)
        (0.9, 0.555, 0.997)
    """
    _require(passed, n, confidence)
    if n == 0:
        return Estimate(value=None, low=None, high=None, n=0, confidence=confidence)
    low, high = clopper_pearson(passed, n, confidence)
    return Estimate(value=passed / n, low=low, high=high, n=n, confidence=confidence)


def clopper_pearson(passed: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval (Clopper and Pearson, 1934): it covers at least *confidence*.

    One-sided bounds at level ``a`` are its ends at ``confidence = 2 a - 1``.

    Raises:
        ValueError: The counts or the confidence are impossible, or ``n`` is 0.

    Example:
        >>> low, high = clopper_pearson(59, 59, 0.90)
        >>> round(low, 5), high
        (0.95049, 1.0)
    """
    _require(passed, n, confidence)
    if n == 0:
        raise ValueError("a rate of nothing has no interval")
    tail = (1 - confidence) / 2
    if passed == n:
        return tail ** (1 / n), 1.0
    if passed == 0:
        return 0.0, 1 - tail ** (1 / n)
    low = _root(lambda p: beta_cdf(p, passed, n - passed + 1) - tail)
    high = _root(lambda p: beta_cdf(p, passed + 1, n - passed) - (1 - tail))
    return low, high


def gate_reachable(n: int, min_pass_rate: Decimal, confidence: float) -> bool:
    """Whether *n* rows that all pass would put the interval's lower end at *min_pass_rate*.

    Where they would not, the gate can only ever be inconclusive or fail.

    Example:
        >>> gate_reachable(20, Decimal("0.95"), 0.95), gate_reachable(80, Decimal("0.95"), 0.95)
        (False, True)
    """
    if not min_pass_rate.is_finite() or n <= 0:
        return False
    return Decimal(clopper_pearson(n, n, confidence)[0]) >= min_pass_rate


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.

    It is P(Binomial(a + b - 1, x) >= a) for whole numbers (Press et al., Numerical Recipes, 6.4).
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _not_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1.0 / _not_zero(1 + numerator * d)
            c = _not_zero(1 + numerator / c)
            result *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return result


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function on 0 to 1 crosses zero, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _require(passed: int, n: int, confidence: float) -> None:
    if not 0 <= passed <= n:
        raise ValueError(f"{passed} of {n} cannot have passed")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence!r} is not between 0 and 1")
