"""A shared cache and a shared ledger behind TLS: who is not trusted learns nothing and costs no case."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from evalrunner.errors import LedgerError
from evalrunner.testing import FakeProvider
from evalrunner.values.result import RunReport
from tests.servers import Server
from tests.tls import Authority, Identity, tls_before

from .workspace import Workspace, answer

ROWS = 5
CHECKS = [{"type": "contains", "value": "ok"}]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def identity(authority: Authority) -> Identity:
    return authority.issue("server")


def configured(workspace: Workspace, provider: FakeProvider, port: int, **options: Path) -> None:
    """The cache and the ledger are at that port, and the certificates are these files."""
    query = f"?{urlencode({name: str(path) for name, path in options.items()})}" if options else ""
    url = f"rediss://localhost:{port}/0{query}"
    workspace.configure(provider.base_url, cache={"url": url}, cost={"ledger": {"url": url}})
    workspace.suite(n=ROWS, checks=CHECKS)


def sums(report: RunReport) -> tuple[int, int, int]:
    """Cases that passed, hits and misses."""
    assert report.summary is not None
    total = report.summary.total
    return total.passed, total.hits, total.misses


def test_answers_and_spend_are_shared_through_it(
    workspace: Workspace, server: Server, authority: Authority, identity: Identity
) -> None:
    with FakeProvider(answer) as provider, tls_before(server.port, identity) as port:
        configured(workspace, provider, port, ssl_ca_certs=authority.file)
        assert sums(workspace.run()) == (ROWS, 0, ROWS)
        assert server.command("KEYS", "evalrunner:ledger:*"), "the ledger is there"
        assert not (workspace.state / "ledger.sqlite3").exists()
        assert sums(workspace.run()) == (ROWS, ROWS, 0)
        assert len(provider.requests) == ROWS


def test_a_server_that_wants_to_know_its_clients(
    workspace: Workspace, server: Server, authority: Authority, identity: Identity
) -> None:
    own = authority.issue("client")
    with (
        FakeProvider(answer) as provider,
        tls_before(server.port, identity, clients=authority) as port,
    ):
        configured(
            workspace,
            provider,
            port,
            ssl_ca_certs=authority.file,
            ssl_certfile=own.certfile,
            ssl_keyfile=own.keyfile,
        )
        assert sums(workspace.run()) == (ROWS, 0, ROWS)
        assert sums(workspace.run()) == (ROWS, ROWS, 0)


@pytest.mark.parametrize("strangers", ["unknown authority", "not encrypted"])
def test_nothing_is_told_to_a_stranger(
    workspace: Workspace, server: Server, identity: Identity, strangers: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with FakeProvider(answer) as provider, tls_before(server.port, identity) as behind:
        port = behind if strangers == "unknown authority" else server.port
        url = f"rediss://localhost:{port}/0?{urlencode({'ssl_ca_certs': str(other.file)})}"
        workspace.configure(provider.base_url, cache={"url": url})
        workspace.suite(n=ROWS, checks=CHECKS)
        report = workspace.run()
    assert sums(report) == (ROWS, 0, ROWS), "a cache that cannot be used costs no case its result"
    assert len([one for one in report.warnings if "cache" in one]) == 1
    assert server.command("DBSIZE") == 0


def test_no_money_is_spent_that_a_stranger_would_record(
    workspace: Workspace, server: Server, identity: Identity, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with FakeProvider(answer) as provider, tls_before(server.port, identity) as port:
        url = f"rediss://localhost:{port}/0?{urlencode({'ssl_ca_certs': str(other.file)})}"
        workspace.configure(provider.base_url, cost={"ledger": {"url": url}})
        workspace.suite(n=ROWS, checks=CHECKS)
        try:
            report = workspace.run()
        except LedgerError as error:
            assert "certificate" in error.message
        else:
            assert sums(report)[0] == 0
        assert provider.requests == []
    assert server.command("DBSIZE") == 0
