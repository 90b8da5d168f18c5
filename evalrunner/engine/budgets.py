"""The budget gates before anything is spent: does the expected cost fit below every ceiling?"""

from __future__ import annotations

from collections.abc import Iterator

from evalrunner.values.ceilings import Ceilings
from evalrunner.values.dataclass import dataclass
from evalrunner.values.forecast import Forecast
from evalrunner.values.money import ZERO, Picodollars, usd_text
from evalrunner.values.result import CostEstimate, Decision, GateDecision

BUDGET = "budget"
APPLICATION = (
    "an application says what it cost when it has answered, so that what is in flight may pass"
    " the ceiling"
)
_NOTHING = CostEstimate(expected=ZERO, maximum=ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The room that a ceiling leaves, and how it is told.

    Attributes:
        suite: The suite that it is a ceiling of; ``None`` for the whole run.
        room: What may still be spent.
        told: The ceiling in words.
    """

    suite: str | None
    room: Picodollars
    told: str


def limits(ceilings: Ceilings, held_in_month: Picodollars = ZERO) -> tuple[Limit, ...]:
    """What a run may spend as a whole, the tighter of its own ceiling and the month's, and each suite."""
    whole: list[Limit] = []
    if ceilings.run is not None:
        whole.append(
            Limit(suite=None, room=ceilings.run, told=f"ceiling ${usd_text(ceilings.run)}")
        )
    if ceilings.month is not None:
        room = Picodollars(max(0, ceilings.month - held_in_month))
        told = f"${usd_text(room)} left of this month's ${usd_text(ceilings.month)}"
        if not held_in_month:
            told = f"this month's ceiling ${usd_text(ceilings.month)}"
        whole.append(Limit(suite=None, room=room, told=told))
    suites = (
        Limit(suite=suite, room=limit, told=f"ceiling ${usd_text(limit)}")
        for suite, limit in ceilings.suites.items()
    )
    return (*sorted(whole, key=lambda limit: limit.room)[:1], *suites)


def budget_gates(
    found: tuple[Limit, ...], forecast: Forecast, *, may_refuse: bool = True
) -> Iterator[GateDecision]:
    """A decision for each limit: only an *expected* cost can refuse a start, never a maximum.

    Args:
        found: From :func:`limits`.
        forecast: What will be asked.
        may_refuse: Whether the expected cost decides at all (``--no-preflight``).
    """
    by_suite = forecast.by_suite
    for limit in found:
        cost = forecast.estimate if limit.suite is None else by_suite.get(limit.suite, _NOTHING)
        if cost.expected is None:
            yield _undecided(limit, forecast)
        else:
            yield _decided(limit, cost, cost.expected, may_refuse=may_refuse)


def _undecided(limit: Limit, forecast: Forecast) -> GateDecision:
    """Nobody knows what some model costs that would be asked."""
    parts = [part for part in forecast.calls if limit.suite in (None, part.suite)]
    names = sorted({part.endpoint for part in parts if part.expected is None})
    verb = "has" if len(names) == 1 else "have"
    return GateDecision(
        name=BUDGET,
        suite=limit.suite,
        decision=Decision.INCONCLUSIVE,
        limit=usd_text(limit.room),
        detail=f"{', '.join(names[:6])} {verb} no known price, so that no ceiling can hold: "
        "say price: under models: in evalrunner.yaml",
    )


def _decided(
    limit: Limit, cost: CostEstimate, expected: Picodollars, *, may_refuse: bool
) -> GateDecision:
    over = may_refuse and expected > limit.room
    more = " or more" if cost.unmetered else ""
    detail = f"expected ${usd_text(expected)}{more}, {limit.told}"
    if not over:
        detail += _beyond(cost.maximum, limit)
    return GateDecision(
        name=BUDGET,
        suite=limit.suite,
        decision=Decision.FAIL if over else Decision.PASS,
        observed=usd_text(expected),
        limit=usd_text(limit.room),
        detail=detail + ("; nothing was spent" if over else ""),
    )


def _beyond(maximum: Picodollars | None, limit: Limit) -> str:
    """What is to be said of the worst case, where that is more than the room or knows no bound."""
    if maximum is None:
        return f"; {APPLICATION}"
    if maximum > limit.room:
        return f"; the worst case, ${usd_text(maximum)}, would stop at the ceiling"
    return ""
