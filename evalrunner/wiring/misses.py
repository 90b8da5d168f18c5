"""Why a run had to ask: each miss compared with the run before, and the causes added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.replay import StoreReader
from evalrunner.values.cause import Explained
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.values.summary import Summary, Tally
from evalrunner.verdict.causes import (
    Circumstances,
    explain_case,
    grouped,
    is_miss,
    with_causes,
)
from evalrunner.verdict.components import Side
from evalrunner.wiring.command import Command
from evalrunner.wiring.earlier import EarlierCases, earlier_cases, kept_documents
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.reuse import Reuse
from evalrunner.wiring.suites import Assembly


def circumstances(
    command: Command, opened: Opened, assembly: Assembly, reader: StoreReader
) -> Circumstances:
    """What decided about this run's misses beside its questions."""
    turned_away = opened.store.stats().turned_away if opened.store is not None else {}
    return Circumstances(
        no_cache=command.no_cache,
        again=command.asked_again,
        expired=reader.expired,
        turned_away=turned_away,
        uncached=assembly.uncached,
    )


def with_misses(
    report: RunReport, state: StateDir, around: Circumstances, *, reuse: Reuse | None = None
) -> RunReport:
    """The report with the cause of every miss, on its account and added up.

    Nothing is read where every request was answered by the store.

    Args:
        report: The report, as much of it as may be shown.
        state: Where earlier runs are.
        around: What decides beside the questions.
        reuse: Rows that were taken over, whose run is then the one to compare with.
    """
    missed = [case for case in report.cases if has_miss(case)]
    if not missed:
        return report
    earlier = _earlier(report, missed, state, reuse)
    around = replace(around, history=earlier.history)
    explained = [(case, explained_case(report, case, earlier, around)) for case in missed]
    noted = {case.case.id: with_causes(case, found) for case, found in explained}
    return replace(
        report,
        cases=[noted.get(case.case.id, case) for case in report.cases],
        misses=grouped((case, one) for case, found in explained for one in found),
        summary=_summary(report, noted.values()),
    )


def has_miss(case: CaseResult) -> bool:
    """Whether the case asked somebody, or would have had to."""
    return case.unasked is not None or any(is_miss(call.record) for call in case.records)


def explained_case(
    report: RunReport, case: CaseResult, earlier: EarlierCases, around: Circumstances
) -> list[Explained]:
    """Every request of a case of the report."""
    now = Side(run=report.run, case=case, inputs=report.inputs, cache=report.cache.mode)
    name = case.case.id
    return explain_case(now, earlier.sides.get(name), around, drawn=name in earlier.drawn)


def _earlier(
    report: RunReport, missed: Sequence[CaseResult], state: StateDir, reuse: Reuse | None
) -> EarlierCases:
    wanted = {case.case.id: case.case for case in missed}
    present = {case.case.id for case in report.cases}
    if reuse is None:
        return earlier_cases(wanted, present, kept_documents(state))
    return earlier_cases(wanted, present, [(reuse.record.run_id, reuse.left)])


def _summary(report: RunReport, noted: Iterable[CaseResult]) -> Summary | None:
    """The sums with the causes in them."""
    if report.summary is None:
        return None
    counts: dict[str, Counter[str]] = {}
    for case in noted:
        causes = (one.record.miss_cause for one in case.records if is_miss(one.record))
        counts.setdefault(case.case.suite, Counter()).update(filter(None, causes))
    sums = {name: Tally(misses_by_cause=dict(found)) for name, found in counts.items()}
    return report.summary + Summary(by_suite=sums)
