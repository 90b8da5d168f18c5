"""A provider that misbehaves on demand: one route per fault, and a count of the requests it saw."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self


def completion(**changes: object) -> dict[str, Any]:
    """A good reply of the OpenAI wire format, with some of its fields replaced."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "ok"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        **changes,
    }


def choice(finish: str | None = "stop", **message: object) -> list[dict[str, Any]]:
    """The ``choices`` of a reply with this message."""
    return [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]


def http(
    status: int = 200, body: bytes | str | object = b"", headers: dict[str, str] | None = None
) -> bytes:
    """A whole reply as bytes; a body that is neither bytes nor text becomes JSON."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = {"content-type": "application/json", "content-length": str(len(body))} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + body


def error(status: int, headers: dict[str, str] | None = None, **fields: object) -> bytes:
    """An error reply of the OpenAI form."""
    return http(status, {"error": fields or {"message": f"status {status}"}}, headers)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", size: str = "{:x}") -> bytes:
    """A reply in chunks."""
    parts = [size.format(len(chunk)).encode() + b"\r\n" + chunk + b"\r\n" for chunk in chunks]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"".join(parts) + end


GOOD = json.dumps(completion()).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    GOOD
)


@cache
def _gzip_bomb() -> bytes:
    """200 MB in 200 KB, made in pieces: its maker's memory must not hide its victim's."""
    press = zlib.compressobj(level=9, wbits=31)
    pieces = [press.compress(b'{"choices": "')]
    pieces += [press.compress(b" " * 1_000_000) for _ in range(200)]
    return b"".join([*pieces, press.flush()])


Behave = Callable[[asyncio.StreamWriter, "FaultServer"], Awaitable[None]]


async def _hang(writer: asyncio.StreamWriter, server: FaultServer) -> None:
    await server.stopped.wait()


def _drip(start: bytes, drops: bytes) -> Behave:
    async def behave(writer: asyncio.StreamWriter, server: FaultServer) -> None:
        writer.write(start)
        for drop in drops:
            writer.write(bytes([drop]))
            await writer.drain()
            await asyncio.sleep(0.1)

    return behave


def _reset_after(start: bytes) -> Behave:
    async def behave(writer: asyncio.StreamWriter, server: FaultServer) -> None:
        if start:
            writer.write(start)
            await writer.drain()
            await asyncio.sleep(0.05)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    return behave


def _close_after(start: bytes) -> Behave:
    async def behave(writer: asyncio.StreamWriter, server: FaultServer) -> None:
        writer.write(start)
        await writer.drain()
        writer.close()

    return behave


async def _big(writer: asyncio.StreamWriter, server: FaultServer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b'{"choices": "')
    for _ in range(50):
        writer.write(b"x" * 1_000_000)
        await writer.drain()
    writer.close()


async def _endless_head(writer: asyncio.StreamWriter, server: FaultServer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        writer.write(b"x-%d: %b\r\n" % (number, b"y" * 1000))
        await writer.drain()


def _redirect(status: int) -> Behave:
    async def behave(writer: asyncio.StreamWriter, server: FaultServer) -> None:
        writer.write(http(status, b"", {"location": f"http://127.0.0.1:{server.trap_port}/stolen"}))
        await writer.drain()

    return behave


SURROGATE = b'{"choices":[{"message":{"content":"a\\ud800b\\u0000c"},"finish_reason":"stop"}]}'

FAULTS: dict[str, bytes | Behave] = {
    "ok": http(200, GOOD),
    "ok-content-type": http(200, GOOD, {"content-type": "text/plain"}),
    "ok-bom": http(200, b"\xef\xbb\xbf" + GOOD),
    "ok-chunked": chunked(GOOD[:3], GOOD[3:50], GOOD[50:]),
    "ok-chunk-extension": chunked(GOOD, size="{:X};name=value"),
    "ok-trailer": chunked(GOOD, end=b"0\r\nx-trailer: 1\r\n\r\n"),
    "ok-one-byte-chunks": chunked(*[GOOD[i : i + 1] for i in range(len(GOOD))]),
    "ok-until-close": _close_after(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD),
    "ok-early-hints": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + http(200, GOOD),
    "ok-gzip": http(200, gzip.compress(GOOD), {"content-encoding": "gzip"}),
    "ok-duplicate-header": http(200, GOOD, {"x-a": "1\r\nx-a: 2"}),
    "ok-surrogate": http(200, SURROGATE),
    "ok-length": http(200, completion(choices=choice("length", content='{"a": '))),
    "ok-length-empty": http(200, completion(choices=choice("length", content=None))),
    "ok-refusal": http(200, completion(choices=choice(content=None, refusal="I cannot"))),
    "ok-tool-calls": http(
        200,
        completion(
            choices=choice(
                "tool_calls",
                content=None,
                tool_calls=[
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            )
        ),
    ),
    "ok-usage-nan": http(200, GOOD.replace(b'"prompt_tokens": 5', b'"prompt_tokens": NaN')),
    "ok-usage-negative": http(200, completion(usage={"prompt_tokens": -9, "completion_tokens": 2})),
    "ok-usage-huge": http(200, completion(usage={"prompt_tokens": 10**18})),
    "ok-usage-text": http(200, completion(usage={"prompt_tokens": "5", "completion_tokens": 2.0})),
    "ok-usage-missing": http(200, {k: v for k, v in completion().items() if k != "usage"}),
    "429": error(429),
    "429-seconds": error(429, {"retry-after": "7"}),
    "429-milliseconds": error(429, {"retry-after-ms": "1500", "retry-after": "7"}),
    "429-span": error(429, {"retry-after": "1m30s"}),
    "429-date": error(429, {"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    "429-negative": error(429, {"retry-after": "-5"}),
    "429-nan": error(429, {"retry-after": "nan"}),
    "429-inf": error(429, {"retry-after": "inf"}),
    "429-abc": error(429, {"retry-after": "abc"}),
    "429-day": error(429, {"retry-after": "86400"}),
    "429-quota": error(429, code="insufficient_quota", message="You exceeded your current quota"),
    "429-html": http(429, b"<html>slow down</html>", {"content-type": "text/html"}),
    "402": error(402, message="payment required"),
    "400": error(400, message="bad"),
    "400-context": error(400, code="context_length_exceeded", message="maximum context length"),
    "400-filter": error(400, code="content_filter", message="content management policy"),
    "401": error(401, message="Incorrect API key provided: sk-canary-0123456789"),
    "403": error(403),
    "404": error(404, message="no such model"),
    "408": error(408),
    "409": error(409),
    "413": error(413),
    "422": http(422, {"detail": [{"msg": "field required"}]}),
    "425": error(425),
    "500": error(500),
    "502-html": http(502, b"<html><h1>Bad gateway</h1></html>", {"content-type": "text/html"}),
    "503": error(503, {"retry-after": "3"}),
    "504": error(504),
    "524": error(524),
    "529": error(529, type="overloaded_error", message="Overloaded"),
    "302": _redirect(302),
    "307": _redirect(307),
    "308": _redirect(308),
    "error-in-200": http(200, {"error": {"message": "Rate limit reached", "code": 429}}),
    "error-in-200-busy": http(
        200, {"error": {"message": "Overloaded", "type": "overloaded_error"}}
    ),
    "html-200": http(200, b"<html>login</html>", {"content-type": "text/html"}),
    "empty-200": http(200, b""),
    "null-200": http(200, b"null"),
    "list-200": http(200, b"[]"),
    "number-200": http(200, b"7"),
    "deep-200": http(200, b"[" * 100_000),
    "long-integer": http(200, b'{"choices": ' + b"9" * 5000 + b"}"),
    "bad-utf8": http(200, GOOD.replace(b'"ok"', b'"\xff\xfe"')),
    "truncated-json": http(200, GOOD[:-40]),
    "empty-choices": http(200, completion(choices=[])),
    "null-choices": http(200, completion(choices=None)),
    "null-message": http(200, completion(choices=[{"index": 0, "finish_reason": "stop"}])),
    "null-content": http(200, completion(choices=choice(content=None))),
    "filtered": http(200, completion(choices=choice("content_filter", content=None))),
    "reset": _reset_after(b""),
    "reset-head": _reset_after(b"HTTP/1.1 200 OK\r\ncontent-"),
    "reset-body": _reset_after(HEAD + GOOD[:30]),
    "close": _close_after(b""),
    "close-body": _close_after(HEAD + GOOD[:30]),
    "close-chunked": _close_after(chunked(GOOD[:30], end=b"")),
    "hang": _hang,
    "drip-head": _drip(b"", b"HTTP/1.1 200 OK\r\n" * 20),
    "drip-body": _drip(HEAD, GOOD),
    "gzip-bomb": lambda writer, server: _written(
        writer, http(200, _gzip_bomb(), {"content-encoding": "gzip"})
    ),
    "brotli": http(200, b"\x0b\x02\x80", {"content-encoding": "br"}),
    "gzip-damaged": http(200, b"not gzip", {"content-encoding": "gzip"}),
    "gzip-cut": http(200, gzip.compress(GOOD)[:-20], {"content-encoding": "gzip"}),
    "50-mb": _big,
    "endless-head": _endless_head,
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bad-chunk": chunked(GOOD, size="zz{:x}"),
    "two-lengths": http(200, GOOD, {"Content-Length ": "3", "transfer-encoding": "chunked"}),
    "switch": b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "endless-hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
}


async def _written(writer: asyncio.StreamWriter, reply: bytes) -> None:
    writer.write(reply)
    await writer.drain()


@dataclass
class FaultServer:
    """The server, in a thread of its own. ``POST /FAULT/chat/completions`` behaves as that fault."""

    hits: Counter[str] = field(default_factory=Counter)
    heads: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0
    trapped: bytearray = field(default_factory=bytearray)
    port: int = 0
    trap_port: int = 0
    faults: dict[str, bytes | Behave] = field(default_factory=lambda: dict(FAULTS))

    def url(self, fault: str) -> str:
        """The base URL whose chat completions misbehave so."""
        return f"http://127.0.0.1:{self.port}/{fault}"

    def __enter__(self) -> Self:
        _gzip_bomb()  # made now, so that no call waits for it
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.stopped.set)
        self._thread.join(10)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        trap = await asyncio.start_server(self._trap, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.trap_port = trap.sockets[0].getsockname()[1]
        ready.set()
        await self.stopped.wait()
        for listener in (server, trap):
            listener.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _trap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped += await reader.read(100_000)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fault = head.split(" ", 2)[1].split("/")[1]
                length = head.lower().partition("content-length: ")[2].partition("\r")[0]
                self.bodies[fault] = await reader.readexactly(int(length or 0))
                self.heads[fault] = head
                self.hits[fault] += 1
                behaviour = self.faults[fault]
                if isinstance(behaviour, bytes):
                    await _written(writer, behaviour)
                else:
                    await behaviour(writer, self)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
