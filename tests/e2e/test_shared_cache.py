"""A cache on a real server: shared between machines, and never a reason for a case to fail."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalrunner.testing import FakeProvider
from tests.servers import Server, running

from .workspace import RUBRIC, Workspace, answer, model, questions

ROWS = 20
CHECKS = [
    {"type": "contains", "value": "ok"},
    {"type": "llm-rubric", "value": RUBRIC, "threshold": 0.5},
]
CALLS = 2 * ROWS
SLACK_SECONDS = 3.0
"""What the machine may add beyond what the outage may: others work on it too."""


class Outage:
    """Answers as usual, and has something happen when so many questions have been asked."""

    def __init__(self, at: int, happens: Callable[[], None]) -> None:
        self._left = at
        self._happens = happens

    def __call__(self, body: Any) -> str:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return answer(body)


def machine(root: Path, base_url: str, cache: object) -> Workspace:
    """A machine with a checkout of the project and nothing else."""
    root.mkdir()
    made = Workspace(root)
    made.configure(base_url, cache=cache)
    models = {
        "small": model(base_url, "tiny-2026-01-01", revision="r1"),
        "large": model(base_url, "huge-2026-01-01", revision="r1"),
    }
    made.config["models"] = models
    made.write("evalrunner.yaml", made.config)
    made.suite(n=ROWS, checks=CHECKS)
    made.golden("s", questions(ROWS))
    return made


def run(at: Workspace, *flags: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """The program's exit code, run document and what it says on stderr."""
    done = at.program("run", "--json", *flags, **environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def cache_warnings(document: dict[str, Any]) -> list[str]:
    return [line for line in document["warnings"] if "cache" in line]


def test_what_one_machine_paid_for_no_other_pays_again(
    tmp_path: Path, provider: FakeProvider, server: Server
) -> None:
    cache = {"url": server.url, "namespace": "team"}
    first = machine(tmp_path / "a", provider.base_url, cache)
    code, document, _ = run(first)
    assert (code, sum(provider.calls.values())) == (0, CALLS)
    assert document["summary"]["cache"]["mode"] == "read-write"
    assert document["summary"]["cache"]["signing"] == "unsigned"
    assert server.command("HLEN", "evalrunner:1.1:team") == CALLS + 1  # and its name
    second = machine(tmp_path / "b", provider.base_url, cache)
    code, document, _ = run(second)
    assert (code, sum(provider.calls.values())) == (0, CALLS)
    assert document["summary"]["cache"]["hits"] == CALLS
    assert not cache_warnings(document)
    assert not (second.state / "cache" / "cache.db").exists(), "what the server has needs no copy"


def test_the_environment_names_the_server(
    tmp_path: Path, provider: FakeProvider, server: Server
) -> None:
    at = machine(tmp_path / "a", provider.base_url, {"url": "disk:", "namespace": "team"})
    run(at, EVALRUNNER_CACHE_URL=server.url)
    assert server.command("HLEN", "evalrunner:1.1:team") == CALLS + 1


def test_a_model_known_by_a_loopback_address_alone_stays_on_this_machine(
    tmp_path: Path, provider: FakeProvider, server: Server
) -> None:
    cache = {"url": server.url, "namespace": "team"}
    at = machine(tmp_path / "a", provider.base_url, cache)
    for entry in at.config["models"].values():
        del entry["revision"]
    at.write("evalrunner.yaml", at.config)
    run(at)
    assert server.command("EXISTS", "evalrunner:1.1:team") == 0
    _, document, _ = run(at, "--limit", str(ROWS))
    assert document["summary"]["cache"]["hits"] == CALLS, "here they are found again"


# ---------------------------------------------------------------- outages


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "server") as server:
        yield server


def fill(server: Server) -> None:
    """Takes all the memory that it may have; every further write is refused."""
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", "1")


def evict(server: Server) -> None:
    """Has it drop whatever it likes, from now on, to stay below what it uses already."""
    server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.command("CONFIG", "SET", "maxmemory", "1")


