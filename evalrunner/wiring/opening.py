"""What a run reads and writes, opened: the state folder, the cache, the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from evalrunner.adapters.git import git_state
from evalrunner.adapters.run_tags import run_tags
from evalrunner.adapters.state_dir import NAME, StateDir, open_state_dir
from evalrunner.engine.ports import CacheStore, LedgerBook
from evalrunner.errors import LedgerError, StoreError
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.project import Project
from evalrunner.wiring.command import Command
from evalrunner.wiring.ledgers import open_ledger
from evalrunner.wiring.no_ledger import NoLedger
from evalrunner.wiring.stores import open_private_store, open_store, store_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a run reads and writes, open.

    Attributes:
        store: Where answers are kept; ``None`` without a cache.
        private: Where those are kept that may not leave this machine; ``None`` for the same place.
        cache_mode: What the stores allow, in words.
        signing: Whether entries are signed and checked, in words.
        ledger: Where money is accounted; a :class:`NoLedger` where it cannot be opened.
        ceilings: The most that may be spent; of several for one sum the lowest.
        started: Seconds since 1970.
        git: The state of the checkout; ``None`` outside of one.
        tags: Where the run comes from, for the ledger.
        warnings: What could not be opened and is done without, one line each.
    """

    project: Project
    state: StateDir
    loaded: Sequence[LoadedSuite]
    store: CacheStore | None
    private: CacheStore | None
    cache_mode: str
    signing: str
    ledger: LedgerBook
    ceilings: Ceilings
    run_id: str
    started: float
    git: Mapping[str, Json] | None
    tags: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def open_run(
    command: Command,
    project: Project,
    loaded: Sequence[LoadedSuite],
    stack: ExitStack,
    *,
    look_only: bool = False,
) -> Opened:
    """Everything that the run needs, closed with the stack.

    A cache that cannot be opened costs a warning, and so does a ledger until something has to be paid.

    Args:
        command: What is asked for.
        project: The project.
        loaded: Its suites.
        stack: What closes everything.
        look_only: Nothing is made or written: a plan looks at what is there.

    Raises:
        ConfigError: The state folder is somebody else's, or the cache's address is of no use.
    """
    if look_only:
        state = StateDir(command.state_dir or project.root / NAME)
    else:
        state = open_state_dir(project.root, explicit=command.state_dir)
    started = time.time()
    run_id = f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}"
    ceilings = _ceilings(command, project, loaded)
    warnings: list[str] = []
    git = git_state(project.root)
    tags = run_tags(git, os.environ)
    ledger: LedgerBook
    if look_only and not _has_ledger(project, state):
        ledger = NoLedger(LedgerError("nothing was ever paid here"))
    else:
        ledger = _ledger(project, state, run_id, ceilings=ceilings, tags=tags, warnings=warnings)
    stack.callback(ledger.close)
    plan = store_plan(project, read_only=command.frozen)
    read_only = command.frozen or look_only
    store, private = _stores(command, project, state, warnings, read_only=read_only)
    for one in (store, private):
        if one is not None:
            stack.callback(one.close)
    return Opened(
        project=project,
        state=state,
        loaded=loaded,
        store=store,
        private=private,
        cache_mode=plan.mode,
        signing=plan.signing,
        ledger=ledger,
        ceilings=ceilings,
        run_id=run_id,
        started=started,
        git=git,
        tags=tags,
        warnings=tuple(warnings),
    )


def _stores(
    command: Command,
    project: Project,
    state: StateDir,
    warnings: list[str],
    *,
    read_only: bool,
) -> tuple[CacheStore | None, CacheStore | None]:
    """The store, and where what may not leave this machine is kept instead."""
    if command.no_cache:
        return None, None
    try:
        store = open_store(project, state, read_only=read_only)
        return store, open_private_store(store, project, state, read_only=read_only)
    except StoreError as error:
        warnings.append(f"no cache in this run: {error.message}{_tail(error.hint)}")
        return None, None


def _ledger(
    project: Project,
    state: StateDir,
    run_id: str,
    *,
    ceilings: Ceilings,
    tags: Mapping[str, str],
    warnings: list[str],
) -> LedgerBook:
    try:
        return open_ledger(project, state, run_id=run_id, ceilings=ceilings, tags=tags)
    except LedgerError as error:
        warnings.append(f"no ledger in this run: {error.message}{_tail(error.hint)}")
        return NoLedger(error)


def _has_ledger(project: Project, state: StateDir) -> bool:
    """Whether there is a ledger without one being made."""
    return not project.cost.ledger_url.startswith("sqlite:") or state.ledger.exists()


def _tail(hint: str | None) -> str:
    return f"; {hint}" if hint else ""


def _ceilings(command: Command, project: Project, loaded: Sequence[LoadedSuite]) -> Ceilings:
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
