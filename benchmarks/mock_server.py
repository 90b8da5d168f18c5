"""A local server with the OpenAI wire format: fast, counted, and with a latency that is held.

    python benchmarks/mock_server.py [--port 0] [--latency-ms 0]

It prints its port and then serves until it is terminated. The model ``judge`` answers a verdict, every
other model a JSON object with the code word of the entry that the prompt names (``workload.py``).

    GET  /counters[?before=T]   per model: requests, answered, unique, in_flight, peak, answer_bytes;
                                and how many answers left before T (seconds of CLOCK_MONOTONIC)
    POST /latency?ms=200        from now on
    POST /reset                 counters to zero
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop
from workload import JUDGE, expected

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
MODEL_NAME = re.compile(rb'"model" ?: ?"([^"]*)"')
ENTRY = re.compile(rb"code word of entry (\d+)")
VERDICT = json.dumps({"reason": "One code word. GRADE: C", "pass": True, "score": 1.0})


@dataclass(slots=True)
class Counter:
    """What one model was asked and has answered."""

    requests: int = 0
    answered: int = 0
    unique: int = 0
    in_flight: int = 0
    peak: int = 0
    answer_bytes: int = 0


class State:
    """Counters and latency of the whole server."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.reset()

    def reset(self) -> None:
        """Forgets all requests."""
        self.counters: dict[bytes, Counter] = {}
        self.seen: set[bytes] = set()
        self.answer_times = array("d")

    def asked(self, model: bytes, body: bytes) -> Counter:
        """Counts a request in."""
        counter = self.counters.get(model)
        if counter is None:
            counter = self.counters[model] = Counter()
        counter.requests += 1
        counter.in_flight += 1
        counter.peak = max(counter.peak, counter.in_flight)
        if body not in self.seen:
            self.seen.add(body)
            counter.unique += 1
        return counter

    def answered(self, counter: Counter, text: str) -> None:
        """Counts an answer out."""
        counter.in_flight -= 1
        counter.answered += 1
        counter.answer_bytes += len(text)
        if self.latency:
            self.answer_times.append(time.monotonic())

    def report(self, before: float) -> bytes:
        """The counters as JSON."""
        models = {name.decode(): asdict(counter) for name, counter in self.counters.items()}
        early = sum(1 for at in self.answer_times if at < before)
        return json.dumps({"models": models, "answered_before": early}).encode()


def answer_to(model: bytes, body: bytes) -> str:
    """The content of the message that answers a request."""
    if model == JUDGE.encode():
        return VERDICT
    entry = ENTRY.search(body)
    return f'{{"answer": "{expected(int(entry[1])) if entry else "unknown"}"}}'


def completion(model: bytes, content: str, prompt_bytes: int) -> bytes:
    """A chat completion around the content, as an HTTP response."""
    tokens = prompt_bytes // 8
    body = (
        f'{{"id":"chatcmpl-bench","object":"chat.completion","created":1750000000,'
        f'"model":"{model.decode()}","choices":[{{"index":0,"message":{{"role":"assistant",'
        f'"content":{quoted(content)}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":'
        f'{tokens},"completion_tokens":12,"total_tokens":{tokens + 12}}}}}'
    )
    return response(body.encode())


def response(body: bytes, status: str = "200 OK") -> bytes:
    """A JSON body as an HTTP/1.1 response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are read one after another."""

    def __init__(self, state: State, later: Callable[..., object]) -> None:
        self.state = state
        self.later = later
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answers each complete request in what has arrived."""
        buffer = self.buffer + data if self.buffer else data
        while (end := buffer.find(HEAD_END)) >= 0:
            length = LENGTH.search(buffer, 0, end)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < stop:
                break
            self.serve(buffer[:end], buffer[end + 4 : stop])
            buffer = buffer[stop:]
        self.buffer = buffer

    def serve(self, head: bytes, body: bytes) -> None:
        """Answers one request, now or after the latency."""
        if not head.startswith(b"POST /v1/chat/completions "):
            self.transport.write(self.control(head))
            return
        found = MODEL_NAME.search(body)
        model = found[1] if found else b""
        counter = self.state.asked(model, body)
        last = b"lose" in head and CLOSE.search(head) is not None
        if self.state.latency:
            self.later(self.state.latency, lambda: self.answer(model, body, counter, last=last))
        else:
            self.answer(model, body, counter, last=last)

    def answer(self, model: bytes, body: bytes, counter: Counter, /, *, last: bool) -> None:
        """Sends the completion. Nobody may be there any more: then it does not count as answered."""
        if self.transport.is_closing():
            counter.in_flight -= 1
            return
        text = answer_to(model, body)
        self.transport.write(completion(model, text, len(body)))
        self.state.answered(counter, text)
        if last:
            self.transport.close()

    def control(self, head: bytes) -> bytes:
        """Answers what is not a completion."""
        method, target = head.split(b" ", 2)[:2]
        url = urlsplit(target.decode())
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match method, url.path:
            case b"GET", "/counters":
                return response(self.state.report(float(query.get("before", "inf"))))
            case b"POST", "/latency":
                self.state.latency = float(query["ms"]) / 1000
            case b"POST", "/reset":
                self.state.reset()
            case _:
                return response(b'{"error": {"message": "no such path"}}', "404 Not Found")
        return response(b"{}")


async def serve(port: int, latency: float) -> None:
    """Serves until cancelled."""
    loop = asyncio.get_running_loop()
    state = State(latency)
    server = await loop.create_server(
        lambda: Connection(state, loop.call_later), "127.0.0.1", port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Parses the command line and serves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    gc.disable()  # nothing here makes cycles, and a pause would be somebody else's latency
    uvloop.run(serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
