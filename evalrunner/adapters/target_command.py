"""Asks an application by running a command: JSON on its stdin, its answer on its stdout."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from evalrunner.adapters.credentials import KeyRing, without_secrets
from evalrunner.adapters.http_faults import shown_text
from evalrunner.adapters.target_answer import answer_from_json, prompt_as_json, response_from
from evalrunner.errors import CallTimeout, ReplyTooLarge, TargetFailed
from evalrunner.values.exchange import ModelResponse, TargetRequest

_MAX_BYTES: Final = 4 * 1024 * 1024
_SHOWN_STDERR: Final = 8 * 1024


class CommandTarget:
    """A :class:`~evalrunner.engine.ports.TargetClient` for a command, run without a shell.

    It reads ``{"prompt": …, "vars": {…}}`` from stdin and writes its answer: plain text, or an object
    with ``output`` and, where it knows them, ``usage``, ``usd`` and ``calls``. Variables that look like
    keys are taken out of its environment unless they are named. Whatever it started ends with the call.

    Args:
        argv: The program and its arguments.
        label: How reports call the target.
        root: Where it runs.
        environ: Its environment, before the keys are taken out.
        allowed: Variables that stay although they look like keys.
        keys: What is taken out of error texts.
        max_bytes: The most that it may write.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        label: str,
        root: Path,
        environ: Mapping[str, str],
        keys: KeyRing,
        allowed: Sequence[str] = (),
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self._argv = list(argv)
        self._label = label
        self._root = root
        self._environ = without_secrets(environ, allowed=allowed)
        self._keys = keys
        self._max_bytes = max_bytes

    async def answer(self, request: TargetRequest, deadline_seconds: float) -> ModelResponse:
        """Runs it once; see :class:`~evalrunner.engine.ports.TargetClient`."""
        started = time.monotonic()
        document = {"prompt": prompt_as_json(request.prompt), "vars": dict(request.vars)}
        question = json.dumps(document, default=dict).encode("ascii")
        process = await self._spawn()
        try:
            async with asyncio.timeout(deadline_seconds):
                output, errors = await self._talk(process, question)
                code = await process.wait()
        except TimeoutError as error:
            raise CallTimeout(
                f"target {self._label!r} gave no answer within {deadline_seconds:g} s",
                possibly_paid=True,
            ) from error
        finally:
            await _end(process)
        if code != 0:
            raise self._failure(code, errors)
        answered = self._answer(output)
        seconds = time.monotonic() - started
        return response_from(answered, label=self._label, seconds=seconds)

    async def aclose(self) -> None:
        """Nothing is held: every process ends with its call."""

    async def _spawn(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self._root,
                env=self._environ,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            name = self._argv[0] if self._argv else ""
            raise TargetFailed(
                f"target {self._label!r} cannot run {name!r}: {error}",
                hint="the command is a list, and its program is looked for on PATH",
            ) from error

    async def _talk(self, process: Process, question: bytes) -> tuple[bytes, bytes]:
        assert process.stdin and process.stdout and process.stderr
        reading = asyncio.gather(
            self._read(process.stdout), _last(process.stderr), return_exceptions=False
        )
        try:
            # It may answer without reading, and even end before anything is written: uvloop says
            # that its pipe is closed with a RuntimeError.
            with suppress(OSError, RuntimeError):
                process.stdin.write(question)
                await process.stdin.drain()
                process.stdin.close()
            return await reading
        finally:
            reading.cancel()

    async def _read(self, stream: asyncio.StreamReader) -> bytes:
        parts: list[bytes] = []
        left = self._max_bytes
        while part := await stream.read(64 * 1024):
            left -= len(part)
            if left < 0:
                raise ReplyTooLarge(
                    f"target {self._label!r} wrote more than {self._max_bytes:,} bytes",
                    possibly_paid=True,
                )
            parts.append(part)
        return b"".join(parts)

    def _answer(self, output: bytes) -> object:
        try:
            text = output.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TargetFailed(f"target {self._label!r} wrote text that is not UTF-8") from error
        if text.lstrip().startswith("{"):
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                return text.removesuffix("\n")
            if "output" in document:
                return answer_from_json(document, label=self._label)
        return text.removesuffix("\n")

    def _failure(self, code: int, errors: bytes) -> TargetFailed:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        said = shown_text(lines[-1], self._keys.redact) if lines else ""
        how = f"ended with code {code}" if code > 0 else f"was ended by signal {-code}"
        return TargetFailed(f"target {self._label!r} {how}" + (f": {said}" if said else ""))


async def _last(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while part := await stream.read(64 * 1024):
        kept = (kept + part)[-_SHOWN_STDERR:]
    return kept


async def _end(process: Process) -> None:
    """Kills the whole group, which outlives its leader if the leader left children behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
    transport.close()  # else waiting for the process also waits for output that nobody reads
    with suppress(ProcessLookupError):
        await process.wait()