OUTAGES: dict[str, tuple[Callable[[Server], None], int]] = {
    "paused": (Server.pause, 1),
    "killed": (Server.kill, 1),
    "restarted empty": (Server.restart, 1),
    "full": (fill, 1),
    "evicting": (evict, 1),
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long such a run takes without a server."""
    with FakeProvider(answer, latency_seconds=0.02) as provider:
        at = machine(tmp_path_factory.mktemp("usual") / "a", provider.base_url, {})
        began = time.monotonic()
        run(at, "-j", "8")
        return time.monotonic() - began


@pytest.mark.parametrize("outage", OUTAGES)
def test_no_outage_in_mid_run_costs_a_case(
    outage: str, tmp_path: Path, own_server: Server, usual: float
) -> None:
    happens, most_warnings = OUTAGES[outage]
    script = Outage(CALLS // 2, lambda: happens(own_server))
    with FakeProvider(script, latency_seconds=0.02) as provider:
        cache = {"url": own_server.url, "namespace": "team"}
        at = machine(tmp_path / "a", provider.base_url, cache)
        began = time.monotonic()
        code, document, _ = run(at, "-j", "8")
        took = time.monotonic() - began
        own_server.resume() if outage == "paused" else None
        assert code == 0
        assert document["summary"]["passed"] == ROWS
        assert sum(provider.calls.values()) == CALLS, "nothing is paid twice"
        assert len(cache_warnings(document)) <= most_warnings
        assert took < usual + 2.0 + SLACK_SECONDS


def test_what_a_dead_server_does_not_take_is_kept_here(
    tmp_path: Path, provider: FakeProvider, own_server: Server
) -> None:
    own_server.kill()
    at = machine(tmp_path / "a", provider.base_url, {"url": own_server.url, "namespace": "team"})
    code, document, _ = run(at)
    (warning,) = cache_warnings(document)
    assert code == 0 and "nobody listens there" in warning
    assert f"{CALLS} answers are kept on this machine alone" in warning
    code, document, _ = run(at, "--frozen")
    assert code == 0 and document["summary"]["cache"]["hits"] == CALLS
    assert sum(provider.calls.values()) == CALLS


# ---------------------------------------------------------------- rights


ACL = [
    "+hmget +hlen +hscan +hset +hsetnx +hpexpire +hdel +unlink +info +select",
    "+hmget +hlen +hscan +info +select",
]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server with a user who may write, one who may read, and nobody else but its owner."""
    with running(tmp_path / "server") as server:
        keys = ["~evalrunner:*", "%R~evalrunner:*"]
        for name, rights, pattern in zip(("writer", "reader"), ACL, keys, strict=True):
            words = ["on", f">{name}-pw", "resetkeys", pattern, "resetchannels", "-@all"]
            server.command("ACL", "SETUSER", name, *words, *rights.split())
        server.command("CONFIG", "SET", "requirepass", "owner")
        yield server


def test_the_documented_rights_are_enough_and_no_more(
    tmp_path: Path, provider: FakeProvider, guarded: Server
) -> None:
    address = f"127.0.0.1:{guarded.port}"
    cache = {"url": f"redis://writer@{address}", "namespace": "team", "max_age": "30d"}
    writer = machine(tmp_path / "a", provider.base_url, cache)
    code, document, stderr = run(writer, EVALRUNNER_CACHE_PASSWORD="writer-pw")
    assert code == 0 and not cache_warnings(document)
    assert "writer-pw" not in json.dumps(document) + stderr
    ttl = guarded.client(password="owner").execute_command
    assert ttl("HLEN", "evalrunner:1.1:team") == CALLS + 1
    field = next(f for f in ttl("HKEYS", "evalrunner:1.1:team") if len(f) == 32)
    assert 0 < ttl("HTTL", "evalrunner:1.1:team", "FIELDS", 1, field)[0] <= 30 * 86_400

    cache = {"namespace": "team", "stores": [
        {"url": "disk:", "mode": "overlay"},
        {"url": f"redis://reader@{address}", "mode": "read"},
    ]}  # fmt: skip
    reader = machine(tmp_path / "b", provider.base_url, cache)
    code, document, _ = run(reader, EVALRUNNER_CACHE_PASSWORD="reader-pw")
    assert code == 0 and document["summary"]["cache"]["mode"] == "overlay"
    assert document["summary"]["cache"]["hits"] == CALLS and not cache_warnings(document)


def test_a_reader_who_is_told_to_write_keeps_his_answers_here(
    tmp_path: Path, provider: FakeProvider, guarded: Server
) -> None:
    url = f"redis://reader@127.0.0.1:{guarded.port}"
    at = machine(tmp_path / "a", provider.base_url, {"url": url, "namespace": "team"})
    code, document, _ = run(at, EVALRUNNER_CACHE_PASSWORD="reader-pw")
    (warning,) = cache_warnings(document)
    assert code == 0 and "does not allow this user to do that" in warning
    assert guarded.command("EXISTS", "evalrunner:1.1:team", password="owner") == 0
    at = machine(tmp_path / "b", provider.base_url, {"url": url, "namespace": "team"})
    code, document, _ = run(at, EVALRUNNER_CACHE_PASSWORD="wrong")
    (warning,) = cache_warnings(document)
    assert code == 0 and "does not accept the user or the password" in warning


# ---------------------------------------------------------------- tiers


def test_a_pull_request_reads_the_teams_cache_and_writes_its_overlay(
    tmp_path: Path, provider: FakeProvider, server: Server
) -> None:
    team = {"url": server.url, "namespace": "team"}
    run(machine(tmp_path / "main", provider.base_url, team))
    before = server.command("HGETALL", "evalrunner:1.1:team")
    provider.calls.clear()
    stores = [{"url": "disk:", "mode": "overlay"}, {"url": server.url, "mode": "read"}]
    pull = machine(tmp_path / "pr", provider.base_url, {"namespace": "team", "stores": stores})
    pull.golden("s", [*questions(ROWS), {"id": "new", "q": "a new question"}])
    _, document, _ = run(pull)
    assert sum(provider.calls.values()) == 2, "an answer and a verdict"
    assert server.command("HGETALL", "evalrunner:1.1:team") == before
    _, document, _ = run(pull, "--frozen")
    assert document["summary"]["passed"] == ROWS + 1
    plain = machine(tmp_path / "main2", provider.base_url, {"namespace": "team"})
    shutil.copytree(pull.state / "cache", plain.state / "cache")
    shutil.rmtree(plain.state / "cache" / "unchanged", ignore_errors=True)
    _, document, _ = run(plain, "--frozen")
    assert document["summary"]["cache"]["hits"] == 0, "an overlay is nobody else's cache"


def test_a_near_store_keeps_what_a_far_one_knew(
    tmp_path: Path, provider: FakeProvider, own_server: Server
) -> None:
    stores = [{"url": "disk:"}, {"url": own_server.url}]
    cache = {"namespace": "team", "stores": stores}
    run(machine(tmp_path / "a", provider.base_url, cache))
    second = machine(tmp_path / "b", provider.base_url, cache)
    run(second)
    own_server.kill()
    shutil.rmtree(second.state / "cache" / "unchanged", ignore_errors=True)
    _, document, _ = run(second, "--frozen")
    assert document["summary"]["cache"]["hits"] == CALLS
    assert sum(provider.calls.values()) == CALLS


# ---------------------------------------------------------------- unchanged runs


def test_an_unchanged_run_is_told_again_while_the_server_has_the_same_store(
    tmp_path: Path, provider: FakeProvider, own_server: Server
) -> None:
    at = machine(tmp_path / "a", provider.base_url, {"url": own_server.url, "namespace": "team"})
    assert at.program("run", "--no-progress").returncode == 0
    again = at.program("run", "--no-progress")
    assert again.returncode == 0 and answered_from(at), again.stdout
    own_server.command("UNLINK", "evalrunner:1.1:team")
    assert at.program("run", "--no-progress").returncode == 0
    assert not answered_from(at), "the store was cleared"
    assert sum(provider.calls.values()) == 2 * CALLS
    assert at.program("run", "--no-progress").returncode == 0
    assert answered_from(at)
    own_server.pause()
    at.program("run", "--no-progress")
    own_server.resume()
    assert not answered_from(at), "nobody knows"


def answered_from(at: Workspace) -> str | None:
    """The run that the last run was answered from."""
    newest = max((at.state / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    found = json.loads(newest.read_text())["run"]["answered_from"]
    return None if found is None else str(found)
