"""The parts of a run, made of what a command asks for and what is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.cost_gate import CostGate
from evalrunner.engine.normalized import Likeness
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.engine.run_setup import Done, RunSetup
from evalrunner.values.project import Project
from evalrunner.values.result import RunInfo
from evalrunner.version import __version__
from evalrunner.wiring.advice import check_cautions, uncached_targets, undated_aliases
from evalrunner.wiring.command import Command
from evalrunner.wiring.history import habits_in
from evalrunner.wiring.no_ledger import NoLedger
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.stores import open_store
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import function_loader, refusing_loader

if TYPE_CHECKING:
    from evalrunner.engine.execution import Execution


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


def _nobody(cases: Sequence[OpenCase], done: Done) -> int | None:
    raise AssertionError("this run was given nobody who answers")


def _now() -> str:
    return _stamp(time.time())


def _stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
