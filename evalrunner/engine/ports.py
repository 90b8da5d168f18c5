"""What the engine needs from the outside, as protocols. Adapters satisfy them; nothing inherits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from typing import Protocol

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import (
    ModelRequest,
    ModelResponse,
    TargetRequest,
    Tier,
    Usage,
)
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.spec import Endpoint
from evalrunner.values.spend import SpendRead
from evalrunner.values.spending import SpendCell


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHints:
    """What a provider's headers say about its limits; ``None`` where they are silent."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    limit_requests: int | None = None
    limit_tokens: int | None = None
    reset_requests_seconds: float | None = None
    reset_tokens_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """One successful attempt: the answer, and what the headers said."""

    response: ModelResponse
    hints: RateHints = RateHints()


class ModelClient(Protocol):
    """Asks one endpoint. One call is one request on the wire: no retry, no redirect."""

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:
        """The answer, or the :class:`~evalrunner.errors.ModelCallError` that says what happened.

        It ends within ``deadline_seconds``, whatever the other side does.
        """
        ...

    async def aclose(self) -> None:
        """Closes connections and stops what was started. Never raises."""
        ...


class TargetClient(Protocol):
    """Asks one application under test."""

    async def answer(self, request: TargetRequest, deadline_seconds: float) -> ModelResponse:
        """The application's answer, or a :class:`~evalrunner.errors.ModelCallError`."""
        ...

    async def aclose(self) -> None:
        """Stops what was started. Never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store has seen since it was opened.

    Attributes:
        damaged: Entries that were turned away because they do not verify.
        untrusted: Intact ones that were turned away because no trusted key has signed them.
        writes: Entries stored.
        degraded: Why the store is of limited use, in one line; ``None`` while all is well.
        turned_away: The keys of entries that were turned away, each with ``damaged`` or ``untrusted``;
            a view, which shows those to come as well.
    """

    damaged: int = 0
    untrusted: int = 0
    writes: int = 0
    degraded: str | None = None
    turned_away: Mapping[Fingerprint, str] = field(default_factory=dict)


class CacheStore(Protocol):
    """Bytes by fingerprint. It may lose entries; it never invents or alters one.

    Values are whole bodies; the adapter wraps them in a verified envelope. What does not verify is a
    miss and is counted. No method raises for a damaged, locked or missing store once it is open.
    """

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that are stored, intact and (where asked) not older than that."""
        ...

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores all of them. When it returns, a kill of this process loses none of them."""
        ...

    def stats(self) -> StoreStats:
        """What was seen so far."""
        ...

    def close(self) -> None:
        """Releases files and connections. Never raises."""
        ...


