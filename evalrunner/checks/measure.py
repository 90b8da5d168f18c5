"""Checks of what an answer took: time and money."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.text import verdict
from evalrunner.values.money import PICO_PER_USD, usd_text
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

_MS_PER_SECOND: Final = 1000


def latency(spec: CheckSpec) -> Grade:
    """The answer took at most ``threshold`` milliseconds on the wire, when it was generated.

    An answer from the store counts with the latency that it had. Where that is unknown, the check
    is an error.
    """
    del spec
    return _latency


def _latency(context: CheckContext) -> Score:
    found, limit = context.response.latency_seconds * _MS_PER_SECOND, _limit(context)
    if not found > 0:
        raise ValueError("the latency of the answer is unknown")
    return verdict(found <= limit, f"took {found:.6g} ms, at most {limit:g} ms wanted")


def cost(spec: CheckSpec) -> Grade:
    """The answer costs at most ``threshold`` US dollars at today's prices, cached or not.

    An unknown cost is an error, never zero.
    """
    del spec
    return _cost


def _cost(context: CheckContext) -> Score:
    limit = _limit(context)
    if context.cost is None:
        raise ValueError("the cost of the answer is unknown")
    holds = context.cost <= Decimal(repr(limit)) * PICO_PER_USD
    return verdict(holds, f"costs ${usd_text(context.cost)}, at most ${limit:g} wanted")


def _limit(context: CheckContext) -> float:
    if context.threshold is None:
        raise ValueError("a threshold is missing")
    return context.threshold
