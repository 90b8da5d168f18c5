"""A run that is ended from outside: nothing that was answered is lost, nothing is paid twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.testing import FakeProvider

from .workspace import Workspace, answer, outcomes, prompt_of

CASES = 300
WIDTH = 8
LATENCY = 0.05
CHECKS = [{"type": "contains", "value": "ok"}]


class Slow:
    """A provider that takes its time, and remembers which questions came and which were answered."""

    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider

    def questions(self) -> Counter[str]:
        return Counter(prompt_of(body) for body in list(self.provider.requests))

    def wait_for(self, calls: int, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 60
        while len(self.provider.requests) < calls and process.poll() is None:
            assert time.monotonic() < deadline, "the run does not come on"
            time.sleep(0.005)


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    with FakeProvider(answer, latency_seconds=LATENCY) as provider:
        yield Slow(provider)


@pytest.fixture
def project(workspace: Workspace, slow: Slow) -> Workspace:
    workspace.configure(slow.provider.base_url)
    workspace.suite(n=CASES, checks=CHECKS)
    return workspace


def run(project: Workspace) -> subprocess.Popen[str]:
    return project.start("run", "-j", str(WIDTH), "--no-progress", "-o", "out/run.json")


def runs_in_ledger(project: Workspace) -> list[str]:
    import sqlite3

    with sqlite3.connect(project.state / "ledger.sqlite3") as connection:
        found = connection.execute(
            "SELECT run_id FROM attempts GROUP BY run_id ORDER BY min(number)"
        )
        return [run_id for (run_id,) in found]


@pytest.mark.kill
@pytest.mark.timeout(600)
def test_a_killed_run_pays_again_at_most_for_what_was_in_flight(
    project: Workspace, slow: Slow, rounds: Callable[[int, int], int]
) -> None:
    kills, chance = 0, random.Random()
    for _ in range(rounds(3, 12)):
        process = run(project)
        slow.wait_for(len(slow.provider.requests) + chance.randint(1, 60), process)
        time.sleep(chance.random() * LATENCY)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert sum(slow.questions().values()) - len(slow.questions()) <= WIDTH * kills
    assert kills
    killed = runs_in_ledger(project)

    report = project.run(max_concurrency=WIDTH)

    assert outcomes(report) == {"passed": CASES}
    assert report.cache.damaged == 0
    asked = slow.questions()
    assert len(asked) == CASES
    again = sum(asked.values()) - CASES
    assert again <= WIDTH * kills
    ledger = SqliteLedger(project.state / "ledger.sqlite3", run_id="reader")
    open_calls = 0
    for run_id in killed:
        waiting = [row for row in ledger.attempts(run_id) if row.settlement is None]
        open_calls += len(waiting)
        worst = sum(row.attempt.worst_case or 0 for row in waiting)
        assert (ledger.open_reservations(run_id) or 0) == worst
    ledger.close()
    assert open_calls >= again, "whatever was paid twice is on record as possibly paid"
    settled = sum(
        row.settlement is not None
        for run_id in [*killed, report.run.id]
        for row in project.attempts(run_id)
    )
    assert settled <= sum(asked.values()) <= settled + open_calls


@pytest.mark.kill
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_run_that_is_told_to_stop_keeps_what_it_has(
    project: Workspace, slow: Slow, number: signal.Signals, code: int
) -> None:
    process = run(project)
    slow.wait_for(40, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in out + err

    document = json.loads((project.root / "out/run.json").read_bytes())
    (kept,) = (project.state / "runs").glob("*.json")
    assert json.loads(kept.read_bytes())["run"]["id"] == document["run"]["id"]
    assert document["run"]["exit_code"] == code
    assert code in {failure["code"] for failure in document["failures"]}
    counts = Counter(case["outcome"] for case in document["cases"])
    assert counts["passed"] + counts["not_run"] == CASES
    assert counts["passed"] >= 40 - WIDTH
    reasons = {case["reason"] for case in document["cases"] if case["outcome"] == "not_run"}
    assert reasons == {"interrupted"}

    sent = len(slow.provider.requests)
    assert sent == counts["passed"], "calls in flight are waited for, and nothing more is sent"
    assert len(project.attempts(document["run"]["id"])) == sent
    assert document["summary"]["cost"]["possibly_paid_usd"] == "0"

    assert outcomes(project.run(max_concurrency=WIDTH)) == {"passed": CASES}
    assert len(slow.provider.requests) == CASES, "what was answered is not asked again"


@pytest.mark.kill
def test_a_case_that_waits_for_its_judge_counts_each_cause_once(workspace: Workspace) -> None:
    with FakeProvider(answer, latency_seconds=0.5) as provider:
        workspace.configure(provider.base_url)
        judged = [*CHECKS, {"type": "llm-rubric", "value": "RUBRIC"}]
        workspace.suite(n=CASES, checks=judged)
        process = run(workspace)
        Slow(provider).wait_for(5 * WIDTH, process)
        for _ in range(2):  # the second ends calls in flight
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err

    document = json.loads((workspace.root / "out/run.json").read_bytes())
    asked = [call for case in document["cases"] for call in case["calls"] if not call["cached"]]
    halfway = [case for case in document["cases"] if case["outcome"] == "not_run" and case["calls"]]
    assert halfway, "some answers have come and wait to be judged"
    causes = Counter(call["miss_cause"] for call in asked)
    assert set(causes) == {"first_run"}
    assert document["summary"]["cache"]["misses_by_cause"] == causes


@pytest.mark.kill
def test_a_second_interrupt_ends_at_once(workspace: Workspace) -> None:
    with FakeProvider(answer, latency_seconds=30) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=20, checks=CHECKS)
        process = run(workspace)
        Slow(provider).wait_for(WIDTH, process)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None, "the first waits for calls in flight"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - started < 4
        assert process.returncode == 130
        assert "Traceback" not in out + err
        (kept,) = (workspace.state / "runs").glob("*.json")
        document = json.loads(kept.read_bytes())
        assert {case["outcome"] for case in document["cases"]} == {"not_run"}
        waiting = [r for r in workspace.attempts(document["run"]["id"]) if r.settlement is None]
        assert len(waiting) >= WIDTH
        assert document["summary"]["cost"]["possibly_paid_usd"] not in ("0", None)


@pytest.mark.kill
def test_calls_that_do_not_end_are_left_after_a_few_seconds(workspace: Workspace) -> None:
    with FakeProvider(answer, latency_seconds=60) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=4, checks=CHECKS)
        process = run(workspace)
        Slow(provider).wait_for(4, process)
        started = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - started < 9
        assert process.returncode == 143, err
