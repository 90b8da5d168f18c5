"""Where money is accounted: the ledger that the configuration names, opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.ports import LedgerBook
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.project import Project
from evalrunner.wiring.stores import namespace_of

ORDINARY = "sqlite:"
NO_RUN = ""
"""The run of a ledger that is opened to be read."""


def ledger_place(project: Project, state: StateDir) -> Path | str:
    """Where the ledger of ``cost.ledger`` is: its file, or its server without the password.

    Raises:
        ConfigError: The URL can be no ledger's.
    """
    url = project.cost.ledger_url
    if url.startswith(ORDINARY):
        place = url.removeprefix(ORDINARY)
        return project.root / place if place else state.ledger
    from evalrunner.adapters.server_address import server_address

    return str(server_address(url))


def open_ledger(
    project: Project,
    state: StateDir,
    *,
    run_id: str = NO_RUN,
    ceilings: Ceilings = Ceilings(),  # noqa: B008  # frozen
    tags: Mapping[str, str] | None = None,
) -> LedgerBook:
    """The ledger of ``cost.ledger``: a file below the project, or a server that CI shares.

    Raises:
        ConfigError: The URL can be no ledger's.
        LedgerError: It cannot be opened.
    """
    place = ledger_place(project, state)
    if isinstance(place, Path):
        return SqliteLedger(place, run_id=run_id, ceilings=ceilings, tags=tags)

    # Only here: a run with a file needs no socket.
    from evalrunner.adapters.ledger_redis import RedisLedger
    from evalrunner.adapters.server_address import server_address

    return RedisLedger(
        server_address(project.cost.ledger_url),
        namespace=namespace_of(project),
        run_id=run_id,
        ceilings=ceilings,
        tags=tags,
    )
