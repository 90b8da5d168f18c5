"""No ceiling is passed, and each is used, in thousands of schedules of simulated processes and kills.

The processes are simulated, see :mod:`tests.ceilings.simulated`; everything that handles money is real:
executors, group commits, retries, and the ledgers, a SQLite file or a Redis-compatible server. Real
processes that are really killed are in ``test_real_processes.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import pytest

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.engine.ports import LedgerBook
from tests.ceilings.books import Figures
from tests.ceilings.fleet import opened
from tests.ceilings.schedule import Schedule, drawn
from tests.ceilings.simulated import simulate

CAMPAIGN_PARTS = 20


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
def test_no_simulated_schedule_passes_a_ceiling_or_leaves_it_unused(
    place: Callable[[int], str],
    part: int,
    rounds: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    figures = Figures()
    for _ in range(rounds(10, 240)):
        seed = random.randrange(2**31)
        print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
        schedule = drawn(seed, most_calls=150)
        opener = partial(handle, place(seed), schedule)
        simulate(schedule, opener, figures)
    record_property("simulated", asdict(figures))
