"""Pays once for what several runs want answered: who may pay asks, who may not waits for the answer.

Within one run the executor's flights do this. Between runs, in other processes or on other machines, it
takes a lease on the request's key, and the answer comes through the store that they share. A run that is
alone with its store takes no leases and reads nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from evalrunner.engine.ports import Clock, Leases
from evalrunner.engine.replay import StoreReader
from evalrunner.errors import Interrupted
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Reply, Request
from evalrunner.values.fingerprint import Fingerprint

FIRST_PAUSE_SECONDS: Final = 0.02
LONGEST_PAUSE_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 300.0
"""How long nothing that is waited for may come before this run pays for it after all: an owner that was
stopped without being ended must not stop everybody."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A request that this run would pay for."""

    request: Request
    key: Fingerprint
    ended: asyncio.Future[Reply | None]
    waits: Callable[[], None]


class PayOnce:
    """Decides for every request whether this run pays for it.

    Args:
        leases: The right to pay; ``None`` where there is nothing to share answers through.
        reader: Finds the answers that others have paid for.
        clock: Waits between two looks.
    """

    def __init__(self, leases: Leases | None, reader: StoreReader, clock: Clock) -> None:
        self._leases = leases
        self._reader = reader
        self._clock = clock
        self._alone = leases is None or leases.alone
        self._held: set[Fingerprint] = set()
        self._asking: list[_Wish] = []
        self._waiting: dict[Fingerprint, _Wish] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def may_pay(self, request: Request, key: Fingerprint) -> bool:
        """Whether this run pays for the key without asking anybody, and holds it until :meth:`release`.

        So it is while no other run shares the store, and where no kept answer would do. Otherwise the
        key has to be :meth:`claim`-ed.
        """
        if not self._reader.may_answer(request):
            return True
        if self._alone and self._leases is not None:
            self._held.add(key)
            self._have_at_work("tend", self._tend)
        return self._alone

    async def claim(
        self, request: Request, key: Fingerprint, waits: Callable[[], None]
    ) -> Reply | None:
        """The reply that another run has paid for; ``None`` where this run pays, and then releases.

        Args:
            request: What is asked.
            key: Its key. Nobody else in this run claims it meanwhile.
            waits: Is told where another run holds the key, so that the answer may take a while.

        Raises:
            Interrupted: The run was told to stop while it waited.
        """
        if self._stopping:
            raise _stopped()
        ended: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._asking.append(_Wish(request, key, ended, waits))
        self._have_at_work("ask", self._ask)
        return await ended

    def release(self, key: Fingerprint) -> None:
        """Lets others have the key, once it is answered or given up."""
        if key not in self._held:
            return
        self._held.discard(key)
        if self._leases is not None and not self._alone:
            self._leases.release([key])

    def stop(self) -> None:
        """Waits for no other run any more."""
        self._stopping = True
        for wish in self._waiting.values():
            if not wish.ended.done():
                wish.ended.set_exception(_stopped())

    async def close(self) -> None:
        """Gives back whatever is held."""
        for task in list(self._tasks.values()):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._leases is not None:
            await self._leases.aclose()

    def _have_at_work(self, name: str, work: Callable[[Leases], Awaitable[None]]) -> None:
        """Starts a task, unless it is at work; it ends its work and frees its name in one moment."""
        if name in self._tasks or self._leases is None:
            return
        leases = self._leases

        async def run() -> None:
            try:
                await work(leases)
            finally:
                del self._tasks[name]

        self._tasks[name] = asyncio.create_task(run())

    async def _ask(self, leases: Leases) -> None:
        """Looks for all that is asked for within one turn of the event loop at once."""
        while self._asking:
            wishes, self._asking = self._asking, []
            for wish in await self._look(leases, wishes):
                self._waiting[wish.key] = wish
                wish.waits()
        if self._waiting:
            self._have_at_work("wait", self._wait)
        if self._held:
            self._have_at_work("tend", self._tend)

    async def _wait(self, leases: Leases) -> None:
        """Looks again and again for what others are paying for, at most a tenth of the time."""
        pause, news_at = FIRST_PAUSE_SECONDS, self._clock.monotonic()
        while self._waiting:
            await self._clock.sleep(pause)
            began, before = self._clock.monotonic(), len(self._waiting)
            wishes = list(self._waiting.values())
            left = {wish.key for wish in await self._look(leases, wishes)}
            for wish in wishes:
                if wish.key not in left:
                    del self._waiting[wish.key]
            now = self._clock.monotonic()
            if len(left) < before:
                pause, news_at = FIRST_PAUSE_SECONDS, now
            elif now - news_at > PATIENCE_SECONDS:
                self._give_up_waiting()
            pause = max(min(pause * 1.5, LONGEST_PAUSE_SECONDS), 10 * (now - began))

    async def _look(self, leases: Leases, wishes: Sequence[_Wish]) -> list[_Wish]:
        """Ends the wishes whose answer is stored or whose key is free; returns the others.

        The store is read after the leases are taken: what was paid for before a key became free is then
        found.
        """
        taken = await leases.take([wish.key for wish in wishes])
        replies = self._reader.find([(wish.request, wish.key) for wish in wishes])
        left: list[_Wish] = []
        needless: list[Fingerprint] = []
        for wish, reply in zip(wishes, replies, strict=True):
            wanted = not wish.ended.done()
            if wanted and reply is None and wish.key in taken:
                self._held.add(wish.key)
                wish.ended.set_result(None)
                continue
            if wish.key in taken:
                needless.append(wish.key)
            if wanted and reply is not None:
                wish.ended.set_result(reply)
            elif wanted:
                left.append(wish)
        leases.release(needless)
        return left

    def _give_up_waiting(self) -> None:
        for wish in self._waiting.values():
            if not wish.ended.done():
                wish.ended.set_result(None)
        self._waiting.clear()

    async def _tend(self, leases: Leases) -> None:
        while True:
            await asyncio.sleep(leases.tend_seconds)
            await leases.tend(list(self._held))
            self._alone = leases.alone


def _stopped() -> Interrupted:
    return Interrupted("the run was told to stop")
