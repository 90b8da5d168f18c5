"""The main line: cases in, a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from evalrunner.engine.cost_gate import SWITCH_ON
from evalrunner.engine.ports import RunRow, StoreStats
from evalrunner.engine.preflight import Preflight, preflight, remedies_for
from evalrunner.engine.replay import OpenCase, Replay
from evalrunner.engine.run_setup import RunSetup
from evalrunner.engine.tiering import Tiering
from evalrunner.errors import BudgetExceeded, FrozenMiss, Interrupted, NotAsked
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.kept import KeptRows
from evalrunner.values.money import ZERO
from evalrunner.values.result import (
    CacheInfo,
    CaseResult,
    CostEstimate,
    CostRatio,
    RunReport,
    Unasked,
)
from evalrunner.values.spec import GateSpec, RepeatSpec, Suite
from evalrunner.values.summary import ModelTally, Summary, Tally
from evalrunner.verdict.gates import Verdict, decide, exit_code
from evalrunner.verdict.summary import summarise, summary_of, with_left_out


def run_cases(setup: RunSetup) -> RunReport:
    """Answers what is kept, asks for the rest if it may be paid, and says what came of it."""
    before = preflight(setup)
    stopped = None if before.refused else _ask(setup, before)
    return conclude(setup, before, stopped=stopped)


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
    cases, unverified = _accounted(setup, before, further)
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
        warnings=(*setup.warnings, *unverified, *setup.accounts.broken_bounds()),
        summary=sums,
        gate_specs=specs,
        repeats=repeats,
        left_out=setup.left_out,
    )


def _accounted(
    setup: RunSetup, before: Preflight, further: Sequence[CaseResult]
) -> tuple[Sequence[CaseResult], list[str]]:
    """All cases with what is told of each, and a line for each hit that could not be verified."""
    ended = _in_order(setup, before.known, refused=before.refused)
    tiering = tiering_of(setup)
    cases = [*(tiering.told(setup.cases, ended) if tiering else ended), *further]
    if setup.sampler is None:
        return cases, []
    verified = [result for index, result in before.known.finished.items() if index < 0]
    return setup.sampler.accounted(cases, verified), setup.sampler.unverified(verified)


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
