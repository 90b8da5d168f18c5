"""The Testing-to-Inference ratio: evals' part of all model spend, judged exactly and without optimism.

A ratio is an interval, since money may be: an incomplete ledger gives its lower end only, a partial
production its upper end only. A gate passes if the upper end does, fails if the lower end does, and
says otherwise that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction
from typing import Final

from evalrunner.values.amount import Amount
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import PICO_PER_USD
from evalrunner.values.project import CostGateConfig
from evalrunner.values.result import Decision

MONTH_DAYS: Final = Fraction(304, 10)
"""The days of a month, wherever a month is meant that is none of the calendar's."""

LEAST_DAYS: Final = 7
"""The days of production, or of a ledger's history, below which no rate is taken from them."""

USUAL_RUNS_PER_MONTH: Final = 110
"""Five runs on each of 22 working days: what is assumed where nobody says and nothing is on record."""


class Band(StrEnum):
    """How much of all model spend goes into evals, the least first."""

    HEALTHY = "healthy"
    WATCH = "watch"
    WARNING = "warning"
    CRITICAL = "critical"


INSUFFICIENT: Final = "insufficient_production"
INCONCLUSIVE: Final = "inconclusive"
SKIPPED: Final = "skipped"

_BANDS: Final = tuple(Band)
_NEVER: Final = len(_BANDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Evals' part of the total, between two ends from 0 to 1."""

    low: Fraction
    high: Fraction

    @property
    def exact(self) -> bool:
        """Whether both ends are one."""
        return self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An absolute budget, which decides where there is too little production to divide by."""

    name: str
    spent: Amount
    limit: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a ratio is judged on.

    Attributes:
        testing: What evals cost in the window, this run among them.
        production: What production cost in a window of the same length.
        month: What evals are going to cost in a month of 30.4 days.
        production_days: The days of the window that production's sources speak of.
        complete: Whether the ledger is as old as the window. A younger one has seen a part of the
            evals only: the window may fail, but never pass, and the projected ratio decides.
        pays: Whether this run pays anything, so that refusing it would save something.
        limits: The absolute budgets.
    """

    testing: Amount
    production: Amount
    month: Amount
    production_days: int
    complete: bool = True
    pays: bool = True
    limits: Sequence[Limit] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of it.

    Attributes:
        decision: What the gate says.
        status: A band, or why there is none.
        window: The ratio of the last days; ``None`` where there is nothing to divide.
        projected: The ratio of a month like this.
        shown: The end of the ruling ratio that decides.
        rule: ``window``, ``projected``, ``ceilings`` or ``nothing_paid``: which part ruled.
        limits: The absolute budgets that are passed, where these ruled.
    """

    decision: Decision
    status: str
    window: Share | None = None
    projected: Share | None = None
    shown: Fraction | None = None
    rule: str = ""
    limits: tuple[Limit, ...] = ()


def share_of(testing: Amount, production: Amount) -> Share | None:
    """Testing over testing and production; ``None`` where it is certain that both are nothing.

    Example:
        >>> share_of(Amount.exactly(15), Amount.exactly(85))
        Share(low=Fraction(3, 20), high=Fraction(3, 20))
        >>> share_of(Amount.exactly(15), Amount.at_least(85)).high
        Fraction(3, 20)
    """
    if testing.zero and production.zero:
        return None
    return Share(
        low=_part(testing.low, production.high, unknown=Fraction(0)),
        high=_part(testing.high, production.low, unknown=Fraction(1)),
    )


def over_production(share: Fraction) -> Fraction | None:
    """The same ratio over production alone; ``None`` where production is nothing.

    Example:
        >>> over_production(Fraction(15, 100))
        Fraction(3, 17)
    """
    return None if share >= 1 else share / (1 - share)


def band_of(share: Fraction, policy: CostGateConfig) -> Band:
    """The band of a ratio over the total, by the lines of the policy's basis.

    Exactly a line is *watch* at the first, and not above the line at the others.

    Example:
        >>> [band_of(Fraction(n, 100), CostGateConfig()).value for n in (4, 5, 15, 30, 31)]
        ['healthy', 'watch', 'watch', 'warning', 'critical']
    """
    healthy, warning, critical = lines_of(policy)
    if share < healthy:
        return Band.HEALTHY
    if share <= warning:
        return Band.WATCH
    return Band.WARNING if share <= critical else Band.CRITICAL


def lines_of(policy: CostGateConfig) -> tuple[Fraction, Fraction, Fraction]:
    """Where the bands end, as ratios over the total whatever the basis is.

    ``x`` of production is ``x / (1 + x)`` of the total, so that the two orders are one.
    """
    written = map(Fraction, (policy.healthy, policy.warning, policy.critical))
    if policy.basis == "total":
        healthy, warning, critical = written
    else:
        healthy, warning, critical = (line / (1 + line) for line in written)
    return healthy, warning, critical


def judge(evidence: Evidence, policy: CostGateConfig) -> Judgement:
    """Whether evals may cost what they do. What is not known never passes.

    A run that pays nothing is told its band and fails nothing.
    """
    window = share_of(evidence.testing, evidence.production)
    projected = share_of(evidence.month, evidence.production.times(MONTH_DAYS / policy.window_days))
    if _too_little(evidence, policy):
        judged = _by_limits(evidence.limits)
    elif window is None or projected is None:  # no evals, and production may be nothing
        judged = Judgement(decision=Decision.INCONCLUSIVE, status=INCONCLUSIVE)
    else:
        judged = _by_ratio(window, projected, evidence, policy)
    if not evidence.pays and judged.decision is not Decision.PASS:
        judged = _forgiven(judged)
    return replace(judged, window=window, projected=projected)


def _part(testing: Fraction | None, production: Fraction | None, *, unknown: Fraction) -> Fraction:
    if testing is None or production is None:
        return unknown
    whole = testing + production
    return testing / whole if whole else unknown


def _too_little(evidence: Evidence, policy: CostGateConfig) -> bool:
    """Whether production is certainly too small, or too young, to be divided by."""
    most = evidence.production.high
    least = Fraction(policy.min_production_usd, PICO_PER_USD)
    if most is not None and (most == 0 or most < least):
        return True
    return 0 < evidence.production_days < min(LEAST_DAYS, policy.window_days)


def _by_limits(limits: Sequence[Limit]) -> Judgement:
    """Absolute budgets: each has to hold, and where there is none nothing can be said."""
    passed = tuple(each for each in limits if each.spent.low > each.limit)
    unsure = [each for each in limits if each.spent.high is None or each.spent.high > each.limit]
    held = Decision.INCONCLUSIVE if unsure or not limits else Decision.PASS
    decision = Decision.FAIL if passed else held
    return Judgement(decision=decision, status=INSUFFICIENT, rule="ceilings", limits=passed)


def _by_ratio(
    window: Share, projected: Share, evidence: Evidence, policy: CostGateConfig
) -> Judgement:
    parts: list[tuple[str, Share, Decision]] = []
    if "window" in policy.on:
        parts.append(("window", window, _decision(window, policy)))
    if not evidence.complete:
        parts = [part for part in parts if part[2] is Decision.FAIL]
    if "projected" in policy.on or not evidence.complete:
        parts.append(("projected", projected, _decision(projected, policy)))
    for decision in (Decision.FAIL, Decision.INCONCLUSIVE, Decision.PASS):
        ruling = [(rule, share) for rule, share, each in parts if each is decision]
        if ruling:
            return _ruled(decision, ruling, policy)
    raise AssertionError("one of the two ratios decides")


def _decision(share: Share, policy: CostGateConfig) -> Decision:
    line = _NEVER if policy.fail_on == "never" else _BANDS.index(Band(policy.fail_on))
    if _BANDS.index(band_of(share.low, policy)) >= line:
        return Decision.FAIL
    if share.high == 1:
        return (
            Decision.INCONCLUSIVE
        )  # no upper end is known: it passes not even where nothing fails
    passes = _BANDS.index(band_of(share.high, policy)) < line
    return Decision.PASS if passes else Decision.INCONCLUSIVE


def _ruled(
    decision: Decision, ruling: Iterable[tuple[str, Share]], policy: CostGateConfig
) -> Judgement:
    """The worst of the ratios that came to this decision, by the end that brought it there."""
    failed = decision is Decision.FAIL
    rule, shown = max(
        ((rule, share.low if failed else share.high) for rule, share in ruling),
        key=lambda part: part[1],
    )
    if decision is Decision.INCONCLUSIVE:
        return Judgement(decision=decision, status=INCONCLUSIVE, rule=rule)
    return Judgement(decision=decision, status=band_of(shown, policy).value, rule=rule, shown=shown)


def _forgiven(judged: Judgement) -> Judgement:
    return replace(judged, decision=Decision.SKIPPED, rule="nothing_paid", limits=())
