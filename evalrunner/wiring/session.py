"""One run, from the flags to the exit code."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.git import git_state
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.state_dir import StateDir, open_state_dir
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.ports import CacheStore, Ledger
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.engine.run import Answerer, Done, RunSetup, run_cases, run_rows
from evalrunner.errors import ConfigError, UsageError
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.redact import redact
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import LoadedSuite, load_suites
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult, Outcome, RunInfo, RunReport
from evalrunner.version import __version__
from evalrunner.wiring.command import Command
from evalrunner.wiring.remember import remember
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import import_plugins
from evalrunner.wiring.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a run reads and writes, open."""

    project: Project
    state: StateDir
    loaded: Sequence[LoadedSuite]
    store: CacheStore | None
    ledger: Ledger
    run_id: str
    started: float


def run_command(command: Command, progress: Watch | None = None) -> RunReport:
    """Runs what the command asks for, keeps its document and its ledger row, and returns its report.

    Raises:
        EvalRunnerError: Nothing was run: what the user wrote or typed cannot be used.
    """
    project, loaded = load(command)
    with ExitStack() as stack:
        opened = _open(command, project, loaded, stack)
        assembly = _assembly(command, opened)
        report = _run(command, opened, assembly, progress)
        shown = redact(report, include=project.report_include)
        _keep(opened, shown)
        remember(
            command,
            shown,
            state=opened.state,
            store=opened.store,
            loaded=loaded,
            assembly=assembly,
        )
    return shown


def load(command: Command) -> tuple[Project, tuple[LoadedSuite, ...]]:
    """The project and the suites of a command, with the environment file and plugins in place."""
    if command.env_file:
        _read_env_file(command.env_file)
    start = command.start or Path.cwd()
    project = load_project(start, config=command.config)
    loaded = load_suites(project, find_suites(project, command.suites, start=start))
    if command.safe:
        _refuse_user_code(project, loaded)
    import_plugins(project.plugins, root=project.root)
    return project, loaded


def _open(
    command: Command, project: Project, loaded: Sequence[LoadedSuite], stack: ExitStack
) -> Opened:
    state = open_state_dir(project.root, explicit=command.state_dir)
    started = time.time()
    run_id = f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    ledger = SqliteLedger(state.ledger, run_id=run_id, ceilings=_ceilings(command, project, loaded))
    stack.callback(ledger.close)
    store = None if command.no_cache else _store(command, project, state)
    if store is not None:
        stack.callback(store.close)
    return Opened(
        project=project,
        state=state,
        loaded=loaded,
        store=store,
        ledger=ledger,
        run_id=run_id,
        started=started,
    )


def _store(command: Command, project: Project, state: StateDir) -> DiskStore:
    url = os.environ.get("EVALRUNNER_CACHE_URL") or project.cache.url
    if not url.startswith("disk:") or project.cache.stores:
        raise ConfigError(
            f"the cache {url!r} cannot be opened: this version knows disk: only",
            hint="write cache: {url: 'disk:'}",
        )
    path = Path(url.removeprefix("disk:")) if url != "disk:" else state.cache
    return open_disk_store(
        project.root / path,
        namespace=project.cache.namespace or "default",
        read_only=command.frozen,
    )


def _ceilings(command: Command, project: Project, loaded: Sequence[LoadedSuite]) -> Ceilings:
    """Of several ceilings of the run the lowest holds."""
    asked = [
        limit for limit in (command.max_usd, project.cost.max_usd_per_run) if limit is not None
    ]
    return Ceilings(
        run=min(asked) if asked else None,
        suites={
            one.suite.name: one.suite.max_usd for one in loaded if one.suite.max_usd is not None
        },
        month=project.cost.max_usd_per_month,
    )


def _assembly(command: Command, opened: Opened) -> Assembly:
    return Assembly(
        project=opened.project,
        state_dir=opened.state.path,
        draws=command.repeat,
        variables=dict(command.variables),
    )


def _run(
    command: Command, opened: Opened, assembly: Assembly, progress: Watch | None
) -> RunReport:
    only = _failed_last_time(opened.state) if command.only_failed else None
    cases = assembly.cases(opened.loaded, command.selection(only))
    accounts = Accounts(ConfiguredPrices(at=opened.started), assembly.endpoints)
    reader = _reader(command, opened, accounts)
    setup = RunSetup(
        suites=[one.suite for one in opened.loaded],
        cases=cases,
        reader=reader,
        accounts=accounts,
        answer=_answerer(command, opened, assembly, reader, accounts, progress, total=len(cases)),
        ledger=opened.ledger,
        store=opened.store,
        cache_mode=_cache_mode(command),
        info=_info(command, opened),
        now=_now,
        ceilings=_ceilings(command, opened.project, opened.loaded),
        preflight=not command.no_preflight,
        frozen=command.frozen,
        baseline=_baseline(command, opened.state),
        warn_only=command.warn_only,
        draws=command.repeat,
        warnings=_warnings(assembly, cases),
        progress=progress,
    )
    return run_cases(setup)


