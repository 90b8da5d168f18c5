"""Estimates as documents and pages tell them: what was expected, and how far it was off."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from evalrunner.values.money import usd_text
from evalrunner.values.result import CostEstimate, Remedy
from evalrunner.values.summary import Tally

_MILLION: Final = 10**6


def estimate_error(cost: CostEstimate, paid: Tally) -> Fraction | None:
    """By how much more than expected was paid, as a part of what was expected.

    ``None`` where nothing was expected, a cost is unknown or unmetered, or not all was asked that was
    meant to be.
    """
    incurred = paid.incurred.amount
    if cost.unmetered or paid.pays_unmetered:
        return None
    if not cost.expected or incurred is None or paid.not_run or paid.errored:
        return None
    return Fraction(incurred - cost.expected, cost.expected)


def priced(cost: CostEstimate) -> dict[str, object]:
    """What was expected to be paid, and at most."""
    found: dict[str, object] = {
        "expected_usd": usd_text(cost.expected),
        "maximum_usd": usd_text(cost.maximum),
    }
    return found | ({"unmetered": True} if cost.unmetered else {})


def remedied(remedy: Remedy) -> dict[str, object]:
    """One way to bring a run below its limits."""
    return {
        "action": remedy.action,
        "expected_usd": usd_text(remedy.expected),
        "saves_usd": usd_text(remedy.saves),
        "enough": remedy.enough,
    }


def correction_text(cost: CostEstimate) -> str | None:
    """What an estimate was multiplied with, as a decimal number."""
    return None if cost.correction is None else f"{Decimal(cost.correction) / _MILLION:f}"


def error_text(error: Fraction | None) -> str | None:
    """An error as a decimal number to four digits: ``0.05`` is five per cent more than expected.

    Example:
        >>> error_text(Fraction(1, 3)), error_text(Fraction(-1, 20)), error_text(None)
        ('0.3333', '-0.0500', None)
    """
    return None if error is None else f"{Decimal(round(error * 10**4)).scaleb(-4):f}"