class Leases(Protocol):
    """Which run pays for a request that several runs want answered: one of them at a time.

    A lease is held from before a request is sent until its answer is stored. It ends with its owner,
    however that dies. Who cannot have a lease looks into the store until the answer is there or the
    lease is free; it never waits here. Nothing here raises: where leases cannot be kept every run may
    pay, as if it were the only one.

    Attributes:
        tend_seconds: How often :meth:`tend` has to be called while leases are held.
    """

    tend_seconds: float

    @property
    def alone(self) -> bool:
        """Whether no other run can have paid for anything since this run read the store.

        Every key is then this run's without being taken; which ones it uses, :meth:`tend` is told.
        """
        ...

    async def take(self, keys: Sequence[Fingerprint]) -> AbstractSet[Fingerprint]:
        """Those of the keys that this run holds from now on."""
        ...

    def release(self, keys: Sequence[Fingerprint]) -> None:
        """Gives them back, at once or very soon."""
        ...

    async def tend(self, held: Sequence[Fingerprint]) -> None:
        """Keeps what is held alive, and lets in other runs that have come."""
        ...

    async def aclose(self) -> None:
        """Gives everything back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request about to be sent, as the ledger reserves it.

    ``id`` is unique for ever: run id, a number within the run, and the attempt's number.
    ``processing`` is how the provider handles it, where that has a price: ``standard``, ``batch``,
    ``flex`` or ``priority``.
    """

    id: str
    at: float
    suite: str
    case_id: str
    check: str | None
    role: str
    tier: Tier
    provider: str
    model: str
    endpoint: str
    fingerprint: Fingerprint
    worst_case: Picodollars | None
    price_source: str | None
    processing: str = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended.

    ``status`` is ``ok``, ``error`` (nothing was billed) or ``possibly_paid`` (nobody knows).
    ``calls`` is how many model calls an application made for its answer, where it says;
    ``metered`` is false for an application that does not say what its answer cost.
    ``guessed_tokens`` is how long its prompt had been expected to be, told from its size: the ledger
    learns from it how such prompts turn out, and does not keep it call by call.
    """

    id: str
    at: float
    status: str
    usage: Usage = Usage()
    cost: Picodollars | None = None
    served_model: str | None = None
    latency_seconds: float = 0.0
    error: str | None = None
    calls: int | None = None
    metered: bool = True
    guessed_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run's part in one suite, for the ledger's history: what it paid, avoided and expected.

    Attributes:
        calls: Requests that became a call.
        hits: Requests that the store answered: the calls that were avoided.
        incurred: What was paid; ``None`` is unknown, here as in all money.
        nominal: What would have been paid with an empty cache.
        expected: What the run expected to pay before it began; ``None`` where nobody estimated it.
        maximum: The most that it could have paid; ``None`` where nothing bounded it.
        correction: What the estimate had been multiplied with, in millionths; ``None`` where the run
            teaches nothing about estimates: it had no history to go by, or did not ask all it meant to.
        models: By endpoint, what it was asked: ``hits``, ``calls``, ``incurred``, ``nominal``.
        tags: Where the run came from: ``sha``, ``branch``, ``pr``, ``ci``, ``ci_run``, ``event``.
    """

    run_id: str
    at: float
    suite: str
    cases: int
    passed: int
    calls: int
    incurred: Picodollars | None
    nominal: Picodollars | None
    tags: Mapping[str, str]
    hits: int = 0
    expected: Picodollars | None = None
    maximum: Picodollars | None = None
    correction: int | None = None
    models: Mapping[str, Mapping[str, int | None]] = field(
        default_factory=dict[str, Mapping[str, "int | None"]]
    )


