"""Public fakes: what a test of a suite, a check or an adapter needs instead of the outside."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from types import TracebackType
from typing import Self, TypeAlias, cast

from evalrunner.engine.habits import length_of
from evalrunner.engine.ports import (
    Attempt,
    LedgerDay,
    LedgerEntry,
    Origin,
    PastEstimate,
    RunRow,
    Settlement,
    StoreStats,
    Usual,
    WireReply,
)
from evalrunner.engine.spending import cells_of
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import Ceilings, month_scope, scopes, utc_day
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import ModelRequest, ModelResponse
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars, total
from evalrunner.values.spending import SpendCell


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
        now: Seconds since 1970, recorded with each entry; without it time stands still.
    """

    def __init__(self, *, now: Callable[[], float] | None = None) -> None:
        self._now = now or FixedClock().now
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
    """A :class:`~evalrunner.engine.ports.LedgerBook` that ends with the process, with the same rules.

    Args:
        run_id: The run whose attempts are reserved.
        ceilings: The most that may be spent.
        tags: Where the run comes from.

    Attributes:
        attempts: What was admitted, by id.
        settlements: How it ended, by id.
        rows: The rows of :meth:`record_run`.
    """

    def __init__(
        self,
        *,
        run_id: str = "run",
        ceilings: Ceilings | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.settlements: dict[str, Settlement] = {}
        self.rows: list[RunRow] = []
        self._tags = dict(tags or {})
        self._runs: dict[str, str] = {}  # whose attempt each is, by id
        self._origins: dict[str, Origin] = {}
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

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """Settles, and then reserves."""
        for attempt in attempts:
            self._refuse_second(attempt)
        self.settle(settlements)
        return self.reserve(attempts)

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Appends a run's rows, one a suite; a second one for the same run and suite is ignored."""
        known = {(row.run_id, row.suite) for row in self.rows}
        self.rows.extend(row for row in rows if (row.run_id, row.suite) not in known)

    def spent(self, run_id: str) -> Picodollars | None:
        """What the run's settled attempts cost; ``None`` where the cost of one is unknown."""
        ends = (end for id_, end in self.settlements.items() if self._runs[id_] == run_id)
        return total(end.cost for end in ends if end.status == "ok")

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """What the run reserved and never settled, or settled as possibly paid, at the worst case."""
        own = (a for a in self.attempts.values() if self._runs[a.id] == run_id)
        return total(attempt.worst_case for attempt in own if self._is_open(attempt))

    def began(self) -> float | None:
        """When the first run but this one began."""
        return min((at for run, at in self._began().items() if run != self._run_id), default=None)

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        """The days on which anything happened, both ends among them."""
        cells = {cell.key[0]: cell for cell in cells_of(self._entries(), ["day"])}
        runs = Counter(map(utc_day, self._began().values()))
        return [
            _ledger_day(day, cells.get(day, SpendCell()), runs[day])
            for day in sorted({str(day) for day in cells} | runs.keys())
            if utc_day(since) <= day <= utc_day(until)
        ]

    def held_in_month(self, at: float) -> Picodollars:
        """What counts against the month's ceiling."""
        return Picodollars(self._held.get(month_scope(at), 0))

    def usual_usage(self) -> Mapping[tuple[str, str, str], Usual]:
        """How long the calls of each kind were."""
        lengths: dict[tuple[str, str, str], list[tuple[int, int, int, int, int]]] = {}
        for id_, end in self.settlements.items():
            asked, length = self.attempts[id_], length_of(end)
            if length is not None:
                kind = asked.suite, asked.endpoint, asked.role
                lengths.setdefault(kind, []).append(length)
        return {kind: _mean(found) for kind, found in lengths.items()}

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        """The last runs of a suite that expected to pay something, the newest first."""
        found = [
            PastEstimate(
                run_id=row.run_id,
                at=row.at,
                expected=row.expected,
                maximum=row.maximum,
                incurred=row.incurred,
                correction=row.correction,
            )
            for row in reversed(self.rows)
            if row.suite == suite and row.expected and row.incurred is not None
        ]
        return sorted(found, key=lambda past: -past.at)[:limit]

    def entries(self, since: float, until: float) -> Iterator[LedgerEntry]:
        """The attempts that were reserved in that time."""
        return (one for one in self._entries() if since <= one.attempt.at < until)

    def spending(self, since: float, until: float, by: Sequence[str]) -> Sequence[SpendCell]:
        """The same, added up."""
        return cells_of(self.entries(since, until), by)

    def runs(self, since: float, until: float) -> Sequence[RunRow]:
        """The rows of the runs that began in that time."""
        return sorted((row for row in self.rows if since <= row.at < until), key=lambda row: row.at)

    def origins(self) -> Sequence[Origin]:
        """Where each run that paid came from."""
        return sorted(self._origins.values(), key=lambda origin: (origin.at, origin.run_id))

    def add(
        self,
        entries: Iterable[LedgerEntry],
        runs: Iterable[RunRow],
        origins: Iterable[Origin],
    ) -> int:
        """Takes in rows of another ledger; what is on record already stays as it is."""
        before = len(self.attempts) + len(self.settlements) + len(self.rows)
        for one in entries:
            if one.attempt.id not in self.attempts:
                self._record(one.attempt, one.run_id)
            if one.settlement is not None:
                self.settle([one.settlement])
        self.record_run(list(runs))
        for origin in origins:
            self._origins.setdefault(origin.run_id, origin)
        return len(self.attempts) + len(self.settlements) + len(self.rows) - before

    def close(self) -> None:
        """Does nothing."""

    def _began(self) -> dict[str, float]:
        began = {run: origin.at for run, origin in self._origins.items()}
        for row in self.rows:
            began[row.run_id] = min(row.at, began.get(row.run_id, row.at))
        return began

    def _entries(self) -> Iterator[LedgerEntry]:
        return (
            LedgerEntry(
                run_id=self._runs[id_], attempt=attempt, settlement=self.settlements.get(id_)
            )
            for id_, attempt in self.attempts.items()
        )

    def _record(self, attempt: Attempt, run_id: str) -> None:
        self.attempts[attempt.id] = attempt
        self._runs[attempt.id] = run_id
        self._hold(scopes(run_id, attempt.suite, attempt.at), attempt.worst_case or 0)

    def _is_open(self, attempt: Attempt) -> bool:
        settlement = self.settlements.get(attempt.id)
        if settlement is None or settlement.status == "possibly_paid":
            return True
        unpriced = settlement.status == "ok" and settlement.cost is None
        return unpriced and attempt.worst_case is not None

    def _admit(self, attempt: Attempt) -> bool:
        self._refuse_second(attempt)
        names = scopes(self._run_id, attempt.suite, attempt.at)
        if not self._ceilings.admit(self._held, names, attempt.suite, attempt.worst_case):
            return False
        origin = Origin(run_id=self._run_id, at=attempt.at, tags=self._tags)
        self._origins.setdefault(self._run_id, origin)
        self._record(attempt, self._run_id)
        return True

    def _refuse_second(self, attempt: Attempt) -> None:
        if attempt.id in self.attempts:
            raise LedgerError(f"the attempt {attempt.id!r} was reserved before")

    def _count(self, attempt: Attempt, settlement: Settlement) -> None:
        if self._is_open(attempt):
            return
        names = scopes(self._runs[attempt.id], attempt.suite, attempt.at)
        self._hold(names, (settlement.cost or 0) - (attempt.worst_case or 0))

    def _hold(self, names: Sequence[str], change: int) -> None:
        for name in names:
            self._held[name] = self._held.get(name, 0) + change


def _mean(calls: Sequence[tuple[int, int, int, int, int]]) -> Usual:
    count, read, made, guessed, cost = (sum(column) for column in zip(*calls, strict=True))
    return Usual(
        count=count,
        input_tokens=read / count,
        output_tokens=made / count,
        guessed_tokens=guessed / count,
        cost=cost / count,
    )


def _ledger_day(day: str, cell: SpendCell, runs: int) -> LedgerDay:
    return LedgerDay(
        day=day,
        settled=cell.settled,
        possibly_paid=cell.possibly_paid,
        unpriced_calls=cell.unpriced,
        unmetered_calls=cell.unmetered,
        calls=cell.calls,
        runs=runs,
    )


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

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeReply:
    """What a :class:`FakeProvider` answers: a completion, an error, or a fault.

    Attributes:
        text: The message content.
        status: The HTTP status; from 400 on, ``text`` is the error's message.
        headers: Further headers.
        finish_reason: The provider's word for how the answer ended.
        usage: Input and output tokens; ``None`` leaves the usage out.
        body: Sent instead of a completion, as it is.
        after_seconds: The latency of this reply.
        reset: The connection is cut instead of answered.
    """

    text: str = "ok"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    usage: tuple[int, int] | None = (10, 5)
    body: bytes | None = None
    after_seconds: float = 0.0
    reset: bool = False

    def encoded(self, model: str) -> bytes:
        """The reply as it goes over the wire."""
        body = self._document(model) if self.body is None else self.body
        lines = {"content-type": "application/json"} | dict(self.headers)
        lines["content-length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {self.status} Fake\r\n{head}\r\n".encode("latin-1") + body

    def _document(self, model: str) -> bytes:
        if self.status >= 400:
            return json.dumps({"error": {"message": self.text, "type": "fake"}}).encode()
        document: dict[str, object] = {
            "id": "chatcmpl-fake",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": self.text},
                    "finish_reason": self.finish_reason,
                }
            ],
        }
        if self.usage is not None:
            sent, made = self.usage
            document["usage"] = {
                "prompt_tokens": sent,
                "completion_tokens": made,
                "total_tokens": sent + made,
            }
        return json.dumps(document).encode()


