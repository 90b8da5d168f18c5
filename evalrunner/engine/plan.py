"""A run up to where it would ask: what is kept, what the rest would cost, and whether it may begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import overload

from evalrunner.engine.cost_gate import SWITCH_ON
from evalrunner.engine.preflight import Preflight, lets_begin, preflight, remedies_for
from evalrunner.engine.replay import OpenCase
from evalrunner.engine.run import cache_info
from evalrunner.engine.run_setup import RunSetup
from evalrunner.values.exchange import CallRecord
from evalrunner.values.plan import Found, Miss, PlanReport
from evalrunner.values.result import CostRatio
from evalrunner.values.summary import Spent, Tally
from evalrunner.verdict.gates import exit_code, failures
from evalrunner.verdict.summary import summarise


def plan_cases(setup: RunSetup) -> PlanReport:
    """What running these cases would find and ask for. Nobody is asked, and nothing is written.

    Cases whose verdict hangs on user code, which a plan does not import, count as if they failed in the
    maximum.
    """
    before = preflight(setup)
    found = _found(setup, before)
    cases = sum(part.cases for part in found.values())
    ruling = before.gates if setup.preflight else before.budgets
    reasons = failures(Tally(skipped=cases), ruling)
    code = exit_code(reasons, warn_only=setup.warn_only)
    return PlanReport(
        run=replace(setup.info, finished_at=setup.now(), exit_code=int(code)),
        found=found,
        forecast=before.forecast,
        misses=Misses(before),
        gates=before.gates,
        failures=reasons,
        cost_ratio=before.ratio.ratio if before.ratio else CostRatio(detail=SWITCH_ON),
        remedies=() if lets_begin(setup, before.gates) else remedies_for(setup, before),
        cache=cache_info(setup),
        warnings=tuple(setup.warnings),
    )


def _found(setup: RunSetup, before: Preflight) -> dict[str, Found]:
    """What the store answers, in the order of the suites."""
    kept = {} if setup.kept is None else setup.kept.summary.by_suite
    ended = summarise(before.known.finished.values()).by_suite
    waiting = _waiting(before.known.open)
    names = [suite.name for suite in setup.suites]
    sums = {
        name: waiting.get(name, Found()) + _answered(ended.get(name)) + _answered(kept.get(name))
        for name in names
    }
    return {name: found for name, found in sums.items() if found.cases}


def _answered(part: Tally | None) -> Found:
    if part is None:
        return Found()
    return Found(cases=part.cases, hits=part.hits, nominal=part.nominal)


def _waiting(cases: Iterable[OpenCase]) -> dict[str, Found]:
    counts: dict[str, int] = {}
    kept: dict[str, list[CallRecord]] = {}
    for case in cases:
        suite = case.case.ref.suite
        counts[suite] = counts.get(suite, 0) + 1
        kept.setdefault(suite, []).extend(case.kept)
    return {
        suite: Found(cases=count, waiting=count, hits=len(kept[suite]), nominal=_worth(kept[suite]))
        for suite, count in counts.items()
    }


def _worth(records: Iterable[CallRecord]) -> Spent:
    amounts = [record.nominal for record in records]
    return Spent(known=sum(filter(None, amounts)), unknown=amounts.count(None))


class Misses(Sequence[Miss]):
    """The cases that would ask, each priced when it is looked at: a screen shows few of them."""

    def __init__(self, before: Preflight) -> None:
        self._cases = before.known.open
        self._price = before.estimator.price

    def __len__(self) -> int:
        return len(self._cases)

    @overload
    def __getitem__(self, index: int) -> Miss: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Miss]: ...

    def __getitem__(self, index: int | slice) -> Miss | Sequence[Miss]:
        if isinstance(index, slice):
            return [self._miss(case) for case in self._cases[index]]
        return self._miss(self._cases[index])

    def _miss(self, case: OpenCase) -> Miss:
        request = case.request
        return Miss(
            case=case.case.ref,
            tier=request.tier.value,
            endpoint=request.endpoint,
            role=request.role,
            price=self._price(case),
        )
