"""What is known, and decided, before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from evalrunner.engine.budgets import BUDGET, Limit, budget_gates, limits
from evalrunner.engine.estimate import Estimator, estimate
from evalrunner.engine.remedies import Situation, remedies
from evalrunner.engine.replay import Replay, replay
from evalrunner.engine.run_setup import RunSetup
from evalrunner.values.dataclass import dataclass
from evalrunner.values.forecast import Forecast
from evalrunner.values.money import ZERO
from evalrunner.values.result import CostEstimate, Decision, GateDecision, Outcome, Remedy
from evalrunner.verdict.gates import blocks
from evalrunner.verdict.ratio_words import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is known before anybody is asked.

    Attributes:
        known: The cases that kept answers have ended, and those that wait for one.
        estimator: What prices the waiting ones, case by case.
        forecast: What they will ask and cost.
        limits: What may be spent.
        budgets: The gates that were decided on that.
        ratio: What the ratio gate says to that; ``None`` where it is off.
        refused: Whether nothing may be asked.
    """

    known: Replay
    estimator: Estimator
    forecast: Forecast
    limits: tuple[Limit, ...]
    budgets: tuple[GateDecision, ...]
    ratio: Ruling | None
    refused: bool

    @property
    def gates(self) -> tuple[GateDecision, ...]:
        """Every gate that ruled before the start."""
        return (*self.budgets, self.ratio.gate) if self.ratio else self.budgets


def preflight(setup: RunSetup) -> Preflight:
    """Answers what is kept, and decides whether the rest may be asked for. Nothing is spent."""
    known = replay(setup.cases, setup.reader)
    if setup.sampler is not None:
        known.open += setup.sampler.verifications(setup.cases)
    estimator = estimate(known.open, setup.accounts, setup.habits)
    if setup.unseen:
        for index, result in known.finished.items():
            if result.outcome is Outcome.ERRORED:
                estimator.add_doubtful(setup.cases[index])
    forecast = estimator.forecast()
    found = _limits(setup, pays=bool(known.open))
    before = Preflight(
        known=known,
        estimator=estimator,
        forecast=forecast,
        limits=found,
        budgets=tuple(budget_gates(found, forecast, may_refuse=setup.preflight)),
        ratio=_ratio_before(setup, forecast),
        refused=False,
    )
    return replace(before, refused=not (lets_begin(setup, before.gates) or setup.warn_only))


def lets_begin(setup: RunSetup, gates: Iterable[GateDecision]) -> bool:
    """Whether these gates let the run begin: every budget holds, and no ratio stands against it."""
    return all(
        gate.decision is Decision.PASS
        if gate.name == BUDGET
        else not (setup.preflight and blocks(gate))
        for gate in gates
    )


def remedies_for(setup: RunSetup, before: Preflight) -> tuple[Remedy, ...]:
    """What would let a run begin that the gates refuse."""

    def holds(forecast: Forecast) -> bool:
        ratio = _ratio_before(setup, forecast)
        budgets = budget_gates(before.limits, forecast)
        return lets_begin(setup, (*budgets, ratio.gate) if ratio else budgets)

    situation = Situation(
        cases=setup.cases,
        waiting=before.known.open,
        estimator=before.estimator,
        forecast=before.forecast,
        accounts=setup.accounts,
        proxy=setup.proxy,
        from_cache=_from_cache(setup),
    )
    return remedies(situation, holds)


def _from_cache(setup: RunSetup) -> tuple[str, Forecast] | None:
    """What would be left to ask if the run used the cache, where it was told not to."""
    if setup.unused_cache is None:
        return None
    action, reader = setup.unused_cache()
    left = replay(setup.cases, reader).open
    return action, estimate(left, setup.accounts, setup.habits).forecast()


def _limits(setup: RunSetup, *, pays: bool) -> tuple[Limit, ...]:
    """What may be spent. A run that asks nobody leaves the month's account alone."""
    if setup.frozen:
        return ()
    counted = pays and setup.ceilings.month is not None
    return limits(setup.ceilings, setup.held_in_month() if counted else ZERO)


def _ratio_before(setup: RunSetup, forecast: Forecast) -> Ruling | None:
    if setup.ratio is None:
        return None
    names = [suite.name for suite in setup.suites]
    if setup.frozen:
        return setup.ratio.before(CostEstimate(expected=ZERO, maximum=ZERO), {}, names)
    return setup.ratio.before(forecast.estimate, forecast.by_suite, names)
