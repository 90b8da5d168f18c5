"""Records a run that can be answered again while nothing has changed; see :mod:`.unchanged`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evalrunner.adapters.ledger_rows import run_row
from evalrunner.adapters.local_identity import model_file
from evalrunner.adapters.state_dir import NAME
from evalrunner.adapters.unchanged_file import (
    key_of,
    listing_of,
    selection_of,
    status_of,
    write_record,
)
from evalrunner.engine.run import run_rows
from evalrunner.engine.stays_here import is_only_here
from evalrunner.reports.document import head
from evalrunner.reports.phrases import dollars
from evalrunner.reports.safe_text import for_terminal
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.money import ZERO
from evalrunner.values.project import Project
from evalrunner.values.result import (
    CaseResult,
    CostEstimate,
    Decision,
    GateDecision,
    Outcome,
    RunReport,
)
from evalrunner.values.summary import Summary
from evalrunner.verdict.summary import from_store, summary_of
from evalrunner.wiring.command import Command
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.store_mark import hash_of, identity_of, mark_of
from evalrunner.wiring.suites import Assembly

_VERDICTS = (Outcome.PASSED, Outcome.FAILED)


def remember(
    command: Command,
    report: RunReport,
    *,
    opened: Opened,
    assembly: Assembly,
) -> None:
    """Records the run, if the next one with these arguments is sure to say the same.

    That is where every case got a verdict, from answers that are all in one store, on disk in the
    ordinary place or on a server, and nothing that was read can change unseen: no application, no user
    code, no data set on the network, no bound on an answer's age, no production spend to compare with.
    """
    project, state, store, loaded = assembly.project, opened.state, opened.store, opened.loaded
    typed = command.argv[:1] == ("run",)  # what a program asked for stands in no argument
    selection = selection_of(command.argv[1:]) if typed else None
    mark = mark_of(project, os.environ)
    if selection is None or mark is None or store is None or command.frozen:
        return
    if project.cost.production:
        return  # the ratio moves while nothing else does, and is told anew each time
    if not is_ordinary(command, project, state.path) or not is_closed(project, loaded, assembly):
        return
    if not all(will_repeat(case) for case in report.cases):
        return
    identity = identity_of(project, mark, str(state.cache), os.environ)
    if mark and (not identity or store.stats().degraded):
        return  # some of the answers may lie here, and not on the server
    here = os.path.relpath(command.start or Path.cwd(), project.root)
    record = {
        "files": {file.path: file.sha256 for one in loaded for file in one.files}
        | {file.path: file.sha256 for file in project.files},
        "folders": folders_of(command, project),
        "models": models_of(assembly),
        "mark": mark,
        "hash": hash_of(project, mark),
        "store": identity,
        "exit_code": report.run.exit_code,
        **_said(report),
    }
    write_record(str(state.cache), key_of(selection, here, os.environ), record)


def is_ordinary(command: Command, project: Project, state: Path) -> bool:
    """Whether everything lies where it is looked for first; *state* is the state folder."""
    return (
        command.config is None
        and command.policy is None
        and command.env_file is None
        and project.config_path == project.root / "evalrunner.yaml"
        and state == project.root / NAME
        and mark_of(project, os.environ) is not None
        and project.cost.ledger_url == "sqlite:"
        and not project.suites
    )


def is_closed(project: Project, loaded: Sequence[LoadedSuite], assembly: Assembly) -> bool:
    """Whether everything that decides is among the bytes read."""
    return not (
        project.plugins
        or project.cache.max_age_seconds is not None
        or assembly.applications
        or any(one.goldens.remote for one in loaded)
        or any(spec.type == "python" for one in loaded for spec in one.suite.checks)
        or (
            mark_of(project, os.environ)
            and any(is_only_here(endpoint.identity) for endpoint in assembly.endpoints.values())
        )
    )


def will_repeat(case: CaseResult) -> bool:
    """Whether the case has a verdict, and its answer is one that stores keep."""
    if case.outcome not in _VERDICTS or case.subject is None:
        return False
    seen = (case.subject, case.confirmed_from)
    return all(subject is None or subject.response.complete for subject in seen)


def folders_of(command: Command, project: Project) -> dict[str, list[str]]:
    """The folders in which suites were looked for, and what could be a suite in them."""
    start = command.start or Path.cwd()
    looked = [start / name for name in command.suites] or [project.root / "suites"]
    return {
        os.path.relpath(folder, project.root): listing_of(str(folder))
        for folder in looked
        if folder.is_dir()
    }


def models_of(assembly: Assembly) -> dict[str, list[int] | None]:
    """Size and time of the file of each local model."""
    root = assembly.project.root
    paths = [
        str(model_file(endpoint.model, root=root))
        for endpoint in assembly.endpoints.values()
        if endpoint.provider == "local"
    ]
    return {path: status_of(path) for path in paths}


def _said(report: RunReport) -> dict[str, object]:
    """What the answered run will say: its document's head, its screen, its rows in the ledger."""
    sums = summary_of(report)
    suites = {name: from_store(part) for name, part in sums.by_suite.items()}
    answered = replace(
        report,
        run=replace(report.run, answered_from=report.run.answered_from or report.run.id),
        cases=(),
        misses=(),
        inputs=None,  # those of the run that it is answered from
        summary=Summary(by_suite=suites),
        gates=tuple(_unspent(gate) if gate.name == "budget" else gate for gate in report.gates),
        estimate=CostEstimate(expected=ZERO, maximum=ZERO),
        estimates={},
        possibly_paid=ZERO,
    )
    total = Summary(by_suite=suites).total
    failures = tuple(for_terminal(failure.message) for failure in report.failures)
    return {
        "head": json.loads(head(answered)),
        "plain": {
            "cases": total.cases,
            "passed": total.passed,
            "failed": total.failed,
            "other": total.cases - total.passed - total.failed,
            "hits": total.hits,
            "saved": dollars(total.nominal.amount),
            "cache": f"{report.cache.mode}, {report.cache.signing}",
            "answered_from": report.run.id,
            "failures": failures,
        },
        "rows": [run_row(row)[3:] for row in run_rows(answered, 0.0, {})],
    }


def _unspent(budget: GateDecision) -> GateDecision:
    """The budget gate of a run that asks nobody."""
    detail = f"expected $0, ceiling ${budget.limit}"
    return replace(budget, decision=Decision.PASS, observed="0", detail=detail)
