"""The main line: cases in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.budgets import BUDGET, Limit, budget_gates, limits
from evalrunner.engine.case import EvalCase
from evalrunner.engine.cost_gate import SWITCH_ON, CostGate
from evalrunner.engine.estimate import Estimator, estimate
from evalrunner.engine.habits import Habits
from evalrunner.engine.ports import CacheStore, Ledger, Progress, RunRow, StoreStats
from evalrunner.engine.remedies import Situation, remedies
from evalrunner.engine.replay import OpenCase, Replay, StoreReader, replay
from evalrunner.engine.tiering import Tiering
from evalrunner.errors import BudgetExceeded, FrozenMiss, Interrupted, NotAsked
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.forecast import Forecast
from evalrunner.values.kept import KeptRows
from evalrunner.values.money import ZERO, Picodollars
from evalrunner.values.result import (
    CacheInfo,
    CaseResult,
    CostEstimate,
    CostRatio,
    Decision,
    GateDecision,
    Outcome,
    Remedy,
    RunInfo,
    RunReport,
    Unasked,
)
from evalrunner.values.spec import Endpoint, GateSpec, RepeatSpec, Suite
from evalrunner.values.summary import ModelTally, Summary, Tally
from evalrunner.verdict.gates import Verdict, blocks, decide, exit_code
from evalrunner.verdict.ratio_words import Ruling
from evalrunner.verdict.summary import summarise, summary_of, with_left_out

if TYPE_CHECKING:
    from evalrunner.engine.verify import SamplingReader

Done = Callable[[int, CaseResult], None]
Answerer = Callable[[Sequence[OpenCase], Done], int | None]
"""The paid part: drives open cases to their ends, tells each end, returns the signal that stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """Everything that a run is given.

    Attributes:
        suites: The suites, read.
        cases: Their selected cases, in order.
        reader: Finds kept answers.
        accounts: Prices answers.
        answer: Asks for what is not kept; imported and started only where something is open.
        ledger: Where the run is accounted.
        store: Where answers are kept, for its statistics; ``None`` without a cache.
        cache_mode: The cache's mode, as the report's one line says it.
        signing: Whether entries are signed and checked, in the same line.
        info: Which run this is; times and exit code are filled in at its end.
        now: The end's time, as the document writes it.
        ceilings: The most that may be spent.
        preflight: Whether the expected cost may refuse the start.
        frozen: Whether nobody may be asked.
        baseline: The cases of the run to compare with.
        warn_only: Whether exit codes 1, 3 and 4 become 0.
        warnings: What the user should know, one line each.
        progress: Is told of every case that ends.
        kept: Rows of the suites that are taken over from an earlier run and not among *cases*.
        habits: What earlier runs tell about calls; asked for where something is open.
        held_in_month: What counts against the month's ceiling already.
        ratio: Judges testing against production; ``None`` where nothing is configured to compare with.
        sampler: The reader, where a share of its hits is to be asked again.
        proxy: The cheap tier's model, where one is configured.
        unused_cache: What to leave out to use the cache, and what would then find kept answers; for a
            run that was told to ask again.
        unseen: Whether checks in the user's code are planned without being looked at.
        frontier: The dear tier's model, where one is configured.
        left_out: How many cases of each suite a limit has left out of *cases*.
    """

    suites: Sequence[Suite]
    cases: Sequence[EvalCase]
    reader: StoreReader
    accounts: Accounts
    answer: Answerer
    ledger: Ledger
    store: CacheStore | None
    cache_mode: str
    info: RunInfo
    now: Callable[[], str]
    ceilings: Ceilings = Ceilings()
    preflight: bool = True
    frozen: bool = False
    baseline: Sequence[CaseResult] | None = None
    warn_only: bool = False
    draws: int | None = None
    signing: str = "unsigned"
    warnings: Sequence[str] = ()
    progress: Progress | None = None
    kept: KeptRows | None = None
    habits: Callable[[], Habits] = Habits
    held_in_month: Callable[[], Picodollars] = lambda: ZERO
    ratio: CostGate | None = None
    sampler: SamplingReader | None = None
    proxy: Endpoint | None = None
    unused_cache: Callable[[], tuple[str, StoreReader]] | None = None
    unseen: bool = False
    frontier: Endpoint | None = None
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])


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


