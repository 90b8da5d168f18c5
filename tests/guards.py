"""What every test is kept from: the network, the home directory, the caller's environment.

A pytest plugin, so that doctests have it too. Each guard has a test of its own in ``test_guards.py``.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop

# ---------------------------------------------------------------- environment

# Whatever could send a test elsewhere, give it a key, or change what it prints.
_FOREIGN: Final = re.compile(
    r"""
      EVALRUNNER_.* | .*_(API_)?(KEY|TOKEN|SECRET)(_ID)? | .*_(API_)?BASE(_URL)?
    | (AWS|AZURE|GOOGLE|GCLOUD|VERTEX|OPENAI|ANTHROPIC|LITELLM|HF|HUGGINGFACE|OLLAMA|REDIS)_.*
    | (GITHUB|GITLAB|RUNNER|XDG)_.* | GIT_(?!SSL_).* | ((HTTPS?|ALL|NO|FTP)_)PROXY
    | CI | NO_COLOR | FORCE_COLOR | CLICOLOR(_FORCE)? | COLUMNS | LINES
    """,
    re.VERBOSE | re.IGNORECASE,
)


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without keys, addresses and settings of whoever runs the tests."""
    return {name: value for name, value in environment.items() if not _FOREIGN.fullmatch(name)}


def _become(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(scope="session", autouse=True)
def _foreign_environment_is_gone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Scrubs the environment and moves HOME, before any server of a test starts."""
    before = dict(os.environ)
    homes = tmp_path_factory.mktemp("homes")
    _become({**scrubbed(before), "HOME": str(homes), "USERPROFILE": str(homes)})
    yield homes
    _become(before)


@pytest.fixture(autouse=True)
def _environment_is_its_own(_foreign_environment_is_gone: Path) -> Iterator[None]:
    """Gives each test an empty home, and undoes what it or the code under test sets."""
    before = dict(os.environ)
    home = tempfile.mkdtemp(prefix="home-", dir=_foreign_environment_is_gone)
    os.environ.update({"HOME": home, "USERPROFILE": home})
    yield
    _become(before)


# ---------------------------------------------------------------- network


class NetworkBlockedError(RuntimeError):
    """A test reached for an address that is not this machine."""


class Fence:
    """Refuses every address that is not loopback, and remembers what it refused."""

    def __init__(self) -> None:
        self.up = False
        self.refused: list[str] = []

    def check(self, host: object) -> None:
        """Lets loopback pass.

        Raises:
            NetworkBlockedError: Any other address or name.
        """
        if not self.up or is_loopback(host):
            return
        self.refused.append(repr(host))
        raise NetworkBlockedError(f"a test may not reach {host!r}; mark it `network` if it must")


def is_loopback(host: object) -> bool:
    """Whether a host, as a socket call takes it, is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(name).split("%", 1)[0]).is_loopback
    except ValueError:
        return False


FENCE: Final = Fence()


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event == "socket.getaddrinfo":
        FENCE.check(args[0])
    elif event in {"socket.connect", "socket.sendto"}:
        handle, address = args
        if handle.family in {socket.AF_INET, socket.AF_INET6}:
            FENCE.check(address[0])


# An audit hook sees every socket of this process, whoever opens it; patching the socket module would
# miss names that were imported before.
sys.addaudithook(_audit)


def _fence_uvloop() -> None:
    """Fences uvloop's own doors: it asks libuv, which no audit hook sees."""
    connect, resolve = uvloop.Loop.create_connection, uvloop.Loop.getaddrinfo

    async def create_connection(
        self: uvloop.Loop, factory: Any, host: Any = None, *args: Any, **options: Any
    ) -> Any:
        FENCE.check(host)
        return await connect(self, factory, host, *args, **options)

    async def getaddrinfo(self: uvloop.Loop, host: Any, *args: Any, **options: Any) -> Any:
        FENCE.check(host)
        return await resolve(self, host, *args, **options)

    uvloop.Loop.create_connection = create_connection
    uvloop.Loop.getaddrinfo = getaddrinfo


_fence_uvloop()


@pytest.fixture(autouse=True)
def fence(request: pytest.FixtureRequest) -> Iterator[Fence]:
    """Fails a test that reaches past this machine, even where the code under test hid the error."""
    FENCE.refused.clear()
    FENCE.up = request.node.get_closest_marker("network") is None
    yield FENCE
    FENCE.up = False
    if FENCE.refused:
        pytest.fail(f"reached for {', '.join(FENCE.refused)}")
