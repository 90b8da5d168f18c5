"""The protocol of Redis and Valkey, as far as a cache speaks it: pipelines of commands with a deadline.

The usual client costs 300 ms to import, more than a whole warm run; and its defaults wait ten seconds
for a server that is paused. This one reads the five forms of RESP2 and never waits longer than it is told.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

from evalrunner.adapters.server_address import ServerAddress

Command: TypeAlias = "Sequence[bytes]"
Reply: TypeAlias = "bytes | int | ServerError | list[Reply] | None"

SILENCE_SECONDS: Final = 0.5
"""How long a server may say nothing at all before it counts as gone."""

LARGEST_REPLY: Final = 8 * 1024 * 1024
"""The most bytes of one value; nothing that we store comes near."""

_RECEIVE: Final = 256 * 1024
_MOST_ITEMS: Final = 1_000_000
_DEEPEST: Final = 8


class ServerError(Exception):
    """The server's own refusal of one command: ``code`` is its first word, ``NOPERM`` or ``OOM``."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = message.partition(" ")[0]


class ServerGoneError(Exception):
    """The server cannot be reached, says nothing, or speaks another language.

    Attributes:
        silent: It was waited for in vain.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(_reason(error))
        self.silent = isinstance(error, TimeoutError)


class RespConnection:
    """One connection. Whatever goes wrong on it, it is of no further use and must be closed.

    Args:
        address: The server.
        deadline: When to give up, by :func:`time.monotonic`.

    Raises:
        ServerGoneError: It cannot be reached, or proves to be another.
        ServerError: It does not know us.
    """

    def __init__(self, address: ServerAddress, *, deadline: float) -> None:
        self._buffer = bytearray()
        self._at = 0
        try:
            self._socket = _connect(address, deadline)
        except (OSError, ValueError) as error:
            raise ServerGoneError(error) from None
        try:
            self._greet(address, deadline)
        except BaseException:
            self.close()
            raise

    def pipeline(self, commands: Sequence[Command], *, deadline: float) -> list[Reply]:
        """The replies to all commands, in order. A refused command's reply is a :class:`ServerError`.

        Raises:
            ServerGoneError: The connection broke, or not all replies were there in time.
        """
        try:
            self._socket.settimeout(_patience(deadline))
            self._socket.sendall(b"".join(map(packed, commands)))
            return [self._reply(deadline, _DEEPEST) for _ in commands]
        except (OSError, ValueError) as error:
            raise ServerGoneError(error) from None

    def close(self) -> None:
        """Closes the connection. Never raises."""
        try:
            self._socket.close()
        except OSError:
            return

    def _greet(self, address: ServerAddress, deadline: float) -> None:
        commands: list[Command] = []
        if address.password is not None:
            user = [address.user.encode()] if address.user else []
            commands.append([b"AUTH", *user, address.password.encode()])
        if address.database:
            commands.append([b"SELECT", b"%d" % address.database])
        for reply in self.pipeline(commands, deadline=deadline):
            if isinstance(reply, ServerError):
                raise reply

    def _reply(self, deadline: float, depth: int) -> Reply:
        line = self._line(deadline)
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return self._bulk(int(rest), deadline)
        if kind == b"*":
            return self._array(int(rest), deadline, depth)
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if kind == b"-":
            return ServerError(rest.decode("utf-8", "replace"))
        raise ValueError("what answers there is no Redis server")

    def _bulk(self, length: int, deadline: float) -> bytes | None:
        if length < 0:
            return None
        if length > LARGEST_REPLY:
            raise ValueError("a value is larger than any that we store")
        end = self._at + length
        while len(self._buffer) < end + 2:
            end -= self._receive(deadline)
        value = bytes(memoryview(self._buffer)[self._at : end])
        self._at = end + 2
        return value

    def _array(self, length: int, deadline: float, depth: int) -> list[Reply] | None:
        if length < 0:
            return None
        if length > _MOST_ITEMS or not depth:
            raise ValueError("a reply is larger than any that we ask for")
        return [self._reply(deadline, depth - 1) for _ in range(length)]

    def _line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            if len(self._buffer) - self._at > LARGEST_REPLY:
                raise ValueError("what answers there is no Redis server")
            self._receive(deadline)
        line = bytes(memoryview(self._buffer)[self._at : end])
        self._at = end + 2
        return line

    def _receive(self, deadline: float) -> int:
        """Reads on; returns by how much what was read already has moved to the front."""
        moved, self._at = self._at, 0
        del self._buffer[:moved]
        self._socket.settimeout(_patience(deadline))
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer += data
        return moved


def packed(command: Command) -> bytes:
    r"""A command as it is sent.

    Example:
        >>> packed([b"HLEN", b"k"])
        b'*2\r\n$4\r\nHLEN\r\n$1\r\nk\r\n'
    """
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]
    return b"".join(parts)


def _patience(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, SILENCE_SECONDS)


def _connect(address: ServerAddress, deadline: float) -> socket.socket:
    host = _resolved(address.host, address.port, deadline)
    plain = socket.create_connection((host, address.port), timeout=_patience(deadline))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _encrypted(plain, address, deadline) if address.tls else plain


def _resolved(host: str, port: int, deadline: float) -> str:
    """The host as a number. A resolver of names knows no deadline, so that a thread waits for it."""
    if host == "localhost" or ":" in host or host.replace(".", "").isdigit():
        return host
    found: list[str | OSError] = []

    def resolve() -> None:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append(str(addresses[0][4][0]))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=resolve, name="cache-resolver", daemon=True)
    thread.start()
    thread.join(_patience(deadline))
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _encrypted(plain: socket.socket, address: ServerAddress, deadline: float) -> socket.socket:
    # Only here, since importing it costs as much as a socket and a server beside us needs none.
    import ssl

    try:
        context = ssl.create_default_context(cafile=address.ca_certs)
        if address.certfile:
            context.load_cert_chain(address.certfile, address.keyfile)
        plain.settimeout(_patience(deadline))
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return str(error) or type(error).__name__
