from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable

import pytest

from evalrunner.testing import FakeProvider
from evalrunner.values.money import Picodollars
from tests.e2e.workspace import Workspace, answer, ids, outcomes
from tests.pytest_plugin.session import Ended, documents, pytest_session, start

HOLDS = [{"type": "is-json"}, {"type": "contains", "value": "{{q}}"}]

DYING = """
import os, signal
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    marked = os.path.join(os.environ["DEATHS"], item.name.replace("/", "-"))
    if os.environ.get("PYTEST_XDIST_WORKER") and os.path.exists(marked):
        how = open(marked).read()
        os.remove(marked)
        os._exit(3) if how == "exit" else os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_share_one_executor_one_report_and_one_gate(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=8, checks=HOLDS)
    workspace.suite("t", n=2, prompts=["Question {{q}}"], checks=HOLDS)  # the same questions
    workspace.write(
        "tests/test_one.py",
        "import pytest\n@pytest.mark.parametrize('n', range(3))\n"
        "def test_one(llm_eval, n):\n    assert llm_eval('Say one').passed\n",
    )
    ended = pytest_session(workspace, "-n", "2", "-v", "--junitxml=junit.xml")
    assert (ended.code, ended.counts) == (0, {"passed": 13}), ended.out
    assert set(ended.reported.values()) == {1}
    assert sum(provider.calls.values()) == 9  # 8 questions and "Say one", each paid once
    (kept,) = documents(workspace)
    assert outcomes(kept) == {"passed": 13}
    assert [gate.suite for gate in kept.gates] == ["s", "t", "tests/test_one.py"]
    assert "evalrunner.calls" in (workspace.root / "junit.xml").read_text()
    again = pytest_session(workspace, "-n", "2", "-k", "r1 or one")
    assert (again.code, sum(provider.calls.values())) == (0, 9), again.out
    assert len(ids(documents(workspace)[1])) == 5  # what was selected, and nothing else


def test_a_ceiling_holds_for_all_workers_together(workspace: Workspace) -> None:
    """Never above it, and less than one worst case below it."""
    with FakeProvider(answer, latency_seconds=0.01) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=60, checks=HOLDS)
        worst = Picodollars(2_100_000_000)  # 1,024 tokens at $2 a million, and a few of the prompt
        ceiling = Picodollars(2_550_000_000)
        ended = pytest_session(workspace, "-n", "2", "--no-eval-gate", "--eval-max-usd=0.00255")
    (kept,) = documents(workspace)
    assert ended.code == 1
    assert kept.summary is None
    rows = workspace.attempts(kept.run.id)
    settled = [row.settlement.cost for row in rows if row.settlement is not None]
    spent = sum(cost for cost in settled if cost is not None)
    assert ceiling - worst < spent <= ceiling
    counts = outcomes(kept)
    assert counts["passed"] == len(rows)
    assert counts["passed"] + counts["not_run"] == 60
    assert ended.counts == {"failed": counts["not_run"], "passed": counts["passed"]}


@pytest.mark.kill
def test_killed_workers_lose_no_case_and_pay_nothing_twice(
    workspace: Workspace, rounds: Callable[[int, int], int]
) -> None:
    for number in range(rounds(1, 20)):
        chance = random.Random(number)
        workspace.suite(name := f"s{number}", n=40, checks=HOLDS)
        victims = chance.sample(range(40), 2)
        deaths = workspace.root / "deaths"
        deaths.mkdir(exist_ok=True)
        for victim, how in zip(victims, ("exit", "kill"), strict=True):
            (deaths / f"{name}-r{victim}").write_text(how)
        workspace.write("conftest.py", DYING)
        with FakeProvider(answer, latency_seconds=0.02) as provider:
            workspace.configure(provider.base_url)
            ended = pytest_session(
                workspace, "-n", "2", "-v", f"suites/{name}.yaml", DEATHS=str(deaths)
            )
            assert list(deaths.iterdir()) == []
            assert sum(provider.calls.values()) == 40
        assert ended.code == 1, ended.out
        assert ended.counts == {"failed": 2, "passed": 38}
        crashed = re.findall(rf"crashed while running '(\S+{name}/r\d+)'", ended.out)
        assert set(crashed) == {f"suites/{name}.yaml::{name}/r{victim}" for victim in victims}
        assert len(ids(documents(workspace)[-1])) == 40


def test_cases_that_nobody_reports_fail_the_session(workspace: Workspace) -> None:
    workspace.suite(n=20, checks=HOLDS)
    workspace.write("conftest.py", DYING)
    deaths = workspace.root / "deaths"
    deaths.mkdir()
    (deaths / "s-r1").write_text("kill")
    ended = pytest_session(workspace, "-n", "1", "-v", "--max-worker-restart=0", DEATHS=str(deaths))
    assert ended.code == 1
    found = re.search(r"FAILED  (\d+) planned and never reported: suites/s.yaml::s/", ended.out)
    assert found is not None, ended.out
    assert int(found[1]) == 20 - sum(ended.reported.values())
    assert "never reported" in documents(workspace)[0].warnings[-1]


def test_the_service_ends_with_the_session_that_was_killed(workspace: Workspace) -> None:
    with FakeProvider(answer, latency_seconds=30) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=3, checks=HOLDS)
        session = start(workspace, "-q")
        _wait_for(lambda: provider.in_flight == 3)
        session.kill()
        session.communicate(timeout=60)
        _wait_for(lambda: bool(documents(workspace)))
    (kept,) = documents(workspace)
    assert outcomes(kept) == {"not_run": 3}
    assert kept.run.exit_code == 128 + signal.SIGTERM
    assert kept.possibly_paid


STILLBORN = """
import evalrunner.pytest_plugin.service as service
service._PROGRAM = "raise SystemExit('no room for me')"
"""

MURDER = """
import os, signal
from evalrunner.pytest_plugin.session import evals_of

