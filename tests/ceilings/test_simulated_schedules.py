"""No ceiling is passed, and each is used, in thousands of schedules of simulated processes and kills.

The processes are simulated, see :mod:`tests.ceilings.simulated`; everything that handles money is real:
executors, group commits, retries, and the ledgers, a SQLite file or a Redis-compatible server. Real
processes that are really killed are in ``test_real_processes.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.engine.ports import LedgerBook
from tests.ceilings.books import Figures
from tests.ceilings.fleet import opened
from tests.ceilings.schedule import Schedule, drawn
from tests.ceilings.simulated import simulate
from tests.servers import Server

CAMPAIGN_PARTS = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parts = CAMPAIGN_PARTS if metafunc.config.getoption("--campaign") else 1
    metafunc.parametrize("part", range(parts))


def handle(place: str, schedule: Schedule, run: str) -> LedgerBook:
    """A handle on the ledger; a file does not wait for the disk, since nothing here loses its power."""
    ledger = opened(place, schedule, run)
    if isinstance(ledger, SqliteLedger):
        connection = ledger._file._connection
        assert connection is not None
        connection.execute("PRAGMA synchronous = OFF")
    return ledger


@pytest.mark.ceilings
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["file", "server"])
def test_no_simulated_schedule_passes_a_ceiling_or_leaves_it_unused(
    kind: str,
    part: int,
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    server: Server,
    record_property: Callable[[str, object], None],
) -> None:
    figures = Figures()
    for _ in range(rounds(10, 240)):
        seed = random.randrange(2**31)
        print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
        schedule = drawn(seed, most_calls=150)
        place = f"{server.url}#{seed}" if kind == "server" else str(tmp_path / f"{seed}.sqlite3")
        simulate(
            schedule,
            lambda run, place=place, schedule=schedule: handle(place, schedule, run),
            figures,
        )
    record_property("simulated", asdict(figures))
