"""The floor: the same work in the fewest steps that Python allows. A limit, not a product.

    python benchmarks/floor.py GOLDEN.jsonl STORE.sqlite3 PORT [--judge]

Raw keep-alive sockets on uvloop, SHA-256 keys, one batched SELECT, one transaction at the end, every row
checked on every run. No TLS, no retries, no limits, no prices, no report, and a kill loses everything.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quoted
from typing import cast

from workload import IN_FLIGHT, JUDGE, MODEL, PROMPT, RUBRIC

BODY = '{"model":"%s","messages":[{"role":"user","content":%s}],"max_tokens":1024,"temperature":0}'
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


class Caller(asyncio.Protocol):
    """One connection that sends the next body as soon as the last is answered."""

    def __init__(self, bodies: Iterator[bytes], into: dict[bytes, str]) -> None:
        self.bodies, self.into, self.buffer = bodies, into, b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first body."""
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        """Sends the next body, or hangs up."""
        self.body = next(self.bodies, b"")
        if self.body:
            self.transport.write((HEAD % len(self.body)).encode() + self.body)
        else:
            self.transport.close()
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Keeps an answer once it is whole."""
        head, _, reply = (self.buffer + data).partition(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2] or -1)
        if len(reply) == length:
            self.into[self.body] = json.loads(reply)["choices"][0]["message"]["content"]
            self.buffer = b""
            self.send()
        else:
            self.buffer += data


async def ask(bodies: Iterable[bytes], port: int) -> dict[bytes, str]:
    """The answer to each body, 50 in flight."""
    answers: dict[bytes, str] = {}
    loop, pending = asyncio.get_running_loop(), iter(bodies)
    made = [
        await loop.create_connection(lambda: Caller(pending, answers), "127.0.0.1", port)
        for _ in range(IN_FLIGHT)
    ]
    await asyncio.gather(*(caller.done for _, caller in made))
    return answers


def answers_to(bodies: list[bytes], store: sqlite3.Connection, port: int) -> list[str]:
    """The answers in order: from the store in one SELECT, the rest from the server."""
    keys = [hashlib.sha256(body).digest() for body in bodies]
    marks = ",".join("?" * len(keys))
    known = dict(store.execute(f"SELECT key, value FROM answer WHERE key IN ({marks})", keys))
    missing = {body: key for body, key in zip(bodies, keys, strict=True) if key not in known}
    if missing:
        import uvloop

        fresh = uvloop.run(ask(missing, port))
        known.update((missing[body], answer) for body, answer in fresh.items())
        with store:
            added = ((missing[body], answer) for body, answer in fresh.items())
            store.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?)", added)
    return [known[key] for key in keys]


def bodies_of(model: str, texts: Iterable[str]) -> list[bytes]:
    """One request body a text."""
    return [(BODY % (model, quoted(text))).encode() for text in texts]


def main(golden: str, path: str, port: int, *, judge: bool) -> str:
    """Does the whole work and returns the verdict line."""
    with open(golden, encoding="utf-8") as file:
        rows = json.loads(f"[{','.join(file)}]")
    store = sqlite3.connect(path, timeout=60)
    store.execute("PRAGMA journal_mode=wal")
    store.execute("PRAGMA synchronous=normal")
    store.execute("CREATE TABLE IF NOT EXISTS answer (key BLOB UNIQUE, value TEXT)")
    asked = bodies_of(MODEL, (PROMPT.replace("{{question}}", row["question"]) for row in rows))
    answers = answers_to(asked, store, port)
    held = [row["expected"] in said and isinstance(json.loads(said), dict)
            for row, said in zip(rows, answers, strict=True)]  # fmt: skip
    if judge:
        told = (RUBRIC.replace("{{question}}", row["question"]) + "\n\n" + said
                for row, said in zip(rows, answers, strict=True))  # fmt: skip
        verdicts = answers_to(bodies_of(JUDGE, told), store, port)
        held = [ok and json.loads(said)["pass"] for ok, said in zip(held, verdicts, strict=True)]
    store.close()
    return f"{sum(held)} of {len(rows)} passed"


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), judge="--judge" in sys.argv))
