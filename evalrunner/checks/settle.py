"""When a case's verdict is settled, and what it is: the rules that turn checks into an outcome.

Without a threshold of the case every check with a weight must hold. With one the weighted mean of the
scores decides alone. A check of weight 0 is a measurement: it never decides anything. An errored check
makes the case errored, unless the case has failed whatever that check would have said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from evalrunner.checks.base import Check
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CheckResult, Outcome

_DECIDED = (Outcome.PASSED, Outcome.FAILED)


def is_settled(
    checks: Sequence[Check], results: Sequence[CheckResult | None], threshold: float | None
) -> bool:
    """Whether no judge that is still to be asked can change the outcome, so that none needs pay.

    Args:
        checks: All checks of the case.
        results: For each check its verdict, ``None`` where it is still open.
        threshold: The case's threshold.

    A case that only waits for checks of weight 0 is not settled: they are asked for their own sake.
    """
    known = [result for result in results if result is not None]
    open_weights = [
        check.spec.weight
        for check, result in zip(checks, results, strict=True)
        if result is None and check.spec.weight > 0
    ]
    if _failed_for_certain(known, open_weights, threshold):
        return True
    if threshold is None or not open_weights or any(_errored(result) for result in known):
        return False
    low, _ = _mean_range(known, open_weights)
    return low >= _exact(threshold)


def case_outcome(
    results: Sequence[CheckResult], threshold: float | None
) -> tuple[Outcome, str | ModelText]:
    """The case's outcome, and one line that says why it did not pass.

    Means are only taken where there is a threshold to hold them against. A case without checks passes.
    """
    if _failed_for_certain(results, (), threshold):
        return Outcome.FAILED, _why_failed(results, threshold)
    for result in results:
        if _errored(result):
            return Outcome.ERRORED, _told(result)
    return Outcome.PASSED, ""


def _failed_for_certain(
    known: Sequence[CheckResult], open_weights: Sequence[float], threshold: float | None
) -> bool:
    if threshold is None:
        return any(result.outcome is Outcome.FAILED and result.weight > 0 for result in known)
    _, high = _mean_range(known, open_weights)
    return high < _exact(threshold)


def _mean_range(
    known: Sequence[CheckResult], open_weights: Sequence[float]
) -> tuple[Fraction, Fraction]:
    """The least and the greatest mean that the undecided checks still allow."""
    earned = undecided = whole = Fraction(0)
    for result in _counted(known):
        weight = _exact(result.weight)
        whole += weight
        if result.outcome in _DECIDED:
            earned += weight * _score(result)
        else:
            undecided += weight
    for open_weight in open_weights:
        whole += _exact(open_weight)
        undecided += _exact(open_weight)
    if not whole:
        return Fraction(1), Fraction(1)
    return earned / whole, (earned + undecided) / whole


def _counted(results: Iterable[CheckResult]) -> Iterable[CheckResult]:
    return (result for result in results if result.weight > 0)


def _errored(result: CheckResult) -> bool:
    return result.outcome is Outcome.ERRORED and result.weight > 0


def _score(result: CheckResult) -> Fraction:
    if result.score is None:
        return Fraction(result.outcome is Outcome.PASSED)
    return _exact(result.score)


def _exact(number: float) -> Fraction:
    """The number that was written, so that three times 0.7 has the mean 0.7 and not a little less."""
    return Fraction(int(number)) if number == int(number) else Fraction(repr(float(number)))


def _why_failed(results: Sequence[CheckResult], threshold: float | None) -> str | ModelText:
    if threshold is not None:
        low, high = _mean_range(results, ())
        reached = f"{float(high):.6g}" if low == high else f"at most {float(high):.6g}"
        return f"score {reached} is below the threshold {threshold:g}"
    failed = (result for result in _counted(results) if result.outcome is Outcome.FAILED)
    return _told(next(iter(failed)))


def _told(result: CheckResult) -> str | ModelText:
    """The check's own reason behind its name; model text stays model text."""
    if isinstance(result.reason, ModelText):
        return ModelText(f"{result.type}: {result.reason.raw}")
    return f"{result.type}: {result.reason}" if result.reason else result.type
