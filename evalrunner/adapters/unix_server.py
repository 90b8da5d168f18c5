"""Answers lines of JSON over a Unix socket that whoever started this process listens on already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

LONGEST_LINE: Final = 1 << 28
"""The most bytes of one line: more than any case that a suite may hold, and an end to a runaway."""

Answer = Callable[[bytes], Awaitable[bytes]]
"""Answers one line; neither has its newline."""


@contextlib.asynccontextmanager
async def serving(descriptor: int, answer: Answer) -> AsyncGenerator[None]:
    """Serves while the block runs: many connections at once, the lines of each in turn.

    A client that leaves, or dies in the middle of a line, costs nobody else anything.

    Args:
        descriptor: The listening socket, inherited.
        answer: Answers one line, and never raises.
    """
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a server runs this as a task
        conversations.add(task)
        try:
            while line := await reader.readline():
                writer.write(await answer(line) + b"\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # it left, sent more than a line may hold, or the service ends
        finally:
            conversations.discard(task)
            writer.transport.abort()

    listener = socket.socket(fileno=descriptor)
    server = await asyncio.start_unix_server(converse, sock=listener, limit=LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def end_of(descriptor: int) -> None:
    """Returns when the other end of a pipe is closed, as it is when the process that holds it ends."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def look() -> None:
        if not os.read(descriptor, 4096) and not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, look)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