def _reader(command: Command, opened: Opened, accounts: Accounts) -> StoreReader:
    max_age = opened.project.cache.max_age_seconds
    return StoreReader(
        None if command.recache else opened.store,
        accounts,
        stored_after=None if max_age is None else opened.started - max_age,
    )


def _answerer(
    command: Command,
    opened: Opened,
    assembly: Assembly,
    reader: StoreReader,
    accounts: Accounts,
    progress: Watch | None,
    *,
    total: int,
) -> Answerer:
    def answer(cases: Sequence[OpenCase], done: Done) -> int | None:
        # Only here, since a run that is answered from the store needs no event loop.
        from evalrunner.adapters.clock import SystemClock
        from evalrunner.adapters.credentials import KeyRing
        from evalrunner.engine.execution import Execution, execute
        from evalrunner.wiring.crew import hire

        if progress:
            progress.begin(total)
        clock = SystemClock()
        execution = Execution(
            crew=lambda: hire(
                assembly.endpoints.values(),
                assembly.applications,
                root=opened.project.root,
                clock=clock,
                keys=KeyRing(),
                max_concurrency=command.max_concurrency,
            ),
            store=opened.store,
            ledger=opened.ledger,
            reader=reader,
            accounts=accounts,
            clock=clock,
            run_id=opened.run_id,
            max_concurrency=command.max_concurrency,
            seed=int(opened.started),
            progress=progress,
        )
        return execute(execution, cases, done)

    return answer


def _cache_mode(command: Command) -> str:
    if command.no_cache:
        return "off"
    if command.frozen:
        return "read-only"
    return "write-only" if command.recache else "read-write"


def _info(command: Command, opened: Opened) -> RunInfo:
    return RunInfo(
        id=opened.run_id,
        started_at=_stamp(opened.started),
        finished_at="",
        evalrunner=__version__,
        git=git_state(opened.project.root),
        argv=command.argv,
        frozen=command.frozen,
        shard=command.shard,
        seed=str(int(opened.started)),
    )


def _warnings(assembly: Assembly, cases: Sequence[EvalCase]) -> list[str]:
    from evalrunner.wiring.advice import warnings

    return warnings(assembly, cases)


def _keep(opened: Opened, report: RunReport) -> None:
    """The run document and the ledger's rows; a disk that takes neither costs the user a line each."""
    opened.state.write_run(report.run.id, to_json(report).decode("ascii"))
    opened.state.prune_runs()
    opened.ledger.record_run(run_rows(report, opened.started, {}))


def _failed_last_time(state: StateDir) -> frozenset[str]:
    last = load_run("last", state)
    return frozenset(case.case.id for case in last.cases if case.outcome is not Outcome.PASSED)


def _baseline(command: Command, state: StateDir) -> Sequence[CaseResult] | None:
    return load_run(command.baseline, state).cases if command.baseline else None


def load_run(name: str, state: StateDir) -> RunReport:
    """The report of a kept run or of a document's path.

    Raises:
        RunDocumentError: There is none, or it is none.
    """
    path = state.resolve_run(name)
    return from_json(path.read_bytes(), name=str(path))


def _refuse_user_code(project: Project, loaded: Sequence[LoadedSuite]) -> None:
    offences = [f"plugins: {list(project.plugins)}"] if project.plugins else []
    for one in loaded:
        offences += [
            f"target {t.label!r} of {one.suite.path}"
            for t in one.suite.targets
            if t.kind in ("python", "command")
        ]
        offences += [
            f"python check of {one.suite.path}"
            for spec in one.suite.checks
            if spec.type == "python"
        ]
    if offences:
        raise UsageError(f"--safe refuses user code: {'; '.join(offences)}")


def _read_env_file(path: Path) -> None:
    """Sets the variables of the file that the environment does not have already."""
    from evalrunner.adapters.env_file import read_env_file

    for name, value in read_env_file(path).items():
        os.environ.setdefault(name, value)


def _now() -> str:
    return _stamp(time.time())


def _stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
