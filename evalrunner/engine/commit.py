"""Group commit: what many calls want durable at once is written in one go.

A call is *reserved* in the ledger before it is sent and *settled* after it, and its answer is stored
before anybody uses it. One by one, ten thousand calls would wait for ten thousand transactions;
gathered, for a few hundred, and the busier the run, the larger the groups. The store writes between two
turns of the event loop. The ledger waits for the disk, and so writes in a thread, while calls go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from evalrunner.engine.ports import Attempt, CacheStore, Ledger, Settlement
from evalrunner.engine.replay import StoreReader
from evalrunner.errors import BudgetExceeded, LedgerError, ModelCallError
from evalrunner.values.exchange import Reply, Request
from evalrunner.values.fingerprint import Fingerprint

T = TypeVar("T")


TURNS: Final = 24
"""How many turns of the event loop gather what one transaction stores. Where nothing else is to be done they
take no time to speak of; in a busy run they bring more answers together, for a twentieth of its CPU time."""


class StoreCommit:
    """Stores answers: all that arrive within a few turns of the event loop in one transaction.

    Args:
        store: Where answers are kept; ``None`` keeps none.
        in_thread: The store waits for a server, and calls go on meanwhile: all that arrives until it
            has answered goes together next.
        private: Keeps what may not leave this machine; by default it is kept with the others.
    """

    def __init__(
        self,
        store: CacheStore | None,
        *,
        in_thread: bool = False,
        private: StoreCommit | None = None,
    ) -> None:
        self._store = store
        self._private = private
        self._in_thread = in_thread
        self._bodies: dict[Fingerprint, bytes] = {}
        self._stored: list[asyncio.Future[None]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, key: Fingerprint, body: bytes, *, private: bool = False) -> None:
        """Returns when the answer is where a kill of this process cannot reach it."""
        if private and self._private is not None:
            return await self._private.keep(key, body)
        if self._store is None:
            return None
        loop = asyncio.get_running_loop()
        if self._in_thread:
            if self._writing is None:
                self._writing = loop.create_task(self._write(self._store))
        elif not self._bodies:
            loop.call_soon(self._commit, self._store, TURNS)
        future: asyncio.Future[None] = loop.create_future()
        self._bodies[key] = body
        self._stored.append(future)
        return await future

    def _commit(self, store: CacheStore, turns: int) -> None:
        if turns > 1:
            asyncio.get_running_loop().call_soon(self._commit, store, turns - 1)
            return
        bodies, stored = self._take()
        store.put_many(bodies)
        for future in stored:
            _resolve(future, None)

    async def _write(self, store: CacheStore) -> None:
        while self._bodies:
            bodies, stored = self._take()
            await asyncio.to_thread(store.put_many, bodies)
            for future in stored:
                _resolve(future, None)
        self._writing = None

    def _take(self) -> tuple[dict[Fingerprint, bytes], list[asyncio.Future[None]]]:
        taken = self._bodies, self._stored
        self._bodies, self._stored = {}, []
        return taken


Asked = tuple[Request, Fingerprint]


class StoreLookup:
    """Finds kept answers one at a time; where that waits for a server, in groups and in a thread.

    Args:
        reader: Finds them.
        in_thread: The store waits for a server.
    """

    def __init__(self, reader: StoreReader, *, in_thread: bool = False) -> None:
        self._reader = reader
        self._in_thread = in_thread
        self._waiting: list[tuple[Asked, asyncio.Future[Reply | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def find(self, request: Request, key: Fingerprint) -> Reply | None:
        """The reply that is kept, or ``None``."""
        if not self._in_thread:
            return self._reader.find([(request, key)])[0]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        self._waiting.append(((request, key), future))
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        return await future

    async def _ask(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            asked = [one for one, _ in waiting]
            bodies = await asyncio.to_thread(self._reader.bodies, asked)
            found = self._reader.replies(asked, bodies)
            for (_, future), reply in zip(waiting, found, strict=True):
                _resolve(future, reply)
        self._asking = None


LINGER_SECONDS: Final = 0.01
"""How long a ledger's transaction waits for more to write, while calls are in the air. Who waits for it
has not got a slot yet, so that nothing is late; ten thousand calls of 200 ms made 2,100 transactions
without it."""

Waiting = tuple[Attempt, "asyncio.Future[bool]"]


class LedgerCommit:
    """Reserves and settles: all that arrives while one transaction runs goes into the next.

    A reservation that a ceiling has no room for waits while calls of this run are in flight, since most
    settle below their worst case. With none in flight the ceiling is reached: until something else is
    admitted, no call of that suite that may cost as much is looked at again. Other suites, and cheaper
    calls, may still fit.

    Args:
        ledger: Where money is accounted. If it fails, no further call is admitted.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._settlements: list[Settlement] = []
        self._attempts: list[Waiting] = []
        self._refused: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._too_dear: dict[str, int] = {}  # by suite, the least worst case that did not fit
        self._broken: ModelCallError | None = None

    async def reserve(self, attempt: Attempt) -> None:
        """Returns when the attempt is on record and may be sent.

        Raises:
            BudgetExceeded: The ceiling leaves no room for it.
            ModelCallError: Nothing can be recorded, so nothing may be paid.
        """
        if self._is_too_dear(attempt):
            raise _no_room()
        if self._broken is not None:
            raise self._broken
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._attempts.append((attempt, future))
        self._write_soon()
        if not await future:
            raise _no_room()

    def _is_too_dear(self, attempt: Attempt) -> bool:
        least = self._too_dear.get(attempt.suite)
        return least is not None and (attempt.worst_case is None or attempt.worst_case >= least)

    def settle(self, settlement: Settlement) -> None:
        """Has an attempt's end recorded; :meth:`close` waits for the last of them."""
        self._settlements.append(settlement)
        self._write_soon()

    async def close(self) -> None:
        """Returns when everything is on record."""
        while self._writing is not None:
            await self._writing
        self._thread.shutdown()

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._settlements or self._attempts:
            if self._in_flight > len(self._settlements):
                await asyncio.sleep(LINGER_SECONDS)
            settlements, self._settlements = self._settlements, []
            queue = self._refused + self._attempts
            self._refused, self._attempts = [], []
            attempts = [attempt for attempt, _ in queue]
            try:
                admitted = await loop.run_in_executor(
                    self._thread, self._ledger.exchange, settlements, attempts
                )
            except LedgerError as error:
                self._fail(queue, error)
            else:
                self._in_flight -= len(settlements)
                self._admit(queue, admitted)
        self._writing = None

    def _admit(self, queue: Sequence[Waiting], admitted: Sequence[bool]) -> None:
        if any(admitted):  # what settles below its worst case makes room
            self._too_dear.clear()
        self._in_flight += sum(admitted)
        for (attempt, future), fits in zip(queue, admitted, strict=True):
            if fits:
                _resolve(future, True)
            else:
                self._refused.append((attempt, future))
        if not self._in_flight:
            refused, self._refused = self._refused, []
            for attempt, future in refused:
                self._remember_too_dear(attempt)
                _resolve(future, False)

    def _remember_too_dear(self, attempt: Attempt) -> None:
        if attempt.worst_case is not None:
            least = self._too_dear.get(attempt.suite, attempt.worst_case)
            self._too_dear[attempt.suite] = min(least, attempt.worst_case)

    def _fail(self, queue: Sequence[Waiting], error: LedgerError) -> None:
        message = f"nothing is paid that cannot be recorded: {error.message}"
        self._broken = ModelCallError(message, hint=error.hint)
        for _, future in queue:
            if not future.done():
                future.set_exception(self._broken)


def _resolve(future: asyncio.Future[T], value: T) -> None:
    """Answers a future that may have been cancelled meanwhile."""
    if not future.done():
        future.set_result(value)


def _no_room() -> BudgetExceeded:
    return BudgetExceeded(
        "the ceiling leaves no room for the worst case of another call",
        hint="raise --max-usd, or lower max_tokens",
    )