def run_cases(setup: RunSetup) -> RunReport:
    """Answers what is kept, asks for the rest if it may be paid, and says what came of it."""
    before = preflight(setup)
    stopped = None if before.refused else _ask(setup, before)
    return conclude(setup, before, stopped=stopped)


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


def _ask(setup: RunSetup, before: Preflight) -> int | None:
    """Closes what is open: by asking, or by saying why nobody was asked and what it would cost."""
    known = before.known
    if setup.progress:
        for result in known.finished.values():
            setup.progress.case_done(result.outcome)
    if setup.frozen:
        miss = FrozenMiss("frozen, and the cache has no answer")
        for case in known.open:
            price = before.estimator.price(case)
            known.finished[case.index] = replace(_close(case, miss), price=price)
        return None
    if not known.open:
        return None

    def done(index: int, result: CaseResult) -> None:
        known.finished[index] = result
        if setup.progress and index >= 0:
            setup.progress.case_done(result.outcome)

    return setup.answer(known.open, done)


def _close(case: OpenCase, refusal: NotAsked) -> CaseResult:
    request = case.request
    question = Unasked(
        role=request.role,
        tier=request.tier,
        endpoint=request.endpoint,
        fingerprint=case.key,
        check=request.check,
    )
    result = case.throw(refusal)
    assert result is not None  # a flow that is refused an answer ends
    return replace(result, unasked=question)


_ANY_RATE: Final = GateSpec(min_pass_rate=Decimal(0), on_inconclusive="warn")


def conclude(
    setup: RunSetup,
    before: Preflight,
    *,
    stopped: int | None = None,
    further: Sequence[CaseResult] = (),
) -> RunReport:
    """The report of a run, of which every case has ended or will not be asked for any more.

    Args:
        setup: The run.
        before: What :func:`preflight` said; the cases that ended since are in ``before.known``.
        stopped: The signal that stopped it.
        further: Cases that are none of ``setup.cases``, after those. Nobody has set a gate for
            suites of theirs, which thus hold at any pass rate.
    """
    ended = _in_order(setup, before.known, refused=before.refused)
    tiering = tiering_of(setup)
    cases = [*(tiering.told(setup.cases, ended) if tiering else ended), *further]
    unverified: list[str] = []
    if setup.sampler is not None:
        verified = [result for index, result in before.known.finished.items() if index < 0]
        unverified = setup.sampler.unverified(verified)
        cases = setup.sampler.accounted(cases, verified)
    repeats = {suite.name: _repeat(suite, setup.draws) for suite in setup.suites}
    specs = {result.case.suite: _ANY_RATE for result in further}
    specs |= {suite.name: suite.gate for suite in setup.suites}
    sums = _sums(setup, cases)
    possibly_paid = setup.ledger.open_reservations(setup.info.id)
    ratio = before.ratio
    if setup.ratio is not None and not before.refused:
        ratio = setup.ratio.after(sums, possibly_paid)
    verdict = decide(
        cases,
        specs,
        repeats=repeats,
        baseline=setup.baseline,
        further=[*before.budgets, *([ratio.gate] if ratio else [])],
        stopped=ExitCode(128 + stopped) if stopped else None,
        warn_only=setup.warn_only,
        kept=setup.kept or KeptRows(),
        sums=sums,
    )
    if before.refused:
        verdict = _before_the_start(verdict, warn_only=setup.warn_only)
    return RunReport(
        run=replace(setup.info, finished_at=setup.now(), exit_code=int(verdict.exit_code)),
        cases=cases,
        gates=verdict.gates,
        failures=verdict.failures,
        cost_ratio=ratio.ratio if ratio else CostRatio(detail=SWITCH_ON),
        estimate=before.forecast.estimate,
        estimates=before.forecast.by_suite,
        cache=cache_info(setup),
        possibly_paid=possibly_paid,
        remedies=remedies_for(setup, before) if before.refused else (),
        warnings=(*setup.warnings, *unverified),
        summary=sums,
        gate_specs=specs,
        repeats=repeats,
        left_out=setup.left_out,
    )