FakeBody: TypeAlias = dict[str, object]
FakeScript: TypeAlias = (
    str | FakeReply | Sequence[str | FakeReply] | Callable[[FakeBody], str | FakeReply]
)


class FakeProvider:
    """A real HTTP server in a thread of its own that speaks the OpenAI wire format.

    Args:
        script: What it answers: one reply for all; several, in turn, of which the last stays; or a
            function of the request's body. A text stands for a completion with that text.
        latency_seconds: How long every reply takes, besides its own ``after_seconds``.

    Attributes:
        calls: Requests by model.
        requests: The bodies of all requests, in order.
        most_in_flight: The most requests that were open at once.

    Example:
        >>> with FakeProvider("hello") as provider:
        ...     provider.base_url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self, script: FakeScript = "ok", *, latency_seconds: float = 0.0) -> None:
        self._script = script
        self._latency_seconds = latency_seconds
        self._ready = threading.Event()
        self._port = 0
        self._thread = threading.Thread(target=self._run, name="fake-provider", daemon=True)
        self.calls: Counter[str] = Counter()
        self.requests: list[FakeBody] = []
        self.in_flight = 0
        self.most_in_flight = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the fake provider did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    @property
    def base_url(self) -> str:
        """The ``base_url`` under which it is asked."""
        return f"http://127.0.0.1:{self._port}/v1"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=2**24)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r")[0]
                body = cast("FakeBody", json.loads(await reader.readexactly(int(length or 0))))
                await self._answer(body, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass  # the client left, the test ended, or what came is no request
        finally:
            writer.transport.abort()

    async def _answer(self, body: FakeBody, writer: asyncio.StreamWriter) -> None:
        model = str(body.get("model"))
        self.calls[model] += 1
        self.requests.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self._reply(body)
            wait = self._latency_seconds + reply.after_seconds
            if wait > 0:
                await asyncio.sleep(wait)
        finally:
            self.in_flight -= 1
        if reply.reset:
            writer.transport.abort()
            return
        writer.write(reply.encoded(model))
        await writer.drain()

    def _reply(self, body: FakeBody) -> FakeReply:
        script = self._script
        if callable(script):
            said = script(body)
        elif isinstance(script, str | FakeReply):
            said = script
        else:
            said = script[min(len(self.requests), len(script)) - 1]
        return FakeReply(text=said) if isinstance(said, str) else said
