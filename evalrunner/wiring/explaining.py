"""What ``evalrunner explain`` does: a kept run compared with those before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalrunner.adapters.state_dir import NAME, StateDir
from evalrunner.errors import UsageError
from evalrunner.suite.config import load_project
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.explanation import ExplainedCase, Explanation
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.verdict.causes import Circumstances, MissCounts
from evalrunner.wiring.earlier import EarlierCases, earlier_cases, kept_documents
from evalrunner.wiring.misses import explained_case, has_miss
from evalrunner.wiring.past_runs import load_run


def explain_run(
    case_id: str | None,
    run: str,
    *,
    config: Path | None = None,
    state_dir: Path | None = None,
    start: Path | None = None,
) -> Explanation:
    """Why a case of a run, or each of its misses, was what it was. Nothing is asked or changed.

    Args:
        case_id: The case; ``None`` for every case with a miss.
        run: A path, a run id, or ``last``. A case that the last run did not have is looked for in the
            newest that did.
        config: The configuration instead of the nearest.
        state_dir: The state folder instead of the project's.
        start: Where the project is looked for.

    Raises:
        RunDocumentError: There is no such run.
        UsageError: The run has no such case.
    """
    if state_dir is None:
        state_dir = load_project(start or Path.cwd(), config=config).root / NAME
    state = StateDir(state_dir)
    report = load_run(run, state)
    if case_id is None:
        cases = [case for case in report.cases if has_miss(case)]
    else:
        report, case = _find(case_id, report, state, search=run == "last")
        cases = [case]
    earlier = _earlier(report, cases, state)
    around = Circumstances(history=earlier.history)
    explained = [
        ExplainedCase(
            case=case,
            requests=explained_case(report.run, report.inputs, case, earlier, around),
        )
        for case in cases
    ]
    counts = MissCounts()
    for one in explained:
        counts.add(one.case, one.requests)
    return Explanation(
        run=report.run,
        cases=explained,
        misses=counts.groups,
        started={side.run.id: side.run.started_at for side in earlier.sides.values()},
    )


def _earlier(report: RunReport, cases: Sequence[CaseResult], state: StateDir) -> EarlierCases:
    wanted = {case.case.id: case.case for case in cases}
    present = {case.case.id for case in report.cases}
    before = kept_documents(state, before=report.run.id)
    return earlier_cases(wanted, present, before)


def _find(
    case_id: str, report: RunReport, state: StateDir, *, search: bool
) -> tuple[RunReport, CaseResult]:
    """The case in the report, or in the newest kept run that has it."""
    case = _in(report, case_id)
    if case is not None:
        return report, case
    for run_id, document in kept_documents(state) if search else ():
        if any(case_id.encode() in line[:1000] for line in document.lines):
            older = load_run(run_id, state)
            if (found := _in(older, case_id)) is not None:
                return older, found
    ids = [one.case.id for one in report.cases]
    hint = did_you_mean(case_id, ids) or (f"as in {ids[0]!r}" if ids else None)
    raise UsageError(f"run {report.run.id!r} has no case {case_id!r}", hint=hint)


def _in(report: RunReport, case_id: str) -> CaseResult | None:
    return next((case for case in report.cases if case.case.id == case_id), None)
