"""One run, from the flags to the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.garbage import seldom_collected
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.engine.run import run_cases, run_rows, tiering_of
from evalrunner.engine.run_setup import Done
from evalrunner.errors import LedgerError, RunDocumentError
from evalrunner.reports.document import Piece
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.wiring.command import Command
from evalrunner.wiring.digests import HashedDocument
from evalrunner.wiring.editor import Editor
from evalrunner.wiring.known_project import known_project
from evalrunner.wiring.loading import load
from evalrunner.wiring.misses import circumstances, known_cause
from evalrunner.wiring.opening import Opened, open_run
from evalrunner.wiring.past_runs import failed_in, load_run
from evalrunner.wiring.remember import remember
from evalrunner.wiring.remember_uses import remember_uses
from evalrunner.wiring.reuse import Reuse, find_reuse
from evalrunner.wiring.rows_record import remember_rows
from evalrunner.wiring.setup import assembly_for, execution_for, reader_for, setup_for
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.watch import Watch

if TYPE_CHECKING:
    from evalrunner.engine.verify import SamplingReader


@seldom_collected()
def run_command(
    command: Command,
    progress: Watch | None = None,
    *,
    loaded: Sequence[LoadedSuite] | None = None,
) -> RunReport:
    """Runs what the command asks for, keeps its document and its ledger row, and returns its report.

    No key of this environment is in the report, and no more content than ``report.include`` allows.

    Args:
        command: What is asked for.
        progress: What shows how far it is.
        loaded: Suites of one project that are loaded already, instead of those that are named.

    Raises:
        EvalRunnerError: Nothing was run: what the user wrote or typed cannot be used, or money would
            have to be paid that cannot be recorded.
    """
    known = None if loaded else known_project(command)
    if known is not None:
        reuse = find_reuse(command, known.project, known.suites, known.record)
        report = reuse and _run_changed(command, progress, known.project, known.suites, reuse)
        if report:
            return report
    project, suites = load(command, loaded)
    reuse = None if loaded else find_reuse(command, project, suites)
    report = reuse and _run_changed(command, progress, project, suites, reuse)
    if report:
        return report
    if not loaded:
        from evalrunner.suite.load import require_good_rows

        require_good_rows(suites)
    with ExitStack() as stack:
        opened = open_run(command, project, suites, stack)
        assembly = assembly_for(command, opened.project, opened.state)
        return _run_and_keep(command, opened, assembly, progress)


def _run_changed(
    command: Command,
    progress: Watch | None,
    project: Project,
    suites: Sequence[LoadedSuite],
    reuse: Reuse,
) -> RunReport | None:
    """Runs the rows that have changed; ``None`` where that cannot be told before anything is asked."""
    with ExitStack() as stack:
        opened = open_run(command, project, suites, stack)
        assembly = assembly_for(command, opened.project, opened.state)
        changed = reuse.cases(assembly) if opened.store else None
        if changed is None:
            return None
        shown = _run_and_keep(command, opened, assembly, progress, reuse=reuse, changed=changed)
    return reuse.whole(shown) if command.shows_cases or reuse.compares else shown


def _run_and_keep(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    progress: Watch | None,
    *,
    reuse: Reuse | None = None,
    changed: Sequence[EvalCase] | None = None,
) -> RunReport:
    report, editor = _run(command, opened, assembly, progress, reuse=reuse, changed=changed)
    document = HashedDocument(reuse.document if reuse else editor.document)
    whole = command.copies_document  # it is as large as all cases together
    shown, written = keep(opened, report, editor, document, whole=whole)
    remember_uses(shown, state=opened.state, store=opened.store, reuse=reuse)
    remember(command, shown, opened=opened, assembly=assembly)
    if written:
        digest = document.hexdigest()
        remember_rows(command, shown, digest, opened=opened, assembly=assembly, reuse=reuse)
    return shown


def _run(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    progress: Watch | None,
    *,
    reuse: Reuse | None,
    changed: Sequence[EvalCase] | None,
) -> tuple[RunReport, Editor]:
    only = failed_in(load_run("last", opened.state)) if command.only_failed else None
    baseline = load_run(command.baseline, opened.state).cases if command.baseline else None
    cases = changed
    if cases is None:
        cases = assembly.cases(opened.loaded, command.selection(only))
    accounts = Accounts(
        ConfiguredPrices(at=opened.started),
        assembly.endpoints,
        reuse.answers if reuse else (),
        miss_cause=known_cause(command, opened.state, assembly),
    )
    reader = reader_for(command, opened, accounts)
    setup = setup_for(command, opened, assembly, cases, reader=reader, accounts=accounts)
    tiering = tiering_of(setup)
    around = circumstances(command, opened, assembly, reader)
    editor = Editor(opened, assembly, setup.info, around, reuse=reuse)
    ids = {case.ref.id for case in cases}

    def answer(waiting: Sequence[OpenCase], done: Done) -> int | None:
        # Only here, since a run that is answered from the store needs no event loop.
        from evalrunner.engine.execution import execute

        def edited(index: int, result: CaseResult) -> None:
            done(index, editor.edit(tiering.of(setup.cases[index], result) if tiering else result))

        if progress:
            progress.begin(len(ids))
        execution = execution_for(command, opened, assembly, reader=reader, accounts=accounts)
        execution = replace(execution, progress=progress)
        if command.verify_sample:  # calls of the sample are added to cases that have ended
            return execute(execution, waiting, done)
        editor.expect([one.case.ref for one in waiting], ids)
        return execute(execution, waiting, edited)

    setup = replace(
        setup,
        answer=answer,
        baseline=baseline,
        progress=progress,
        kept=reuse.kept if reuse else None,
        sampler=_sampler(command, reader),
    )
    return run_cases(setup), editor


def _sampler(command: Command, reader: StoreReader) -> SamplingReader | None:
    return cast("SamplingReader", reader) if command.verify_sample else None


def keep(
    opened: Opened,
    report: RunReport,
    editor: Editor,
    document: Callable[[RunReport], Iterable[Piece]],
    *,
    whole: bool,
) -> tuple[RunReport, bool]:
    """Keeps the document and the ledger's rows.

    Returns the report as it may be shown, with the document in it if it is wanted as a *whole*, and
    whether the document is kept.

    Each miss has its cause in it, found in what earlier runs may show. A disk that takes neither
    document nor rows costs a warning each.
    """
    report = editor.report(report)
    late: list[str] = []
    degraded = opened.store.stats().degraded if opened.store is not None else None
    if degraded:
        late.append(f"the cache is of limited use in this run: {degraded}")
    try:
        opened.ledger.record_run(run_rows(report, opened.started, opened.tags))
    except LedgerError as error:
        late.append(f"this run is not in the ledger's history: {error.message}")
    report = _with_warnings(report, late)
    copy = b"".join(document(report)) if whole else None
    try:
        opened.state.write_run(report.run.id, document(report) if copy is None else copy)
        opened.state.prune_runs()
    except RunDocumentError as error:
        return _with_warnings(report, [error.message]), False
    return replace(report, document=copy), True


def _with_warnings(report: RunReport, late: Sequence[str]) -> RunReport:
    return replace(report, warnings=(*report.warnings, *late)) if late else report
