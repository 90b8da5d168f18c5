"""What a plan says: what a run would find, ask and pay, without having asked anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from evalrunner.values.dataclass import dataclass
from evalrunner.values.forecast import Forecast
from evalrunner.values.result import (
    CacheInfo,
    CaseRef,
    CostEstimate,
    CostRatio,
    Failure,
    GateDecision,
    Remedy,
    RunInfo,
)
from evalrunner.values.summary import Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the store answers of a suite.

    Attributes:
        cases: All of the suite's.
        waiting: Those that would have to ask.
        hits: Requests that the store answers.
        nominal: What these would cost with an empty cache, each question once.
    """

    cases: int = 0
    waiting: int = 0
    hits: int = 0
    nominal: Spent = Spent()

    def __add__(self, other: Found) -> Found:
        return Found(
            cases=self.cases + other.cases,
            waiting=self.waiting + other.waiting,
            hits=self.hits + other.hits,
            nominal=self.nominal + other.nominal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A case that would have to ask: its first question without an answer, and its price.

    Attributes:
        endpoint: Who would be asked.
        price: What that and everything after it costs.
        cause: Why the store has no answer, where that is known.
    """

    case: CaseRef
    tier: str
    endpoint: str
    role: str
    price: CostEstimate
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """Everything that a plan has to say; see the plan document.

    Attributes:
        run: The run that was planned, as if it had been made.
        found: What the store answers, by suite.
        forecast: What would be asked.
        misses: The cases that would ask, in their order.
        estimate: What all of it would cost.
    """

    run: RunInfo
    found: Mapping[str, Found]
    forecast: Forecast = Forecast()
    misses: Sequence[Miss] = ()
    gates: tuple[GateDecision, ...] = ()
    failures: tuple[Failure, ...] = ()
    cost_ratio: CostRatio = CostRatio()
    remedies: tuple[Remedy, ...] = ()
    cache: CacheInfo = CacheInfo()
    warnings: tuple[str, ...] = ()
    causes: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> Found:
        """What the store answers of all suites."""
        return sum(self.found.values(), Found())

    @property
    def estimate(self) -> CostEstimate:
        """What everything would cost."""
        return self.forecast.estimate
