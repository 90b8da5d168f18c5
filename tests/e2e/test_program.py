"""The program as a shell starts it: what it writes, how it ends, whom it talks to."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from evalrunner.testing import FakeProvider
from evalrunner.wiring.publish import FORMATS

from . import workspace as workspaces
from .workspace import Workspace, prompt_of

CHECKS = [{"type": "contains", "value": "number"}]

WATCHED = """
import sys
from tests import guards

hosts = []

def note(host):
    hosts.append(host.decode() if isinstance(host, bytes) else str(host))
    if not guards.is_loopback(host):
        raise OSError(f"reached for {host}")

guards.FENCE.check = note
from evalrunner.cli import main
try:
    main()
finally:
    with open("hosts.log", "w") as log:
        log.write("\\n".join(hosts))
"""
"""The program with every connection and every name that it looks up on record."""


def test_a_run_writes_what_it_is_asked_for_and_ends_with_its_code(workspace: Workspace) -> None:
    def script(body: Any) -> str:
        return "wrong" if "number 2" in prompt_of(body) else "number"

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=4, checks=CHECKS)
        outputs = [word for ending in FORMATS for word in ("-o", f"out/r{ending}")]
        first = workspace.program("run", *outputs)
        assert first.returncode == 1, first.stderr
        assert "s/r2" in first.stdout
        assert "Traceback" not in first.stdout + first.stderr
        assert all((workspace.root / f"out/r{ending}").stat().st_size for ending in FORMATS)

        again = workspace.program("run", "--json", "-q")
        assert again.returncode == 1
        document = json.loads(again.stdout)
        assert document["schema"] == "evalrunner.run/1"
        assert document["summary"]["calls"]["total"] == 0
        assert len(provider.requests) == 4
        assert workspace.program("run", "-k", "r1").returncode == 0
        assert workspace.program("run", "-k", "nowhere").returncode == 5
        assert len(provider.requests) == 4


def test_the_quality_of_a_run_is_forgiven_on_demand(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=2, checks=[{"type": "contains", "value": "absent"}])
    assert workspace.program("run").returncode == 1
    assert workspace.program("run", "--warn-only").returncode == 0


def test_what_cannot_be_used_is_named_by_file_and_line(workspace: Workspace) -> None:
    workspace.write("suites/s.yaml", "name: s\nprompts: [x]\nchekcs: []\n")
    ended = workspace.program("run")
    assert ended.returncode == 2
    assert "suites/s.yaml:3" in ended.stderr
    assert "Traceback" not in ended.stderr
    for wrong in (["--shard", "4/3"], ["--max-usd", "many"], ["-o", "out.xyz"], ["--nonsense"]):
        ended = workspace.program("run", *wrong)
        assert ended.returncode == 2, wrong
        assert "Traceback" not in ended.stderr
    assert not (workspace.state / "runs").exists() or not list((workspace.state / "runs").iterdir())


def test_an_environment_variable_sets_what_a_flag_does_not(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=2, checks=CHECKS)
    assert workspace.program("run", EVALRUNNER_FROZEN="1").returncode == 7
    assert workspace.program("run", EVALRUNNER_MAX_USD="0.0000001").returncode == 3
    assert not provider.requests
    state = str(workspace.root / "elsewhere")
    assert workspace.program("run", EVALRUNNER_STATE_DIR=state).returncode == 0
    assert (workspace.root / "elsewhere/ledger.sqlite3").exists()


def test_a_canary_key_appears_nowhere(workspace: Workspace) -> None:
    from evalrunner.testing import FakeReply

    canary = "sk-canary-9876543210"
    replies = [
        FakeReply(status=401, text=f"Incorrect API key provided: {canary}"),
        FakeReply(status=400, text=f"bad request, Authorization: Bearer {canary}"),
        FakeReply(body=f"<html>{canary}</html>".encode()),
        FakeReply(text=f"number {canary}"),
    ]
    for reply in replies:
        with FakeProvider(reply) as provider:
            workspace.configure(provider.base_url)
            for one in workspace.config["models"].values():
                one["api_key_env"] = "OUR_KEY"
            workspace.write("evalrunner.yaml", workspace.config)
            workspace.suite(n=1, checks=CHECKS)
            outputs = [word for ending in FORMATS for word in ("-o", f"out/r{ending}")]
            ended = workspace.program("run", "-v", "--json", *outputs, OUR_KEY=canary)
            assert provider.requests
        assert canary not in ended.stdout + ended.stderr
        assert (ended.returncode == 0) is (reply is replies[-1])
        cache = workspace.state / "cache"
        for path in workspace.root.rglob("*"):
            if path.is_file() and cache not in path.parents:
                assert canary.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("client", ["direct", "litellm"])
def test_nobody_is_contacted_but_the_configured_endpoint(
    workspace: Workspace,
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    client: str,
) -> None:
    monkeypatch.setattr(workspaces, "PROGRAM", WATCHED)
    for one in workspace.config["models"].values():
        # the deadline is the provider's; importing litellm takes longer on a slow machine
        one |= {"client": client, "timeout_seconds": 3}
    workspace.write("evalrunner.yaml", workspace.config)
    workspace.write(
        ".env", "OPENAI_API_BASE=http://192.0.2.1/v1\nOPENAI_API_KEY=sk-elsewhere-0123\n"
    )
    workspace.suite(n=3, checks=[{"type": "llm-rubric", "value": "RUBRIC"}])
    ended = workspace.program(
        "run", "-j", "2", "-o", "out/r.html", LITELLM_TELEMETRY="True", HF_HUB_OFFLINE="0"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(provider.requests) == 6
    hosts = (workspace.root / "hosts.log").read_text().split("\n")
    assert set(hosts) == {"127.0.0.1"}


def test_a_warm_run_opens_no_socket_at_all(
    workspace: Workspace, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.suite(n=3, checks=CHECKS)
    workspace.program("run")
    monkeypatch.setattr(workspaces, "PROGRAM", WATCHED)
    for flags in ((), ("--frozen",)):
        (workspace.root / "hosts.log").unlink(missing_ok=True)
        assert workspace.program("run", *flags).returncode == 0
        assert (workspace.root / "hosts.log").read_text() == ""
    assert len(provider.requests) == 3


def test_shards_merge_on_the_command_line(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=6, checks=CHECKS)
    files = [f"part{part}.json" for part in (1, 2)]
    for part, file in enumerate(files, 1):
        assert workspace.program("run", "--shard", f"{part}/2", "-o", file).returncode == 0
    merged = workspace.program("report", *files, "-o", "whole.json", "-o", "whole.junit.xml")
    assert merged.returncode == 0, merged.stderr
    document = json.loads((workspace.root / "whole.json").read_bytes())
    assert document["summary"]["passed"] == 6
    assert document["run"]["shard"] is None
    half = workspace.program("report", files[0], files[0], "-o", "half.json")
    assert half.returncode == 6, "the other half is missing"


def test_an_unchanged_run_is_told_again_and_any_edit_ends_that(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=3, checks=CHECKS)

    def told_again() -> bool:
        assert workspace.program("run").returncode == 0
        runs = [json.loads(p.read_bytes())["run"] for p in (workspace.state / "runs").iterdir()]
        return max(runs, key=lambda run: run["started_at"])["answered_from"] is not None

    assert not told_again()
    assert told_again()
    assert told_again()
    edits = (
        lambda: workspace.suite(n=4, checks=CHECKS),
        lambda: workspace.golden("s", [{"id": "r0", "q": "number 0"}]),
        lambda: workspace.write("suites/t.yaml", '{"prompts": ["{{q}}"], "golden": [{"q": 1}]}'),
        lambda: workspace.configure(provider.base_url, report={"include": "none"}),
    )
    for edit in edits:
        edit()
        assert not told_again()
        assert told_again()
    shutil.rmtree(workspace.state / "cache")
    assert not told_again(), "without its store a run is not believed"
    assert len(provider.requests) == 4 + 1 + 2