def pytest_runtest_call(item):
    if item.name == "s/r1":
        os.kill(evals_of(item.config).host._process.pid, signal.SIGKILL)
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "workers"])
def test_a_service_that_cannot_start_says_why(
    workspace: Workspace, options: tuple[str, ...]
) -> None:
    workspace.suite(n=2, checks=HOLDS)
    workspace.write("conftest.py", STILLBORN)
    ended = pytest_session(workspace, *options)
    assert ended.code in {1, 2}
    assert "no room for me" in ended.out
    assert "Traceback" not in ended.out


def test_a_service_that_dies_fails_what_is_left(workspace: Workspace) -> None:
    workspace.suite(n=3, checks=HOLDS)
    workspace.write("conftest.py", MURDER)
    ended = pytest_session(workspace)
    assert (ended.code, ended.counts) == (1, {"failed": 2, "passed": 1}), ended.out
    assert "the process that answers evals has gone" in ended.out


def test_ctrl_c_keeps_what_was_answered(workspace: Workspace) -> None:
    with FakeProvider(answer, latency_seconds=0.2) as provider:
        workspace.configure(provider.base_url)
        workspace.config["models"]["large"]["max_concurrency"] = 1
        workspace.write("evalrunner.yaml", workspace.config)
        workspace.suite(n=50, checks=HOLDS)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background
        try:  # ignores it, and so would its children
            session = start(workspace, "-q")
        finally:
            signal.signal(signal.SIGINT, before)
        _wait_for(lambda: sum(provider.calls.values()) >= 3)
        os.kill(session.pid, signal.SIGINT)
        out, _ = session.communicate(timeout=60)
        asked = sum(provider.calls.values())
    ended = Ended(session.returncode, out)
    assert ended.code == 2, ended.out
    (kept,) = documents(workspace)
    assert kept.run.exit_code == 130
    assert outcomes(kept)["passed"] == asked < 50


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
