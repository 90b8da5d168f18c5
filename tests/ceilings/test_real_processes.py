"""No ceiling is passed, and each is used, in hundreds of schedules of real processes and real kills.

One to sixteen processes, each forked with its own event loop, executor, HTTP client and handle on the
ledger (a SQLite file or a Redis-compatible server), with one to 256 calls in flight, ask a real HTTP server
that counts what it bills; they are killed with SIGKILL after so many requests or so many seconds. The
thousands of schedules that a campaign tries besides are simulated: see ``test_simulated_schedules.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.ceilings.books import Figures
from tests.ceilings.processes import Fleet, play
from tests.ceilings.schedule import WIDE_EVERY

CAMPAIGN_PARTS = 10
WIDE_PARTS = 2  # those in which the first schedule has 16 processes with 256 calls in flight


@pytest.mark.ceilings
@pytest.mark.timeout(1500)
def test_no_schedule_of_real_processes_passes_a_ceiling_or_leaves_it_unused(
    place: Callable[[int], str],
    part: int,
    tmp_path: Path,
    rounds: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    figures = Figures()
    with Fleet() as fleet:
        for number in range(rounds(3, 20)):
            seed = random.randrange(2**31)
            if rounds(0, 1) and number == 0 and part < WIDE_PARTS:
                seed -= seed % WIDE_EVERY
            print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
            play(fleet, place(seed), seed, tmp_path, figures=figures)
    record_property("real", asdict(figures))