class Ledger(Protocol):
    """The account of what evals cost, shared by all processes of a project."""

    def reserve(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        """For each attempt in turn whether the ceiling leaves room for its worst case.

        Those with ``True`` are recorded, durably, before this returns. Without a ceiling all are.

        Raises:
            LedgerError: Nothing can be recorded, so nothing may be sent.
        """
        ...

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Replaces reservations by what happened, durably. Settling twice changes nothing."""
        ...

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """:meth:`settle` and then :meth:`reserve`, both or neither, in one transaction."""
        ...

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Appends a run's rows."""
        ...

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """What this run reserved and never settled, or settled as possibly paid."""
        ...

    def close(self) -> None:
        """Releases files and connections. Never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDay:
    """What evals cost on one UTC day. A call belongs to the day on which it was reserved.

    Attributes:
        day: ``YYYY-MM-DD``.
        settled: What is known to have been paid.
        possibly_paid: The worst case of what was reserved and never settled, or settled without
            anybody knowing what was billed: ``settled`` to ``settled + possibly_paid`` is the day's
            interval.
        unpriced_calls: Calls whose cost nobody knows. With one, neither end of the interval holds.
        unmetered_calls: Calls of applications that do not say what they cost: the lower end stays
            below what was paid.
        calls: Calls that were or may have been billed.
        runs: Runs that began on that day, those that paid nothing among them.
    """

    day: str
    settled: Picodollars
    possibly_paid: Picodollars
    unpriced_calls: int = 0
    unmetered_calls: int = 0
    calls: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the recent calls of one kind were like: means over ``count`` of them.

    Attributes:
        input_tokens: Of the prompt, as the provider counted; 0 where nothing is counted.
        output_tokens: The same of the answer.
        guessed_tokens: Of the prompt, as its size had suggested; 0 where nobody guessed.
        cost: What a call cost, in picodollars.
    """

    count: int
    input_tokens: float
    output_tokens: float
    guessed_tokens: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEstimate:
    """What a run of a suite expected to pay, and what it paid; see :class:`RunRow`."""

    run_id: str
    at: float
    expected: Picodollars
    maximum: Picodollars | None
    incurred: Picodollars
    correction: int | None = None


class LedgerHistory(Protocol):
    """What a ledger knows of the past. Every ledger tells it, over all processes and runs.

    A method raises :class:`~evalrunner.errors.LedgerError` where the ledger cannot be read.
    """

    def began(self) -> float | None:
        """When the first row of another run was written; ``None`` where the ledger begins with this."""
        ...

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        """The days from that of *since* to that of *until*, both among them, in order.

        Days on which nothing happened are left out.
        """
        ...

    def held_in_month(self, at: float) -> Picodollars:
        """What counts against the month's ceiling: settled, and reserved at its worst case."""
        ...

    def usual_usage(self) -> Mapping[tuple[str, str, str], Usual]:
        """By suite, endpoint and role, what recent calls were like that were answered.

        Calls count whose tokens were counted, or that nobody counts any of. Where there are too many
        to be recent, all kinds of a suite are forgotten alike.
        """
        ...

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        """The last runs of a suite that expected to pay something, the newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One attempt on record: whose run it was, and how it ended where it has."""

    run_id: str
    attempt: Attempt
    settlement: Settlement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run that paid came from, and when it first reserved anything."""

    run_id: str
    at: float
    tags: Mapping[str, str]


class LedgerRecords(Protocol):
    """The rows of a ledger, to list them, to add them up and to take in those of other ledgers.

    A span of time runs from *since* up to, and without, *until*. A method raises
    :class:`~evalrunner.errors.LedgerError` where the ledger cannot be read or written.
    """

    def entries(self, since: float, until: float) -> Iterator[LedgerEntry]:
        """The attempts that were reserved in that time, those of one run in their order."""
        ...

    def spending(self, since: float, until: float, by: Sequence[str]) -> Sequence[SpendCell]:
        """The same, added up by columns of :data:`~evalrunner.values.spending.COLUMNS`."""
        ...

    def runs(self, since: float, until: float) -> Sequence[RunRow]:
        """The rows of the runs that began in that time."""
        ...

    def origins(self) -> Sequence[Origin]:
        """Where each run that paid came from."""
        ...

    def add(
        self,
        entries: Iterable[LedgerEntry],
        runs: Iterable[RunRow],
        origins: Iterable[Origin],
    ) -> int:
        """Takes in rows of another ledger; what is on record already stays as it is.

        An attempt that is open here and has ended there ends here too. Nothing is refused for a
        ceiling: it has been spent.

        Returns:
            How many attempts, ends and rows of runs were new.
        """
        ...


class LedgerBook(Ledger, LedgerHistory, LedgerRecords, Protocol):
    """A ledger, its history and its rows: what every ledger adapter is."""


class PriceBook(Protocol):
    """Knows what models cost."""

    def resolve(self, endpoint: Endpoint) -> Price | None:
        """The price of an endpoint, or ``None`` where nobody knows it."""
        ...


class SpendSource(Protocol):
    """Knows what production cost."""

    def fetch(self, since: str, until: str) -> SpendRead:
        """What it says about the days from *since* to *until*, both among them.

        It ends within a bounded time, and says all it knows or nothing: a page that does not come is
        an error, never a smaller sum.

        Raises:
            SpendError: It does not answer, or not understandably.
            ConfigError: It cannot be asked like this: a file is not there, a currency has no rate.
        """
        ...


class Clock(Protocol):
    """Time, passed in so that tests own it."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class Progress(Protocol):
    """Is told what happens, for a live display. Never raises."""

    def case_done(self, outcome: str) -> None:
        """A case ended."""
        ...

    def call_done(self, cost: Picodollars | None) -> None:
        """A call was paid."""
        ...
