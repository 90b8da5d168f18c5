"""A hostile pull request writes wherever it can reach; the default branch is served none of it."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from evalrunner.adapters.unchanged_file import read_record, write_record
from evalrunner.testing import FakeProvider
from tests.servers import Server

from .workspace import Workspace, model, questions

ROWS = 12
POISON = "poisoned: ok"
TEAM = "evalrunner:1.1:team"


def key_pair() -> tuple[str, str]:
    """A private key as OpenSSL writes it, and its public one as the configuration has it."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), "".join(public.decode().splitlines()[1:-1])


SECRET, PUBLIC = key_pair()
OTHER_SECRET, OTHER_PUBLIC = key_pair()


def checkout(root: Path, base_url: str, cache: dict[str, Any], rows: int = ROWS) -> Workspace:
    """A machine with a checkout. All of them ask one and the same model, as the keys know it."""
    root.mkdir()
    made = Workspace(root)
    large = model(base_url, "huge-2026-01-01", revision="r1")
    made.config = {"models": {"large": large}, "tiers": {"frontier": "large"}, "cache": cache}
    made.write("evalrunner.yaml", made.config)
    made.suite(n=rows, checks=[{"type": "contains", "value": "ok"}])
    made.golden("s", questions(rows))
    return made


def run(at: Workspace, *flags: str, **environment: str) -> dict[str, Any]:
    done = at.program("run", "--json", "--no-progress", *flags, **environment)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def outputs(document: dict[str, Any]) -> list[str]:
    return [case["output"] for case in document["cases"]]


@pytest.fixture
def team(server: Server) -> dict[str, Any]:
    """The configuration of the base branch."""
    return {"url": server.url, "namespace": "team", "sign": PUBLIC}


def test_none_of_its_values_is_served_to_the_default_branch(
    tmp_path: Path, provider: FakeProvider, server: Server, team: dict[str, Any]
) -> None:
    half = checkout(tmp_path / "main", provider.base_url, team, rows=ROWS // 2)
    document = run(half, EVALRUNNER_SIGNING_KEY=SECRET)
    assert document["summary"]["cache"]["signing"] == "signed"
    assert document["summary"]["passed"] == ROWS // 2
    genuine = server.client().hgetall(TEAM)

    with FakeProvider(POISON) as bad:  # the same model to the keys, at an address of its own
        unsigned = {"url": server.url, "namespace": "team"}
        pull = checkout(tmp_path / "pull", bad.base_url, unsigned)
        run(pull, "--recache")  # over what is there, and ahead of what is not
        signed = {**unsigned, "sign": OTHER_PUBLIC}
        stranger = checkout(tmp_path / "stranger", bad.base_url, {**signed, "namespace": "strange"})
        run(stranger, EVALRUNNER_SIGNING_KEY=OTHER_SECRET)
    client = server.client()
    poisoned = client.hgetall(TEAM)
    assert len(poisoned) == ROWS + 1 and poisoned != genuine, "it could write there"
    strange = client.hgetall("evalrunner:1.1:strange")
    some = sorted(key for key in poisoned if len(key) == 32)[: ROWS // 3]
    client.hset(TEAM, mapping={key: strange[key] for key in some})
    client.copy(TEAM, "evalrunner:0.9:team")
    client.close()

    branch = checkout(tmp_path / "branch", provider.base_url, team)
    shutil.copytree(pull.state / "cache", branch.state / "cache", dirs_exist_ok=True)
    provider.calls.clear()
    document = run(branch, EVALRUNNER_SIGNING_KEY=SECRET)
    assert POISON not in json.dumps(document)
    assert sum(provider.calls.values()) == ROWS, "each of them is a miss"
    cache = document["summary"]["cache"]
    assert (cache["hits"], cache["untrusted"] + cache["damaged"]) == (0, ROWS)
    assert document["summary"]["passed"] == ROWS
    document = run(checkout(tmp_path / "later", provider.base_url, team))
    assert document["summary"]["cache"]["hits"] == ROWS, "and what it writes is believed again"
    assert POISON not in json.dumps(document)


def test_without_the_private_key_the_teams_cache_is_read_and_never_written(
    tmp_path: Path, provider: FakeProvider, server: Server, team: dict[str, Any]
) -> None:
    run(checkout(tmp_path / "main", provider.base_url, team), EVALRUNNER_SIGNING_KEY=SECRET)
    before = server.client().hgetall(TEAM)
    provider.calls.clear()
    pull = checkout(tmp_path / "pull", provider.base_url, team, rows=ROWS + 3)
    for calls in (3, 3):
        document = run(pull)
        assert sum(provider.calls.values()) == calls, "its own answers are in its overlay"
        cache = document["summary"]["cache"]
        assert (cache["mode"], cache["signing"]) == ("overlay", "verified")
    assert server.client().hgetall(TEAM) == before
    branch = checkout(tmp_path / "branch", provider.base_url, team, rows=ROWS + 3)
    shutil.copytree(pull.state / "cache", branch.state / "cache")
    run(branch, EVALRUNNER_SIGNING_KEY=SECRET)
    assert sum(provider.calls.values()) == 6, "the overlay is nobody else's"


def test_a_signed_cache_believes_no_record_of_a_run(
    tmp_path: Path, provider: FakeProvider, team: dict[str, Any]
) -> None:
    at = checkout(tmp_path / "main", provider.base_url, team)
    for _ in range(2):
        document = run(at, EVALRUNNER_SIGNING_KEY=SECRET)
        assert document["run"]["answered_from"] is None
    assert not list((at.state / "cache").glob("unchanged/*"))


def test_a_forged_record_of_a_run_is_not_believed(tmp_path: Path, provider: FakeProvider) -> None:
    at = checkout(tmp_path / "main", provider.base_url, {"namespace": "team"})
    assert at.program("run", "--no-progress").returncode == 0
    records = at.state / "cache" / "unchanged"
    (name,) = [one.name for one in records.iterdir() if not one.suffix]
    record = dict(read_record(str(at.state / "cache"), name) or {})
    at.config["cache"]["sign"] = PUBLIC
    config = at.write("evalrunner.yaml", at.config)
    files = {**record["files"], "evalrunner.yaml": sha256(config.read_bytes()).hexdigest()}
    write_record(str(at.state / "cache"), name, {**record, "files": files})
    at.program("run", "--no-progress")
    assert sum(provider.calls.values()) == 2 * ROWS, "it was run, and believed nothing unsigned"


def test_a_key_that_nobody_trusts_is_refused(
    tmp_path: Path, provider: FakeProvider, team: dict[str, Any]
) -> None:
    at = checkout(tmp_path / "main", provider.base_url, team)
    done = at.program("run", EVALRUNNER_SIGNING_KEY=OTHER_SECRET)
    assert done.returncode == 2 and "belongs to no key of cache.sign" in done.stderr
    done = at.program("run", EVALRUNNER_SIGNING_KEY="nonsense")
    assert done.returncode == 2 and "no Ed25519 private key" in done.stderr
    assert "nonsense" not in done.stderr + done.stdout
    assert not provider.calls


def test_the_report_says_how_far_the_cache_is_trusted(
    tmp_path: Path, provider: FakeProvider, team: dict[str, Any]
) -> None:
    at = checkout(tmp_path / "main", provider.base_url, team)
    done = at.program("run", "-o", "r.md", EVALRUNNER_SIGNING_KEY=SECRET)
    assert "read-write, signed" in done.stdout
    assert "read-write, signed" in (at.root / "r.md").read_text()
    assert "overlay, verified" in at.program("run").stdout
    assert "read-only, verified" in at.program("run", "--frozen").stdout
