"""The gate alone, and production spend alone: without a run, from the ledger and the sources."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evalrunner.adapters.git import git_state
from evalrunner.adapters.state_dir import StateDir, open_state_dir
from evalrunner.engine.ports import LedgerHistory
from evalrunner.errors import LedgerError, UsageError
from evalrunner.suite.config import load_project
from evalrunner.values.ceilings import utc_day
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.project import Project
from evalrunner.values.result import Failure
from evalrunner.values.spend import SourceSeen
from evalrunner.verdict.gates import exit_code, gate_failures
from evalrunner.verdict.production import Production, production_of
from evalrunner.verdict.ratio_words import Ruling
from evalrunner.wiring.ledgers import open_ledger
from evalrunner.wiring.no_ledger import NoLedger
from evalrunner.wiring.ratio import branch_of, cost_gate
from evalrunner.wiring.spending import Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command looks: the flags that say which project and which state folder."""

    config: Path | None = None
    state_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutcome:
    """What the gate says alone, and how the command ends."""

    ruling: Ruling
    failures: tuple[Failure, ...]
    exit_code: ExitCode


def gate_alone(
    place: Place, *, branch: str | None = None, offline: bool = False, warn_only: bool = False
) -> GateOutcome:
    """Judges what was spent so far.

    Args:
        place: Which project.
        branch: Whose policy counts; by default that of the checkout or the CI job.
        offline: Whether no source may be asked.
        warn_only: Whether codes 3 and 4 become 0.

    Raises:
        UsageError: There is no production to compare with.
    """
    project, state = _opened(place)
    with _ledger(project, state) as ledger:
        gate = cost_gate(
            project,
            state,
            ledger,
            now=time.time(),
            branch=branch or branch_of(git_state(project.root)),
            offline=offline,
        )
        ruling = gate.alone()
    found = gate_failures([ruling.gate])
    code = exit_code(found, warn_only=warn_only)
    return GateOutcome(ruling=ruling, failures=found, exit_code=code)


def look_at_spend(
    place: Place, *, ask: bool = True, anew: bool = False
) -> tuple[Sequence[SourceSeen], Production]:
    """Every source of production spend, and what they come to.

    Args:
        place: Which project.
        ask: Whether sources outside may be asked.
        anew: Whether they are asked although they were asked a short while ago.

    Raises:
        UsageError: There are none.
    """
    project, state = _opened(place)
    now = time.time()
    seen = Spending(project, state, now=now).look(ask, anew=anew)
    window = project.cost.gate.window_days
    return seen, production_of(seen, window_days=window, today=utc_day(now))


def sync_code(seen: Sequence[SourceSeen]) -> ExitCode:
    """How a sync ends: a source that did not answer leaves the ratio undecided."""
    failed = any(one.error for one in seen)
    return ExitCode.INCONCLUSIVE if failed else ExitCode.OK


def _opened(place: Place) -> tuple[Project, StateDir]:
    project = load_project(Path.cwd(), config=place.config)
    if not project.cost.production:
        raise UsageError(
            "no source of production spend is configured",
            hint="add cost: {production: [{source: fixed, usd_per_month: 12000}]} to evalrunner.yaml",
        )
    return project, open_state_dir(project.root, explicit=place.state_dir)


@contextmanager
def _ledger(project: Project, state: StateDir) -> Generator[LedgerHistory]:
    try:
        ledger = open_ledger(project, state)
    except LedgerError as error:
        yield NoLedger(error)
        return
    try:
        yield ledger
    finally:
        ledger.close()
