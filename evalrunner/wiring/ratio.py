"""The ratio gate of a project, made from its configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from evalrunner.adapters.run_tags import run_tags
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.cost_gate import CostGate
from evalrunner.engine.ports import LedgerHistory
from evalrunner.values.exchange import Json
from evalrunner.values.money import Picodollars
from evalrunner.values.project import Project
from evalrunner.values.spend import SourceSeen


def cost_gate(
    project: Project,
    state: StateDir,
    ledger: LedgerHistory,
    *,
    now: float,
    branch: str | None = None,
    max_usd_per_run: Picodollars | None = None,
    offline: bool = False,
    user_code: bool = True,
) -> CostGate:
    """The gate of a project on a branch. Nothing is read or asked before it has to rule.

    Args:
        project: Its configuration says what is compared with what.
        state: Where snapshots of production spend are kept.
        ledger: What evals have cost.
        now: Seconds since 1970.
        branch: Whose policy counts.
        max_usd_per_run: The lowest ceiling of the run.
        offline: Whether no source of spend may be asked.
        user_code: Whether a source that is the user's function may be called.
    """

    def look(ask: bool) -> Sequence[SourceSeen]:  # noqa: FBT001  # the one thing a Look is told
        from evalrunner.wiring.spending import Spending

        return Spending(project, state, now=now, user_code=user_code).look(ask)

    return CostGate(
        cost=project.cost,
        policy=project.cost.gate.on_branch(branch),
        ledger=ledger,
        look=look,
        now=now,
        max_usd_per_run=max_usd_per_run,
        offline=offline,
    )


def branch_of(git: Mapping[str, Json] | None) -> str | None:
    """The branch that this checkout or CI job is for, where that is known."""
    return run_tags(git, os.environ).get("branch")
