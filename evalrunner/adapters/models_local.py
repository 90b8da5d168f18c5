"""Serves a GGUF file with llama.cpp in a child process, and asks it over the direct client's wire."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from evalrunner.adapters.chat_format import chat_body, chat_headers, read_reply
from evalrunner.adapters.credentials import KeyRing, without_secrets
from evalrunner.adapters.http_address import Address
from evalrunner.adapters.http_wire import Wire
from evalrunner.adapters.local_identity import (
    DEFAULT_CONTEXT,
    DEFAULT_SLOTS,
    engine_version,
    model_file,
    whole_number,
)
from evalrunner.engine.ports import WireReply
from evalrunner.errors import (
    CallTimeout,
    ConfigError,
    ModelCallError,
    ProviderUnavailable,
    RequestRejected,
)
from evalrunner.values.exchange import Json, ModelRequest
from evalrunner.values.spec import Endpoint

SERVER_PARAMS: Final = frozenset({"n_ctx", "n_parallel", "n_threads"})
"""Parameters of the server, not of a request: context of one slot, slots, threads."""

_START_SECONDS: Final = 600.0
_STOP_SECONDS: Final = 3.0
_MOST_STARTS: Final = 3


class LocalClient:
    """A :class:`~evalrunner.engine.ports.ModelClient` for one ``local/`` model.

    The server starts at the first call, never before, and is gone when this process is: closed, killed
    or crashed. It listens on loopback, on a port and with a key that nobody else knows.

    Args:
        endpoint: The model. ``n_ctx``, ``n_parallel`` and ``n_threads`` of its ``params`` set up the server.
        root: The project root, for a relative path.
        log: Where native log lines go; nowhere by default.
    """

    def __init__(self, endpoint: Endpoint, *, root: Path, log: Path | None = None) -> None:
        self._endpoint = endpoint
        self._root = root
        self._log = log
        self._wire = Wire(environ={})
        self._keys = KeyRing({})
        self._server: LlamaServer | None = None
        self._starting: asyncio.Task[Address] | None = None
        self._starts = 0

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:
        """Asks once; see :class:`~evalrunner.engine.ports.ModelClient`."""
        ends_at = time.monotonic() + deadline_seconds
        try:
            async with asyncio.timeout(deadline_seconds):
                address = await self._ready()
        except TimeoutError as error:
            raise CallTimeout(
                f"the local model was not ready within {deadline_seconds:g} s",
                hint="raise timeout_seconds of this model, or take a smaller file",
            ) from error
        body = chat_body(_for_server(request), model=self._endpoint.name)
        left = max(0.0, ends_at - time.monotonic())
        return read_reply(await self._wire.send(address, body, left), keys=self._keys)

    async def aclose(self) -> None:
        """Stops the server. Never raises."""
        await self._wire.aclose()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError, ModelCallError):
                await self._starting
        self._server = self._starting = None

    async def _ready(self) -> Address:
        """The server's address; it is started once, however many wait, and again if it died."""
        if self._server is not None and self._server.died() and self._starts < _MOST_STARTS:
            self._starting = None
        if self._starting is None:
            self._starts += 1
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> Address:
        try:
            orders = self._orders()
        except ConfigError as error:
            raise RequestRejected(error.message, hint=error.hint) from error
        self._server = server = LlamaServer(orders, log=self._log)
        url = await asyncio.to_thread(server.start)
        return self._wire.address(f"{url}/v1/chat/completions", chat_headers(server.key))

    def _orders(self) -> dict[str, Json]:
        params = self._endpoint.params
        engine_version()
        return {
            "path": str(model_file(self._endpoint.model, root=self._root)),
            "alias": self._endpoint.name,
            "context": whole_number(params, "n_ctx", DEFAULT_CONTEXT),
            "slots": local_slots(self._endpoint),
            "threads": whole_number(params, "n_threads", free_threads()),
        }


def local_slots(endpoint: Endpoint) -> int:
    """How many requests a local server works on at once; more than that only wait.

    Raises:
        ConfigError: ``n_parallel`` is not a whole number.
    """
    return whole_number(endpoint.params, "n_parallel", DEFAULT_SLOTS)


def free_threads() -> int:
    """The processors that this process may use, less the load on the machine; at least one.

    More threads than free processors make llama.cpp many times slower, since its threads wait for
    each other after every layer.
    """
    return max(1, _usable_processors() - round(os.getloadavg()[0]))


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LlamaServer:
    """The child process. :meth:`start` and :meth:`stop` block, and may be called from any thread."""

    def __init__(self, orders: Mapping[str, Json], *, log: Path | None) -> None:
        self.key = secrets.token_hex(16)
        self._orders = {**orders, "key": self.key, "parent": os.getpid()}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> str:
        """Starts the child and returns the URL under which it answers.

        Raises:
            ProviderUnavailable: It ended, or did not answer in ten minutes.
            RequestRejected: It cannot load the file.
        """
        with self._log.open("ab") if self._log else tempfile.TemporaryFile() as log:
            process = self._spawn(log)
            line = _first_line(process, _START_SECONDS)
            if line.startswith("http://"):
                return line
            self.stop()
            log.flush()
            raise _failed_start(str(self._orders["path"]), process.returncode, _tail(log))

    def died(self) -> bool:
        """Whether it was started and has ended."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """Ends the child. Never raises; may be called twice."""
        with self._lock:
            self._stopped = True
            process = self._process
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        script = str(Path(__file__).with_name("llama_server.py"))
        with self._lock:
            if self._stopped:
                raise ProviderUnavailable("the local model was stopped")
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=without_secrets(os.environ),
                start_new_session=True,
            )
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(json.dumps(self._orders).encode("ascii") + b"\n")
            process.stdin.flush()
        return process


def _first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """What the child says first; empty where it ends, or stays silent for so long."""
    stream = process.stdout
    assert stream is not None
    ends_at = time.monotonic() + seconds
    try:
        while not select.select([stream], [], [], 0.25)[0]:
            if process.poll() is not None or time.monotonic() > ends_at:
                return ""
        return stream.readline().decode("ascii", "replace").strip()
    except (OSError, ValueError):  # closed by stop()
        return ""


def _tail(log: IO[bytes]) -> str:
    try:
        log.seek(max(0, log.tell() - 4000))
        lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return "".join(char for char in said[-1] if char.isprintable())[:200] if said else ""


def _failed_start(path: str, code: int | None, said: str) -> ModelCallError:
    reason = f": {said}" if said else ""
    if code is not None and code > 0:
        return RequestRejected(
            f"the local model {Path(path).name!r} cannot be loaded{reason}",
            hint="check that the file is a complete GGUF file and fits into memory",
        )
    return ProviderUnavailable(f"the local model server ended (code {code}){reason}")


def _for_server(request: ModelRequest) -> ModelRequest:
    """The request with a seed of its own for each repeat, so that a draw can be drawn again."""
    params = {name: value for name, value in request.params.items() if name not in SERVER_PARAMS}
    seed = params.get("seed", 0)
    params["seed"] = seed + request.repeat if isinstance(seed, int) else seed
    return replace(request, params=params)
