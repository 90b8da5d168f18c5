"""Interfaces that tell what production cost, as real HTTP servers: routes, a log, and faults on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Answer = Callable[[web.Request], "web.StreamResponse | Mapping[str, Any]"]


@dataclass
class SpendServer:
    """Serves *answer* at every path of a port of its own, in a thread of its own.

    ``requests`` are those that arrived; ``faults`` are answered first, each once.
    """

    answer: Answer
    requests: list[web.Request] = field(default_factory=list)
    faults: list[web.StreamResponse] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._start())
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.faults:
            return self.faults.pop(0)
        found = self.answer(request)
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)
