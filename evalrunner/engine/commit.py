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
from evalrunner.errors import BudgetExceeded, LedgerError, ModelCallError
from evalrunner.values.fingerprint import Fingerprint

T = TypeVar("T")


class StoreCommit:
    """Stores answers: all that arrive within one turn of the event loop in one transaction.

    Args:
        store: Where answers are kept; ``None`` keeps none.
    """

    def __init__(self, store: CacheStore | None) -> None:
        self._store = store
        self._bodies: dict[Fingerprint, bytes] = {}
        self._stored: list[asyncio.Future[None]] = []

    async def keep(self, key: Fingerprint, body: bytes) -> None:
        """Returns when the answer is where a kill of this process cannot reach it."""
        if self._store is None:
            return
        loop = asyncio.get_running_loop()
        if not self._bodies:
            loop.call_soon(self._commit, self._store)
        future: asyncio.Future[None] = loop.create_future()
        self._bodies[key] = body
        self._stored.append(future)
        await future

    def _commit(self, store: CacheStore) -> None:
        bodies, self._bodies = self._bodies, {}
        stored, self._stored = self._stored, []
        store.put_many(bodies)
        for future in stored:
            _resolve(future, None)


LINGER_SECONDS: Final = 0.01
"""How long a ledger's transaction waits for more to write, while calls are in the air. Who waits for it
has not got a slot yet, so that nothing is late; ten thousand calls of 200 ms made 2,100 transactions
without it."""

Waiting = tuple[Attempt, "asyncio.Future[bool]"]


class LedgerCommit:
    """Reserves and settles: all that arrives while one transaction runs goes into the next.

    A reservation that the ceiling has no room for waits while calls of this run are in flight, since
    most settle below their worst case. With none in flight the ceiling is reached, for good.

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
        self._exhausted = False
        self._broken: ModelCallError | None = None

    async def reserve(self, attempt: Attempt) -> None:
        """Returns when the attempt is on record and may be sent.

        Raises:
            BudgetExceeded: The ceiling leaves no room for it.
            ModelCallError: Nothing can be recorded, so nothing may be paid.
        """
        if self._exhausted:
            raise _no_room()
        if self._broken is not None:
            raise self._broken
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._attempts.append((attempt, future))
        self._write_soon()
        if not await future:
            raise _no_room()

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
        self._in_flight += sum(admitted)
        for (attempt, future), fits in zip(queue, admitted, strict=True):
            if fits:
                _resolve(future, True)
            else:
                self._refused.append((attempt, future))
        if self._refused and not self._in_flight and not self._settlements:
            self._exhausted = True
            for _, future in self._refused:
                _resolve(future, False)
            self._refused = []

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
