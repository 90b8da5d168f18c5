"""Runs that want the same answers at the same time: each answer is paid for once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalrunner.testing import FakeProvider
from tests.servers import Server

from .workspace import Workspace, answer, environment_of_program, prompt_of

CASES = 200
WIDTH = 4
CHECKS = [{"type": "contains", "value": "ok"}]
PROCESSES = 16


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(answer, latency_seconds=0.03) as provider:
        yield provider


def project(root: Path, provider: FakeProvider, **config: object) -> Workspace:
    workspace = Workspace(root)
    workspace.configure(provider.base_url, **config)
    workspace.suite(n=CASES, checks=CHECKS)
    return workspace


FORKS = """
import os, sys
from evalrunner.cli.app import entry
import evalrunner.cli.run, evalrunner.engine.execution, evalrunner.wiring.crew, uvloop  # once for all
import evalrunner.wiring.leasing, evalrunner.wiring.publish, evalrunner.wiring.session
print("ready", flush=True)
sys.stdin.readline()
children = {}
for number in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(entry([*sys.argv[2:], "-o", f"out/{number}.json"]))
    children[child] = number
print(*children, flush=True)
while children:
    child, status = os.wait()
    del children[child]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Fleet:
    """Processes that run one project at the same time, forked from one that imported everything."""

    def __init__(self, workspace: Workspace, count: int) -> None:
        self._workspace = workspace
        flags = ["run", "-j", str(WIDTH), "--no-progress", "-q"]
        self._parent = subprocess.Popen(
            [sys.executable, "-c", FORKS, str(count), *flags],
            cwd=workspace.root,
            env=environment_of_program(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ids: list[int] = []

    def ready(self) -> Fleet:
        """All have come as far as to wait for the word."""
        assert self._parent.stdout is not None
        assert self._parent.stdout.readline() == "ready\n"
        return self

    def go(self) -> Fleet:
        """All begin."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("\n")
        stdin.flush()
        self.ids = [int(word) for word in stdout.readline().split()]
        return self

    def codes(self) -> Counter[int]:
        """The exit codes of all."""
        out, err = self._parent.communicate(timeout=100)
        assert "Traceback" not in err
        return Counter(map(int, out.split()))

    def summaries(self) -> list[dict[str, Any]]:
        """What those say that came to their end."""
        found = sorted((self._workspace.root / "out").glob("*.json"))
        return [json.loads(path.read_bytes())["summary"] for path in found]


def wait_for(provider: FakeProvider, calls: int) -> None:
    deadline = time.monotonic() + 60
    while len(provider.requests) < calls:
        assert time.monotonic() < deadline, "the runs do not come on"
        time.sleep(0.005)


@pytest.mark.timeout(300)
def test_sixteen_processes_pay_for_two_hundred_answers(
    tmp_path: Path, provider: FakeProvider, rounds: Callable[[int, int], int]
) -> None:
    for number in range(rounds(1, 5)):
        asked_before = len(provider.requests)
        workspace = project(tmp_path / str(number), provider)
        fleet = Fleet(workspace, PROCESSES).ready().go()
        assert fleet.codes() == {0: PROCESSES}
        assert len(provider.requests) - asked_before == CASES
        sums = fleet.summaries()
        assert [found["passed"] for found in sums] == [CASES] * PROCESSES
        paid = [found["cache"]["misses"] for found in sums]
        assert sum(paid) == CASES
        assert sum(map(bool, paid)) > 1, "they share the work"


@pytest.mark.kill
@pytest.mark.timeout(300)
def test_killed_owners_cost_at_most_what_they_had_in_flight(
    tmp_path: Path, provider: FakeProvider, rounds: Callable[[int, int], int]
) -> None:
    chance = random.Random()
    for number in range(rounds(1, 10)):
        before = len(provider.requests)
        workspace = project(tmp_path / str(number), provider)
        fleet = Fleet(workspace, 6).ready().go()
        for killed, owner in enumerate(fleet.ids[:3]):
            wait_for(provider, before + 40 * (killed + 1))
            time.sleep(chance.random() * 0.03)
            os.kill(owner, signal.SIGKILL)
        assert fleet.codes() == {0: 3, -signal.SIGKILL: 3}
        paid = Counter(prompt_of(body) for body in provider.requests[before:])
        assert len(paid) == CASES
        assert sum(paid.values()) <= CASES + 3 * WIDTH


def test_a_second_run_takes_over_what_the_first_gives_up(
    tmp_path: Path, provider: FakeProvider
) -> None:
    """An owner that is told to stop frees its keys, and whoever waits for them pays."""
    fleet = Fleet(project(tmp_path, provider), 2).ready().go()
    wait_for(provider, 60)
    os.kill(fleet.ids[0], signal.SIGTERM)
    assert fleet.codes() == {0: 1, 143: 1}
    assert len(provider.requests) == CASES


@pytest.mark.timeout(300)
def test_two_machines_with_one_server_pay_for_two_hundred_answers(
    tmp_path: Path, provider: FakeProvider, server: Server
) -> None:
    """Each has its own checkout and its own state folder; nothing but the server is shared."""
    cache = {"url": server.url, "namespace": "team"}
    model = {"revision": "r1"}  # a model known by a loopback address alone never leaves its machine
    machines = [project(tmp_path / name, provider, cache=cache) for name in ("one", "two")]
    for machine in machines:
        config = {**machine.config}
        config["models"] = {name: {**one, **model} for name, one in config["models"].items()}
        machine.write("evalrunner.yaml", config)
    fleets = [fleet.ready() for fleet in [Fleet(machine, 2) for machine in machines]]
    for fleet in fleets:
        fleet.go()
    assert [fleet.codes() for fleet in fleets] == [{0: 2}, {0: 2}]
    assert len(provider.requests) == CASES
    paid = [sum(found["cache"]["misses"] for found in fleet.summaries()) for fleet in fleets]
    assert sum(paid) == CASES
    assert min(paid) > 0, "they share the work"
    assert server.command("KEYS", "*lease*") == []
