"""One run, from the flags to the exit code."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.cost_gate import CostGate
from evalrunner.engine.garbage import seldom_collected
from evalrunner.engine.normalized import Likeness
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.engine.run import Done, RunSetup, run_cases, run_rows, tiering_of
from evalrunner.errors import LedgerError, RunDocumentError, UsageError
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult, RunInfo, RunReport
from evalrunner.version import __version__
from evalrunner.wiring.advice import check_cautions, uncached_targets, undated_aliases
from evalrunner.wiring.command import Command
from evalrunner.wiring.editor import Editor
from evalrunner.wiring.history import habits_in
from evalrunner.wiring.known_project import known_project
from evalrunner.wiring.misses import circumstances
from evalrunner.wiring.no_ledger import NoLedger
from evalrunner.wiring.opening import Opened, open_run
from evalrunner.wiring.past_runs import failed_in, load_run
from evalrunner.wiring.remember import remember
from evalrunner.wiring.remember_uses import remember_uses
from evalrunner.wiring.reuse import Reuse, find_reuse
from evalrunner.wiring.rows_record import remember_rows
from evalrunner.wiring.stores import open_store
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import function_loader, import_plugins, refusing_loader
from evalrunner.wiring.watch import Watch

if TYPE_CHECKING:
    from evalrunner.engine.execution import Execution
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
    shown = keep(opened, report, editor, reuse.document if reuse else editor.document)
    remember_uses(shown, state=opened.state, store=opened.store, reuse=reuse)
    remember(command, shown, opened=opened, assembly=assembly)
    remember_rows(command, shown, opened=opened, assembly=assembly, reuse=reuse)
    return shown


def load(
    command: Command, loaded: Sequence[LoadedSuite] | None = None, *, with_code: bool = True
) -> tuple[Project, Sequence[LoadedSuite]]:
    """The project and the suites of a command, with the environment file and plugins in place.

    Rows of suites that are loaded here are not looked at yet. Without *with_code* no plugin is imported.
    """
    if command.verify_sample and (command.frozen or command.no_cache):
        other = "--frozen" if command.frozen else "--no-cache"
        raise UsageError(
            f"--verify-sample asks again what the cache holds, and {other} forbids that",
            hint=f"leave one of --verify-sample and {other} out",
        )
    if command.env_file:
        _read_env_file(command.env_file)
    # Only here: a run of few changed rows knows the project already, and YAML takes long to import.
    from evalrunner.suite.config import load_project
    from evalrunner.suite.discover import find_suites
    from evalrunner.suite.load import load_suites
    from evalrunner.wiring.policy import load_policy

    start = command.start or Path.cwd()
    policy = load_policy(command.policy) if command.policy else None
    if loaded:
        project = loaded[0].project
    else:
        project = policy.over(start) if policy else load_project(start, config=command.config)
        paths = find_suites(project, command.suites, start=start)
        loaded = load_suites(project, paths, check_rows=False, offline=command.frozen)
    if policy:
        loaded, notes = policy.rule(loaded, whole=not command.suites)
        project = replace(project, notes=notes)
    if command.safe:
        _refuse_user_code(project, loaded)
    if with_code:
        import_plugins(project.plugins, root=project.root)
    return project, loaded


def assembly_for(command: Command, project: Project, state: StateDir) -> Assembly:
    """What turns the project's suites into cases."""
    root = project.root
    return Assembly(
        project=project,
        state_dir=state.path,
        draws=command.repeat,
        variables=dict(command.variables),
        load=lambda suite: (
            refusing_loader
            if command.safe
            else function_loader(root, folder=(root / suite.path).parent)
        ),
    )


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
        ConfiguredPrices(at=opened.started), assembly.endpoints, reuse.answers if reuse else ()
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


def setup_for(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    cases: Sequence[EvalCase],
    *,
    reader: StoreReader,
    accounts: Accounts,
    with_code: bool = True,
) -> RunSetup:
    """A run of these cases, without anybody who answers them.

    Without *with_code* a source of spend that is the user's function is not called.
    """
    suites = [one.suite for one in opened.loaded]
    return RunSetup(
        suites=suites,
        cases=cases,
        reader=reader,
        accounts=accounts,
        answer=_nobody,
        ledger=opened.ledger,
        store=opened.store,
        cache_mode=_cache_mode(command, opened),
        signing=opened.signing,
        info=_info(command, opened),
        now=_now,
        ceilings=opened.ceilings,
        preflight=not command.no_preflight,
        frozen=command.frozen,
        warn_only=command.warn_only,
        draws=command.repeat,
        habits=lambda: habits_in(opened.ledger, [suite.name for suite in suites]),
        held_in_month=lambda: opened.ledger.held_in_month(opened.started),
        ratio=_ratio(command, opened, with_code=with_code),
        proxy=assembly.proxy,
        frontier=assembly.frontier,
        left_out=dict(assembly.left_out),
        unused_cache=_unused_cache(command, opened, assembly),
        warnings=[
            *opened.project.notes,
            *opened.warnings,
            *undated_aliases(assembly.endpoints.values()),
            *uncached_targets(assembly.uncached),
            *check_cautions(suites),
        ],
    )


def _ratio(command: Command, opened: Opened, *, with_code: bool) -> CostGate | None:
    """The gate between testing and production, where there is production to compare with."""
    if not opened.project.cost.production:
        return None
    from evalrunner.wiring.ratio import cost_gate

    return cost_gate(
        opened.project,
        opened.state,
        opened.ledger,
        now=opened.started,
        branch=opened.tags.get("branch"),
        max_usd_per_run=opened.ceilings.run,
        offline=command.frozen,
        user_code=with_code and not command.safe,
    )


