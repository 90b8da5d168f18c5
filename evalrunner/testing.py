"""Public fakes: what a test of a suite, a check or an adapter needs instead of the outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from evalrunner.engine.ports import (
    Attempt,
    RunRow,
    Settlement,
    StoreStats,
    WireReply,
)
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import Ceilings, scopes
from evalrunner.values.exchange import ModelRequest, ModelResponse
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars, total


class FixedClock:
    """A :class:`~evalrunner.engine.ports.Clock` that stands still until it is told otherwise.

    ``sleep`` moves it forward at once, and lets other tasks run.

    Args:
        start: Seconds since 1970.

    Example:
        >>> clock = FixedClock(100.0)
        >>> clock.advance(5)
        >>> clock.now(), clock.monotonic()
        (105.0, 5.0)
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._start = start
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds since 1970."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._passed

    def advance(self, seconds: float) -> None:
        """Moves the clock forward."""
        self._passed += seconds

    def jump(self, seconds: float) -> None:
        """Moves the wall clock alone, back or forth, as an administrator might."""
        self._start += seconds

    async def sleep(self, seconds: float) -> None:
        """Moves the clock forward and gives way once."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


class MemoryStore:
    """A :class:`~evalrunner.engine.ports.CacheStore` that ends with the process.

    Args:
        now: Seconds since 1970, recorded with each entry.
    """

    def __init__(self, *, now: Callable[[], float] = FixedClock().now) -> None:
        self._now = now
        self._entries: dict[Fingerprint, tuple[bytes, float]] = {}
        self._writes = 0

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that are stored, and not older than asked."""
        found = ((key, self._entries[key]) for key in keys if key in self._entries)
        return {
            key: body
            for key, (body, stored_at) in found
            if stored_after is None or stored_at >= stored_after
        }

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores all of them."""
        self._entries.update({key: (bytes(body), self._now()) for key, body in bodies.items()})
        self._writes += len(bodies)

    def stats(self) -> StoreStats:
        """What was seen so far."""
        return StoreStats(writes=self._writes)

    def close(self) -> None:
        """Does nothing."""

    def keys(self) -> Iterator[Fingerprint]:
        """The keys that are stored, in order."""
        return iter(sorted(self._entries))


class MemoryLedger:
    """A :class:`~evalrunner.engine.ports.Ledger` that ends with the process, with the same rules.

    Args:
        run_id: The run whose attempts are reserved.
        ceilings: The most that may be spent.

    Attributes:
        attempts: What was admitted, by id.
        settlements: How it ended, by id.
        runs: The rows of :meth:`record_run`.
    """

    def __init__(self, *, run_id: str = "run", ceilings: Ceilings | None = None) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.settlements: dict[str, Settlement] = {}
        self.runs: list[RunRow] = []
        self._run_id = run_id
        self._ceilings = ceilings or Ceilings()
        self._held: dict[str, int] = {}

    def reserve(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        """Admits those attempts, in turn, for which every ceiling leaves room."""
        return [self._admit(attempt) for attempt in attempts]

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Records how attempts ended; the first settlement of an attempt stands.

        Raises:
            LedgerError: An attempt was never reserved.
        """
        batch = list(settlements)
        for settlement in batch:
            if settlement.id not in self.attempts:
                raise LedgerError(f"the attempt {settlement.id!r} was never reserved")
        for settlement in batch:
            if settlement.id not in self.settlements:
                self.settlements[settlement.id] = settlement
                self._count(self.attempts[settlement.id], settlement)

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Appends a run's rows."""
        self.runs.extend(rows)

    def spent(self, run_id: str) -> Picodollars | None:
        """What the run's settled attempts cost; ``None`` where the cost of one is unknown."""
        if run_id != self._run_id:
            return Picodollars(0)
        return total(s.cost for s in self.settlements.values() if s.status == "ok")

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """What the run reserved and never settled, or settled as possibly paid, at the worst case."""
        if run_id != self._run_id:
            return Picodollars(0)
        return total(a.worst_case for a in self.attempts.values() if self._is_open(a))

    def close(self) -> None:
        """Does nothing."""

    def _is_open(self, attempt: Attempt) -> bool:
        settlement = self.settlements.get(attempt.id)
        if settlement is None or settlement.status == "possibly_paid":
            return True
        unpriced = settlement.status == "ok" and settlement.cost is None
        return unpriced and attempt.worst_case is not None

    def _admit(self, attempt: Attempt) -> bool:
        if attempt.id in self.attempts:
            raise LedgerError(f"the attempt {attempt.id!r} was reserved before")
        names = scopes(self._run_id, attempt.suite, attempt.at)
        if not self._ceilings.admit(self._held, names, attempt.suite, attempt.worst_case):
            return False
        self.attempts[attempt.id] = attempt
        self._hold(names, attempt.worst_case or 0)
        return True

    def _count(self, attempt: Attempt, settlement: Settlement) -> None:
        if self._is_open(attempt):
            return
        names = scopes(self._run_id, attempt.suite, attempt.at)
        self._hold(names, (settlement.cost or 0) - (attempt.worst_case or 0))

    def _hold(self, names: Sequence[str], change: int) -> None:
        for name in names:
            self._held[name] = self._held.get(name, 0) + change


class ScriptedClient:
    """A :class:`~evalrunner.engine.ports.ModelClient` that answers as a function says.

    Args:
        answer: Gives the answer to a request, or the error to raise.

    Attributes:
        requests: Every request that was sent, in order.
        closed: Whether it was closed.

    Example:
        >>> from evalrunner.values.exchange import ModelText
        >>> client = ScriptedClient(lambda request: ModelResponse(text=ModelText("yes")))
        >>> client.calls
        0
    """

    def __init__(self, answer: Callable[[ModelRequest], ModelResponse | Exception]) -> None:
        self._answer = answer
        self.requests: list[ModelRequest] = []
        self.closed = False

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return len(self.requests)

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:  # noqa: ARG002
        """The scripted answer, or its error."""
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        return WireReply(response=answer)

    async def aclose(self) -> None:
        """Remembers that it was called."""
        self.closed = True
