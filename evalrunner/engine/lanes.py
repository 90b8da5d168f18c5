"""The way to one endpoint: who asks, how fast, and whether it is still worth asking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from evalrunner.engine.limits import Pace
from evalrunner.engine.ports import Clock, WireReply
from evalrunner.errors import (
    CredentialsRejected,
    ModelCallError,
    ProviderUnavailable,
    QuotaExhausted,
)
from evalrunner.values.exchange import Request
from evalrunner.values.spec import Endpoint

CIRCUIT_OPENS_AFTER: Final = 5
"""Calls to one endpoint that fail in a row, none succeeding between, before it is left alone."""

Ask = Callable[[Request, float], Awaitable[WireReply]]
"""One attempt: a request and its deadline in seconds; one request on the wire."""


class Lane:
    """The way to one endpoint or application.

    Args:
        endpoint: Where the lane leads.
        ask: Makes one attempt.
        clock: Tells the time.
        max_concurrency: Calls in flight on this lane, unless the endpoint has its own limit.
    """

    def __init__(self, endpoint: Endpoint, ask: Ask, *, clock: Clock, max_concurrency: int) -> None:
        self.endpoint = endpoint
        self.ask = ask
        self.pace = Pace(rpm=endpoint.rpm, tpm=endpoint.tpm, now=clock.monotonic())
        self._clock = clock
        self._slots = asyncio.Semaphore(endpoint.max_concurrency or max_concurrency)
        self._failures = 0
        self._closed_by: ModelCallError | None = None

    async def enter(self, everybody: asyncio.Semaphore, *, tokens: int) -> None:
        """Takes a place in flight, on this lane and among *everybody*, when the endpoint's pace allows it.

        Who waits for the pace holds no place meanwhile. Whoever entered has to :meth:`leave`.
        """
        delay = self.pace.book(tokens=tokens, now=self._clock.monotonic())
        while True:
            if delay > 0:
                await self._clock.sleep(delay)
            await self._slots.acquire()
            try:
                await everybody.acquire()
            except BaseException:
                self._slots.release()
                raise
            delay = self.pace.paused_seconds(now=self._clock.monotonic())
            if delay <= 0:
                return
            self.leave(everybody)

    def leave(self, everybody: asyncio.Semaphore) -> None:
        """Gives the place back."""
        everybody.release()
        self._slots.release()

    def check(self) -> None:
        """Raises what every further call would end with, where that is known."""
        if self._closed_by is not None:
            raise self._closed_by

    def succeeded(self) -> None:
        """An answer came."""
        self._failures = 0

    def failed(self, error: ModelCallError) -> None:
        """A call ended without an answer; a hopeless lane is closed, so that nobody waits for it."""
        if isinstance(error, CredentialsRejected | QuotaExhausted):
            self._closed_by = error
        elif isinstance(error, ProviderUnavailable):
            self._failures += 1
            if self._failures >= CIRCUIT_OPENS_AFTER:
                self._closed_by = ModelCallError(
                    f"{self.endpoint.name!r} failed {self._failures} calls in a row "
                    f"and is not asked again in this run: {error.message}",
                    hint=error.hint,
                )