def _sampler(command: Command, reader: StoreReader) -> SamplingReader | None:
    return cast("SamplingReader", reader) if command.verify_sample else None


def reader_for(command: Command, opened: Opened, accounts: Accounts) -> StoreReader:
    """What finds kept answers, unless the command wants new ones."""
    max_age = opened.project.cache.max_age_seconds
    stored_after = None if max_age is None else opened.started - max_age
    again, private = command.asked_again, opened.private
    names = opened.project.cache.reuse
    likeness = Likeness(names) if names else None
    if not command.verify_sample:
        return StoreReader(
            opened.store,
            accounts,
            stored_after=stored_after,
            again=again,
            private=private,
            likeness=likeness,
        )
    from evalrunner.engine.verify import SamplingReader

    return SamplingReader(
        opened.store,
        accounts,
        share=command.verify_sample,
        seed=str(int(opened.started)),
        stored_after=stored_after,
        again=again,
        private=private,
        likeness=likeness,
    )


def _unused_cache(
    command: Command, opened: Opened, assembly: Assembly
) -> Callable[[], tuple[str, StoreReader]] | None:
    """What the cache would answer to a run that was told to ask again."""
    flags = {
        "--no-cache": command.no_cache,
        "--recache": command.recache,
        "--rejudge": command.rejudge,
    }
    given = [flag for flag, set_ in flags.items() if set_]
    if not given:
        return None

    def reader() -> tuple[str, StoreReader]:
        plain = replace(command, no_cache=False, recache=False, rejudge=False)
        store = opened.store or open_store(opened.project, opened.state, read_only=True)
        accounts = Accounts(ConfiguredPrices(at=opened.started), assembly.endpoints)
        found = reader_for(plain, replace(opened, store=store), accounts)
        return f"leave out {' '.join(given)}", found

    return reader


def execution_for(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    *,
    reader: StoreReader,
    accounts: Accounts,
) -> Execution:
    """Whom the paid part asks, and where it writes down what that costs.

    Raises:
        LedgerError: Money cannot be recorded.
    """
    from evalrunner.adapters.clock import SystemClock
    from evalrunner.adapters.credentials import KeyRing
    from evalrunner.engine.execution import Execution
    from evalrunner.wiring.crew import hire
    from evalrunner.wiring.leasing import leases_of

    if isinstance(opened.ledger, NoLedger):
        raise opened.ledger.error
    clock = SystemClock()
    return Execution(
        crew=lambda: hire(
            assembly.endpoints,
            assembly.applications,
            root=opened.project.root,
            clock=clock,
            keys=KeyRing(),
            max_concurrency=command.max_concurrency,
        ),
        leases=lambda: leases_of(opened.store),
        store=opened.store,
        ledger=opened.ledger,
        reader=reader,
        accounts=accounts,
        clock=clock,
        run_id=opened.run_id,
        max_concurrency=command.max_concurrency,
        seed=int(opened.started),
        private=opened.private,
        store_waits=opened.private is not None,
    )


def _nobody(cases: Sequence[OpenCase], done: Done) -> int | None:
    raise AssertionError("this run was given nobody who answers")


def _cache_mode(command: Command, opened: Opened) -> str:
    if opened.store is None:
        return "off"
    if command.frozen:
        return "read-only"
    if command.recache != command.rejudge:
        return "write-only for answers" if command.recache else "write-only for verdicts"
    return "write-only" if command.recache else opened.cache_mode


def _info(command: Command, opened: Opened) -> RunInfo:
    return RunInfo(
        id=opened.run_id,
        started_at=_stamp(opened.started),
        finished_at="",
        evalrunner=__version__,
        git=opened.git,
        argv=command.argv,
        frozen=command.frozen,
        shard=command.shard,
        seed=str(int(opened.started)),
    )


def keep(
    opened: Opened,
    report: RunReport,
    editor: Editor,
    document: Callable[[RunReport], bytes],
) -> RunReport:
    """Keeps the document and the ledger's rows, and returns the report as it may be shown.

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
    written = document(report)
    try:
        opened.state.write_run(report.run.id, written)
        opened.state.prune_runs()
    except RunDocumentError as error:
        return _with_warnings(report, [error.message])
    return replace(report, document=written)


def _with_warnings(report: RunReport, late: Sequence[str]) -> RunReport:
    return replace(report, warnings=(*report.warnings, *late)) if late else report


def _refuse_user_code(project: Project, loaded: Sequence[LoadedSuite]) -> None:
    """What a suite brings along is neither run nor asked: code, commands, and hosts of its own."""
    offences = [f"plugins {list(project.plugins)}"] if project.plugins else []
    offences += [
        f"the {target.kind} target {target.label!r} of {one.suite.path}"
        for one in loaded
        for target in one.suite.targets
        if target.kind != "model"
    ]
    if offences:
        raise UsageError(
            f"--safe refuses {', '.join(offences)}",
            hint="run without --safe where you trust the files, or name other suites",
        )


def _read_env_file(path: Path) -> None:
    """Sets the variables of the file that the environment does not have already."""
    from evalrunner.adapters.env_file import read_env_file

    for name, value in read_env_file(path).items():
        os.environ.setdefault(name, value)


def _now() -> str:
    return _stamp(time.time())


def _stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
