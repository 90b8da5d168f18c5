"""The server that keeps a ledger: asked until it answers or patience ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from evalrunner.adapters.resp_wire import (
    Command,
    Reply,
    RespConnection,
    ServerError,
    ServerGoneError,
)
from evalrunner.adapters.server_address import ServerAddress
from evalrunner.errors import LedgerError

PATIENCE_SECONDS: Final = 5.0
"""How long a server may be gone when somebody opens or reads its ledger."""

RECORDING_PATIENCE_SECONDS: Final = 60.0
"""How long it may be gone or busy before nothing more can be paid. While sixteen runs with 256 calls in
flight each reserved on one server, some waited for longer than the 5 s that do for a look."""


class LedgerServer:
    """One server, for all threads of a process. A forked child gets a connection of its own.

    Args:
        address: The server.
        patience_seconds: How long it may be gone.
    """

    def __init__(self, address: ServerAddress, *, patience_seconds: float) -> None:
        self._address = address
        self._patience = patience_seconds
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection: RespConnection | None = None

    def ask(
        self, commands: Sequence[Sequence[str]], *, patience_seconds: float | None = None
    ) -> list[Reply]:
        """The replies, asked for again while the server is gone and patience lasts.

        Every command may be sent twice: scripts carry a token, and the others add what is not there.

        Args:
            commands: What is asked.
            patience_seconds: How long the server may be gone, where it is not the usual time.
        """
        packed = [[word.encode("utf-8", "backslashreplace") for word in one] for one in commands]
        patience = self._patience if patience_seconds is None else patience_seconds
        deadline = time.monotonic() + patience
        with self._lock:
            replies = self._patiently(packed, deadline)
        for reply in replies:
            if isinstance(reply, ServerError):
                raise self._failure(reply.message)
        return replies

    def _patiently(self, packed: Sequence[Command], deadline: float) -> list[Reply]:
        while True:
            try:
                return self._connected(deadline).pipeline(packed, deadline=deadline)
            except ServerGoneError as error:
                self._disconnect()
                if time.monotonic() + 0.1 > deadline:
                    raise self._failure(str(error)) from None
                time.sleep(0.05)
            except ServerError as error:
                self._disconnect()
                raise self._failure(error.message) from None

    def close(self) -> None:
        """Closes the connection. Never raises."""
        with self._lock:
            if self._pid == os.getpid():
                self._disconnect()

    def _connected(self, deadline: float) -> RespConnection:
        if self._pid != os.getpid():  # the parent's connection is the parent's
            self._connection, self._pid = None, os.getpid()
        if self._connection is None:
            self._connection = RespConnection(self._address, deadline=deadline)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _failure(self, why: str) -> LedgerError:
        return LedgerError(
            f"the ledger at {self._address} cannot be used: {why}",
            hint="look at the server, or write cost: {ledger: {url: 'sqlite:'}}",
        )

    def refuse_forgetful(self) -> None:
        """Raises where the server evicts any key to make room: it would forget what was spent."""
        (reply,) = self.ask([["INFO", "memory"]])
        lines = (line.partition(":") for line in as_text(reply).splitlines())
        said = {name: value for name, _, value in lines}
        policy = said.get("maxmemory_policy", "noeviction")
        limited = said.get("maxmemory", "0") != "0"
        if limited and policy.startswith("allkeys"):
            raise LedgerError(
                f"the server at {self._address} throws any key away when it is full ({policy})",
                hint="set its maxmemory-policy to noeviction or volatile-lru, or give the ledger its own",
            )


def as_text(reply: Reply) -> str:
    """A reply that is text.

    Raises:
        LedgerError: It is none; so for the next ones.
    """
    if not isinstance(reply, bytes):
        raise LedgerError("the ledger's server answered something else than a ledger does")
    return reply.decode("utf-8", "replace")


def as_list(reply: Reply) -> list[Reply]:
    """A reply that is a list."""
    if not isinstance(reply, list):
        raise LedgerError("the ledger's server answered something else than a ledger does")
    return reply


def as_pairs(reply: Reply) -> dict[str, str]:
    """A reply that lists names and values in turn."""
    words = [*map(as_text, as_list(reply))]
    return dict(zip(words[::2], words[1::2], strict=True))


def as_scored(reply: Reply) -> list[tuple[str, float]]:
    """A reply that lists members and scores in turn."""
    return [(name, float(score)) for name, score in as_pairs(reply).items()]
