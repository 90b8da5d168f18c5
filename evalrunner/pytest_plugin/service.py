"""The way to the process that answers a session's evals. Needs the standard library only.

The controller, or pytest itself where there are no workers, owns that process: it listens on a Unix
socket, starts the process when somebody calls, and ends it with the session. Everybody else calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from select import select
from socket import AF_UNIX, SOCK_STREAM, socket  # the class itself, whatever tests put in its place
from threading import Lock, Thread
from typing import Any, Final

BACKLOG: Final = 512
_LONGEST_REPLY: Final = 1 << 28
_PROGRAM: Final = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from evalrunner.wiring.service import main
main(int(sys.argv[2]), 0, sys.argv[3])
"""


class ServiceError(Exception):
    """The service says no: ``kind`` is the name of evalrunner's error, or ``Bug``, or ``Gone``."""

    def __init__(self, kind: str, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.kind = kind
        self.message = message
        self.hint = hint


class Service:
    """Asks the service, from any process, thread or event loop of the session.

    Args:
        place: The path of its socket.
        prepare: Is called before the first question.
    """

    def __init__(self, place: str, prepare: Callable[[], None] | None = None) -> None:
        self.place = place
        self._prepare = prepare
        self._idle: list[Connection] = []
        self._lock = Lock()

    def call(self, do: str, **asked: Any) -> Any:
        """What the service's method *do* returns.

        Raises:
            ServiceError: It could not, and why.
        """
        self._begin()
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        try:
            line = connection.ask(_line(do, asked))
        except BaseException:  # Ctrl-C or a timeout in between: what comes next belongs to nobody
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return _result(line)

    async def acall(self, do: str, **asked: Any) -> Any:
        """The same, without blocking the event loop.

        Raises:
            ServiceError: It could not, and why.
        """
        talk = await self.atalk()
        try:
            return await talk.acall(do, **asked)
        finally:
            talk.close()

    def talk(self) -> Talk:
        """A connection for several questions that belong together.

        Raises:
            ServiceError: The service has gone.
        """
        self._begin()
        return Talk(self._connect())

    async def atalk(self) -> AsyncTalk:
        """The same in an event loop.

        Raises:
            ServiceError: The service has gone.
        """
        self._begin()
        try:
            return AsyncTalk(*await asyncio.open_unix_connection(self.place, limit=_LONGEST_REPLY))
        except OSError as error:
            raise _gone(error) from None

    def close(self) -> None:
        """Closes the connections of this process."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def last_words(self) -> str:
        """The end of what the process has written for people, such as why it could not start."""
        try:
            with open(
                os.path.join(os.path.dirname(self.place), "log"), encoding="utf-8", errors="replace"
            ) as log:
                return log.read()[-4000:].strip()
        except OSError:
            return ""

    def _begin(self) -> None:
        if self._prepare is not None:
            self._prepare()

    def _connect(self) -> Connection:
        try:
            return Connection(self.place)
        except OSError as error:
            raise _gone(error) from None


class Connection:
    """One connection: a question at a time."""

    def __init__(self, place: str) -> None:
        self._socket = socket(AF_UNIX, SOCK_STREAM)
        self._socket.connect(place)
        self._file = self._socket.makefile("rb")

    def ask(self, line: bytes) -> bytes:
        """The answer to one line; nothing where the service has gone."""
        try:
            self._socket.sendall(line)
            return self._file.readline()
        except OSError as error:
            raise _gone(error) from None

    def close(self) -> None:
        """Closes it."""
        self._file.close()
        self._socket.close()


class Talk:
    """Several questions over one connection. Its end tells the service that nothing more will come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def call(self, do: str, **asked: Any) -> Any:
        """As :meth:`Service.call`."""
        return _result(self._connection.ask(_line(do, asked)))

    def close(self) -> None:
        """Ends it. It may have ended."""
        self._connection.close()


class AsyncTalk:
    """The same in an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def acall(self, do: str, **asked: Any) -> Any:
        """As :meth:`Service.acall`."""
        try:
            self._writer.write(_line(do, asked))
            await self._writer.drain()
            return _result(await self._reader.readline())
        except OSError as error:
            raise _gone(error) from None

    def close(self) -> None:
        """Ends it, at once. It may have ended."""
        self._writer.transport.abort()


class Host:
    """Owns the service's process. Until it is started there is a socket, and nothing else.

    Args:
        settings: The session's options, as JSON.
    """

    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._folder = tempfile.mkdtemp(prefix="evalrunner-")
        self.place = os.path.join(self._folder, "service")
        self._listener = socket(AF_UNIX, SOCK_STREAM)
        self._listener.bind(self.place)
        self._listener.listen(BACKLOG)
        self._process: subprocess.Popen[bytes] | None = None
        self._waiter: Thread | None = None
        self._lock = Lock()

    @property
    def started(self) -> bool:
        """Whether anybody has asked anything."""
        return self._process is not None

    def start(self) -> None:
        """Starts the process, once."""
        with self._lock:
            if self._process is None:
                self._process = self._start()
                # Were it open here as well, callers of a process that died would wait for ever.
                self._listener.close()

    def start_when_called(self) -> None:
        """Starts the process when the first worker calls; a thread waits for that."""
        if self._waiter is None:
            self._waiter = Thread(target=self._wait, name="evalrunner", daemon=True)
            self._waiter.start()

    def end(self) -> None:
        """Ends the process and removes the socket."""
        self._listener.close()
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()  # the lifeline
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        with suppress(OSError, ValueError):  # the session ended, and closed it
            if select([self._listener], [], [])[0]:
                self.start()

    def _start(self) -> subprocess.Popen[bytes]:
        descriptor = self._listener.fileno()
        words = [json.dumps(sys.path), str(descriptor), self._settings]
        with open(os.path.join(self._folder, "log"), "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[descriptor],
                process_group=0,  # Ctrl-C is for the controller, which then says what to do
            )


def _line(do: str, asked: Mapping[str, Any]) -> bytes:
    return json.dumps({"do": do, **asked}).encode("ascii") + b"\n"


def _result(line: bytes) -> Any:
    if not line:
        raise _gone(None)
    answer = json.loads(line)
    if (error := answer.get("error")) is not None:
        raise ServiceError(error["kind"], error["message"], error["hint"])
    return answer["ok"]


def _gone(error: OSError | None) -> ServiceError:
    why = f": {error.strerror or error}" if error else ""
    return ServiceError("Gone", f"the process that answers evals has gone{why}")
