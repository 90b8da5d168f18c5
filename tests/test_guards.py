"""Each guard of ``guards.py`` keeps what it promises to keep."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
import warnings
from pathlib import Path

import pytest
import uvloop

from tests.guards import Fence, NetworkBlockedError, is_loopback, scrubbed

ELSEWHERE = "192.0.2.1"  # reserved for documentation: nobody answers there


async def _connect(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()


async def _connect_at_home() -> None:
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "localhost", 0
    ) as server:
        for listener in server.sockets:
            host, port = listener.getsockname()[:2]
            await _connect(host, port)
            await _connect("localhost", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "", None, b"::1"])
def test_loopback_is_home(host: object) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", [ELSEWHERE, "0.0.0.0", "10.0.0.1", "169.254.169.254", "::", "example.invalid", b"::2"]
)
def test_all_else_is_elsewhere(host: object) -> None:
    assert not is_loopback(host)


def test_a_socket_reaches_no_other_machine(fence: Fence) -> None:
    with socket.socket() as plain, pytest.raises(NetworkBlockedError):
        plain.connect((ELSEWHERE, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as plain, pytest.raises(NetworkBlockedError):
        plain.sendto(b"", (ELSEWHERE, 80))
    with pytest.raises(NetworkBlockedError):
        urllib.request.urlopen("http://example.invalid/")
    assert len(fence.refused) == 3
    fence.refused.clear()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", [ELSEWHERE, "example.invalid"])
def test_no_event_loop_reaches_another_machine(new_loop: object, host: str, fence: Fence) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(NetworkBlockedError):
        runner.run(_connect(host, 80))
    fence.refused.clear()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_every_event_loop_reaches_home(new_loop: object) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_connect_at_home())


@pytest.mark.network
def test_a_marked_test_may_ask(fence: Fence) -> None:
    fence.check(ELSEWHERE)
    assert fence.refused == []


@pytest.mark.parametrize("turn", [1, 2])
def test_home_is_empty_and_nobodys(turn: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each time, whatever an earlier test left there."""
    home = Path.home()
    assert list(home.iterdir()) == []
    assert tmp_path_factory.getbasetemp() in home.parents
    (home / f"left-by-{turn}").touch()


@pytest.mark.parametrize(
    "name",
    [
        "EVALRUNNER_MAX_USD", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "EVAL_OPENAI_KEY",
        "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "OPENAI_BASE_URL", "AZURE_API_BASE", "HF_HOME",
        "https_proxy", "HTTP_PROXY", "CI", "NO_COLOR", "COLUMNS", "XDG_CACHE_HOME", "GIT_DIR",
    ],
)  # fmt: skip
def test_foreign_names_go(name: str) -> None:
    assert scrubbed({name: "x"}) == {}
    assert name not in os.environ


@pytest.mark.parametrize(
    "name", ["PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "PYTHONPATH", "VIRTUAL_ENV", "HOSTNAME"]
)
def test_the_machines_own_names_stay(name: str) -> None:
    assert scrubbed({name: "x"}) == {name: "x"}


def test_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn("loud", stacklevel=1)


GUARDED = """
import os, socket

def test_leaks():
    os.environ["LEAK"] = "1"
    os.environ.pop("PATH")

def test_sees_no_leak():
    assert "LEAK" not in os.environ
    assert "PATH" in os.environ

def test_sees_no_key():
    assert "OPENAI_API_KEY" not in os.environ

def test_hides_that_it_reached_out():
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)
    except Exception:
        pass
"""


def test_guards_hold_in_a_run_of_their_own(tmp_path: Path) -> None:
    """Against a caller with a key in its environment and a test that swallows every error."""
    (tmp_path / "test_it.py").write_text(GUARDED, encoding="utf-8")
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.guards", "-p", "no:cacheprovider",
         "-q", "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)],
        env={**os.environ, "OPENAI_API_KEY": "leak", "PYTHONPATH": str(root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "4 passed, 1 error" in done.stdout, done.stdout
    assert "reached for '192.0.2.1'" in done.stdout
