"""The goals by number, and the peers' figures that some of them need."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

from harness import goals_promises as promises
from harness import goals_pytest as plugin
from harness import goals_speed as speed
from harness import goals_stores as stores
from harness.bench import Bench
from harness.figures import Figure
from harness.peers import Peers, counted, home_of_peers, install
from harness.process import Sample, Series

Goal = Callable[[Bench], Iterator[Figure]]

GOALS: dict[int, tuple[str, Goal]] = {
    1: ("start-up", speed.start_up),
    2: ("warm, nothing changed", speed.warm),
    3: ("warm, every row looked up and checked again", speed.looked_up),
    4: ("one row changed", speed.one_row),
    5: ("cold, 0 ms", speed.cold),
    6: ("cold, 200 ms, 50 in flight", speed.latency),
    7: ("cold, 200 ms, with a judge", speed.latency_with_judge),
    8: ("peak memory", speed.memory),
    9: ("edits that ask nothing", promises.zero_requests),
    10: ("duplicates", promises.duplicates),
    11: ("SIGKILL at half", promises.killed),
    12: ("processes on one new store", promises.processes),
    13: ("golden rows in YAML", speed.yaml_rows),
    14: ("bytes on disk", promises.store_bytes),
    15: ("ten times the rows (on request)", promises.big),
    18: ("plan", speed.plan),
    16: ("warm on a server (on request)", stores.warm_on_a_server),
    17: ("a million entries (on request)", stores.a_million_entries),
    20: ("pytest: a run without evals", plugin.guest),
    21: ("pytest: a session beside evalrunner run", plugin.sessions),
}


FEW = 10
"""How many answers promptfoo's cache may have lost: now and then its cached run asks one again."""

GATED = (1, 2, 4, 5, 6, 8, 11)
"""The goals that a release is held to. The others are measured and told."""


def measure_peers(bench: Bench, *, gated: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each peer's figures, one run each, but three of a start-up. Takes minutes.

    With *gated* only those peers that a gate is about.
    """
    installed = home_of_peers()
    install(installed)

    def at(count: int) -> Peers:
        folder = bench.scratch / f"peers-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        return Peers(installed, folder, bench.server.port, count).prepare()

    def told(
        once: Callable[[], Sample], sent: int, runs: int = 1, spare: int = 0
    ) -> dict[str, Any]:
        found = [counted(once, bench.server.count, sent, spare=spare) for _ in range(runs)]
        asked_again = max(beyond for _, beyond in found)
        figures = Series([sample for sample, _ in found]).as_json()
        return {**figures, "asked_again": asked_again} if asked_again else figures

    all_rows = at(bench.rows)
    yield "promptfoo --version", told(all_rows.promptfoo_version, 0, runs=3)
    yield f"promptfoo cold {all_rows.count}", told(all_rows.promptfoo, all_rows.count)
    yield f"promptfoo warm {all_rows.count}", told(all_rows.promptfoo, 0, spare=FEW)
    yield f"pydantic-evals cold {all_rows.count}", told(all_rows.pydantic_evals, all_rows.count)
    if gated:
        return
    few = at(min(bench.rows, 1000))
    yield f"inspect-ai cold {few.count}", told(few.inspect, few.count)
    yield f"inspect-ai warm {few.count}", told(few.inspect, 0)
