"""A guest in other people's test runs: nothing of ours is loaded there, and no other plugin is disturbed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from evalrunner.testing import FakeProvider
from tests.e2e.workspace import Workspace, environment_of_program, outcomes
from tests.pytest_plugin.session import documents, pytest_session

LOADED = """
import json, sys
def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):
        return
    with open("loaded.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""

IMPORTED = """
import json, sys
import pytest
before = set(sys.modules)
import evalrunner.pytest_plugin.hooks
print(json.dumps(sorted(set(sys.modules) - before)))
"""


OURS = {
    "evalrunner",
    "evalrunner.pytest_plugin",
    "evalrunner.pytest_plugin.collecting",
    "evalrunner.pytest_plugin.hooks",
    "evalrunner.pytest_plugin.session",
}


@pytest.mark.parametrize(
    ("options", "also"),
    [
        ([], set()),
        # whoever has workers has a socket for them to call at
        (["-n", "1"], {"evalrunner.pytest_plugin.service"}),
    ],
    ids=["alone", "workers"],
)
def test_an_unrelated_run_loads_the_plugin_and_nothing_else_of_ours(
    workspace: Workspace, options: list[str], also: set[str]
) -> None:
    workspace.write("conftest.py", LOADED)
    workspace.write("data/suites/foreign.yaml", "not: [ours")
    workspace.write("test_one.py", "def test_one():\n    pass\n")
    ended = pytest_session(workspace, *options)
    assert (ended.code, ended.counts) == (0, {"passed": 1})
    assert "evals" not in ended.out
    loaded = json.loads((workspace.root / "loaded.json").read_text())
    assert {name for name in loaded if name.startswith("evalrunner")} == OURS | also
    assert not workspace.state.exists()


def test_loading_the_plugin_imports_nothing_that_pytest_has_not() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env=environment_of_program(),
        capture_output=True,
        check=True,
        text=True,
    )
    new = json.loads(ran.stdout)
    assert [name for name in new if not name.startswith("evalrunner")] == []


MIXED = """
import asyncio, random, time, warnings
import anyio, pytest

async def test_asyncio_mode_auto(llm_eval):
    assert (await llm_eval("Say one", checks=["is-json"])).passed

@pytest.mark.anyio
async def test_anyio(llm_eval):
    assert (await llm_eval("Say two")).passed

@pytest.mark.timeout(60)
def test_timeout(llm_eval):
    assert llm_eval("Say three").passed

def test_random_is_seeded_as_ever():
    assert isinstance(random.random(), float)

def test_clock_stands_still(llm_eval, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr("socket.socket", None)
    monkeypatch.delenv("PATH")
    assert llm_eval("Say four").passed

def test_no_loop_is_left_behind():
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()

def test_warnings_are_the_tests_own():
    with pytest.warns(UserWarning):
        warnings.warn("mine")
"""

INI = """
[pytest]
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""

PLUGINS = {
    "asyncio": ("pytest_asyncio.plugin", ["-o", "asyncio_mode=auto"]),
    "anyio": ("anyio.pytest_plugin", []),
    "timeout": ("pytest_timeout", ["--timeout=60"]),
    "randomly": ("pytest_randomly", ["-p", "randomly"]),
    "rerunfailures": ("pytest_rerunfailures", ["--reruns=1"]),
    "cov": ("pytest_cov.plugin", ["--cov=app", "--cov-report="]),
    "xdist": ("xdist", ["-n", "2"]),
}


def test_beside_all_plugins_at_once(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=4, checks=["is-json"])
    workspace.write("app/__init__.py", "X = 1\n")
    workspace.write("tests/test_mixed.py", MIXED)
    named = [plugin for plugin, _ in PLUGINS.values()]
    options = [word for name, (_, words) in PLUGINS.items() if name != "randomly" for word in words]
    workspace.write("pytest.ini", INI)
    ended = pytest_session(workspace, *options, plugins=tuple(named))
    assert (ended.code, ended.counts) == (0, {"passed": 11}), ended.out
    assert sum(provider.calls.values()) == 8
    assert (workspace.root / ".coverage").exists()


@pytest.mark.parametrize("name", PLUGINS)
def test_beside_one_plugin(workspace: Workspace, provider: FakeProvider, name: str) -> None:
    plugin, options = PLUGINS[name]
    options = [] if name == "randomly" else options
    workspace.suite(n=3, checks=["is-json"])
    workspace.write("test_own.py", "def test_own():\n    pass\n")
    ended = pytest_session(workspace, *options, plugins=(plugin,))
    assert (ended.code, ended.counts) == (0, {"passed": 4}), ended.out
    assert sum(provider.calls.values()) == 3
    assert outcomes(documents(workspace)[0]) == {"passed": 3}


def test_reruns_never_draw_again(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=2, checks=[{"type": "not-contains", "value": "number 1"}])
    workspace.write(
        "test_own.py",
        "def test_own(llm_eval):\n    llm_eval('Say one', checks=[{'type': 'equals', 'value': 'x'}])\n",
    )
    for recache in ([], ["--eval-recache"]):
        before = sum(provider.calls.values())
        ended = pytest_session(workspace, "--reruns=2", *recache, plugins=("pytest_rerunfailures",))
        assert ended.counts == {"failed": 2, "passed": 1, "rerun": 4}, ended.out
        assert sum(provider.calls.values()) - before == 3
        assert outcomes(documents(workspace)[-1]) == {"passed": 1, "failed": 2}