def tiering_of(setup: RunSetup) -> Tiering | None:
    """What tells how much the cheap tier saves; ``None`` where there is none."""
    if setup.proxy is None:
        return None
    frontier = setup.frontier.name if setup.frontier else None
    return Tiering(accounts=setup.accounts, frontier=frontier)


def _sums(setup: RunSetup, cases: Sequence[CaseResult]) -> Summary:
    """The figures of the kept rows and these cases, in the order of the suites, added up once."""
    sums = ((setup.kept or KeptRows()).summary + summarise(cases)).by_suite
    names = dict.fromkeys([*(suite.name for suite in setup.suites), *sums])
    summed = Summary(by_suite={name: sums[name] for name in names if name in sums})
    return with_left_out(summed, setup.left_out)


def _before_the_start(verdict: Verdict, *, warn_only: bool) -> Verdict:
    """The verdict on a run that was refused: its cases did not stop at a ceiling in mid-run."""
    found = tuple(failure for failure in verdict.failures if failure.code is not ExitCode.CEILING)
    return replace(verdict, failures=found, exit_code=exit_code(found, warn_only=warn_only))


def _in_order(setup: RunSetup, known: Replay, *, refused: bool) -> list[CaseResult]:
    """Every case's result, in the order of the suites; one without an end was not run."""
    refusal = BudgetExceeded("refused before the start") if refused else Interrupted("stopped")
    open_cases = {case.index: case for case in known.open}
    results: list[CaseResult] = []
    for index in range(len(setup.cases)):
        result = known.finished.get(index)
        if result is None:
            result = _close(open_cases[index], refusal)
        results.append(result)
    return results


def _repeat(suite: Suite, draws: int | None) -> RepeatSpec:
    return suite.repeat if draws is None else RepeatSpec(n=draws, required=suite.repeat.required)


def cache_info(setup: RunSetup) -> CacheInfo:
    """How the cache takes part, as a report says it."""
    seen = setup.store.stats() if setup.store is not None else StoreStats()
    return CacheInfo(
        mode=setup.cache_mode,
        signing=setup.signing,
        damaged=seen.damaged,
        untrusted=seen.untrusted,
    )


def run_rows(report: RunReport, at: float, tags: Mapping[str, str]) -> list[RunRow]:
    """The rows of a run for the ledger's history, one a suite."""
    sums = summary_of(report).by_suite
    return [_run_row(report, at, tags, name, part) for name, part in sums.items()]


def _run_row(
    report: RunReport, at: float, tags: Mapping[str, str], suite: str, part: Tally
) -> RunRow:
    estimated = report.estimates.get(suite, _NOTHING)
    whole = not (part.not_run or part.errored)
    return RunRow(
        run_id=report.run.id,
        at=at,
        suite=suite,
        cases=part.cases,
        passed=part.passed,
        calls=part.misses,
        hits=part.hits,
        incurred=part.incurred.amount,
        nominal=part.nominal.amount,
        expected=estimated.expected,
        maximum=estimated.maximum,
        correction=estimated.correction if whole else None,
        models={name: _asked(model) for name, model in part.by_model.items()},
        tags=tags,
    )


_NOTHING: Final = CostEstimate(expected=ZERO, maximum=ZERO)


def _asked(model: ModelTally) -> dict[str, int | None]:
    return {
        "hits": model.hits,
        "calls": model.calls,
        "incurred": model.incurred.amount,
        "nominal": model.nominal.amount,
    }
