"""Group commit: what one turn of the event loop wants durable is written in one go.

A call is *reserved* in the ledger before it is sent and *settled* after it, and its answer is stored
before anybody uses it. Written one by one, ten thousand calls would pay ten thousand transactions;
gathered by turn, they pay a few hundred, and the busier the run, the larger the groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evalrunner.engine.ports import Attempt, CacheStore, Ledger, Settlement
from evalrunner.errors import BudgetExceeded, LedgerError, ModelCallError
from evalrunner.values.fingerprint import Fingerprint


@dataclass(slots=True)
class _Turn:
    """What was asked for since the last commit."""

    bodies: dict[Fingerprint, bytes] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)
    settled: list[asyncio.Future[None]] = field(default_factory=list)
    reservations: list[tuple[Attempt, asyncio.Future[bool]]] = field(default_factory=list)


class GroupCommit:
    """Reserves, settles and stores on behalf of all calls in flight.

    A reservation that the ceiling has no room for waits while calls of this run are in flight, since
    most settle below their worst case. With none in flight the ceiling is reached, for good.

    Args:
        store: Where answers are kept; ``None`` keeps none.
        ledger: Where money is accounted. If it fails, no further call is admitted.
    """

    def __init__(self, *, store: CacheStore | None, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._turn = _Turn()
        self._waiting: list[tuple[Attempt, asyncio.Future[bool]]] = []
        self._scheduled = False
        self._in_flight = 0
        self._exhausted = False

    async def reserve(self, attempt: Attempt) -> None:
        """Returns when the attempt may be sent.

        Raises:
            BudgetExceeded: The ceiling leaves no room for it.
            ModelCallError: Nothing can be recorded, so nothing may be paid.
        """
        if self._exhausted:
            raise _no_room()
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._turn.reservations.append((attempt, future))
        self._schedule()
        if not await future:
            raise _no_room()

    async def settle(
        self, settlement: Settlement, bodies: Mapping[Fingerprint, bytes] | None = None
    ) -> None:
        """Returns when the attempt's end and its answer are on disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turn.settlements.append(settlement)
        self._turn.settled.append(future)
        if bodies:
            self._turn.bodies.update(bodies)
        self._schedule()
        await future

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        self._scheduled = False
        turn, self._turn = self._turn, _Turn()
        queue, self._waiting = self._waiting + turn.reservations, []
        try:
            if turn.bodies and self._store is not None:
                self._store.put_many(turn.bodies)
            if turn.settlements:
                self._ledger.settle(turn.settlements)
            admitted = self._ledger.reserve([attempt for attempt, _ in queue]) if queue else ()
        except LedgerError as error:
            refusal = ModelCallError(f"nothing is paid that cannot be recorded: {error.message}")
            _fail([*turn.settled, *(future for _, future in queue)], refusal)
            return
        self._in_flight -= len(turn.settlements)
        for future in turn.settled:
            if not future.done():
                future.set_result(None)
        self._admit(queue, admitted)

    def _admit(
        self, queue: Sequence[tuple[Attempt, asyncio.Future[bool]]], admitted: Sequence[bool]
    ) -> None:
        refused: list[tuple[Attempt, asyncio.Future[bool]]] = []
        for (attempt, future), fits in zip(queue, admitted, strict=True):
            if not fits:
                refused.append((attempt, future))
                continue
            self._in_flight += 1
            if not future.done():
                future.set_result(True)
        if refused and self._in_flight:
            self._waiting = refused
            return
        for _, future in refused:
            self._exhausted = True
            if not future.done():
                future.set_result(False)


def _no_room() -> BudgetExceeded:
    return BudgetExceeded(
        "the ceiling leaves no room for the worst case of another call",
        hint="raise --max-usd, or lower max_tokens",
    )


def _fail(futures: Sequence[asyncio.Future[bool] | asyncio.Future[None]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
