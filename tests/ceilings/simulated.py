"""A schedule in one thread and in no time: the real executors and ledgers, a made-up provider and clock.

Each process of the schedule has an executor, its group commit and its handle on the ledger. One event loop
drives them all; its clock jumps to whatever is due next, so that seeds decide how they interleave. A
process is killed at a step of its own: before or after a transaction, before or after a request is sent,
before an answer is looked at. From then on nothing of it reaches the ledger or the provider, whatever its
``finally`` blocks do. What it sent is served all the same.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.commit import LedgerCommit, StoreCommit, StoreLookup
from evalrunner.engine.executor import Executor
from evalrunner.engine.lanes import Lane
from evalrunner.engine.pay_once import PayOnce
from evalrunner.engine.ports import Attempt, Ledger, LedgerBook, Settlement, WireReply
from evalrunner.engine.replay import StoreReader
from evalrunner.errors import (
    BudgetExceeded,
    CallTimeout,
    MalformedReply,
    ModelCallError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from evalrunner.testing import MemoryStore
from evalrunner.values.ceilings import scopes
from evalrunner.values.exchange import ModelRequest, ModelResponse, ModelText, Request, Usage
from evalrunner.values.fingerprint import fingerprint
from tests.ceilings.books import (
    Bills,
    Figures,
    assert_all_used,
    assert_full,
    limits,
    reconcile,
)
from tests.ceilings.schedule import LATE_SECONDS, Member, Questions, Schedule, Served, served
from tests.engine.test_replay import Book

MOST_CALLS = 20_000


class _DiedError(Exception):
    """The process is gone; whoever waits for it waits for ever."""


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop without threads whose clock jumps to what is due next.

    What is meant for a thread happens after a drawn delay, and is told after another one.
    """

    def __init__(self, rng: Random) -> None:
        self._at = 0.0
        self._rng = rng
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Seconds since it was made."""
        return self._at

    def advance(self, seconds: float) -> None:
        """Jumps."""
        self._at += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Does it later, in this thread."""
        future = self.create_future()
        self.call_later(self._rng.expovariate(100), self._perform, future, func, args)
        return future

    def _perform(self, future: asyncio.Future[Any], func: Callable[..., Any], args: Any) -> None:
        tell: Callable[[Any], None] = future.set_result
        try:
            found = func(*args)
        except _DiedError:
            return
        except Exception as error:  # noqa: BLE001  # told to whoever waits
            tell, found = future.set_exception, error
        self.call_later(self._rng.expovariate(200), _unless_done, future, tell, found)


def _unless_done(future: asyncio.Future[Any], tell: Callable[[Any], None], found: Any) -> None:
    if not future.done():
        tell(found)


class _Jumping(selectors.DefaultSelector):
    """Never waits: moves the clock instead."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is due")
        if timeout > 0:
            self._loop.advance(timeout)
        return super().select(0)


class LoopClock:
    """The loop's time, from the schedule's beginning on."""

    def __init__(self, loop: JumpingLoop, begins: float) -> None:
        self._loop = loop
        self._begins = begins

    def now(self) -> float:
        return self._begins + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Watch:
    """Adds up, beside the ledger, what is reserved and settled; looks at every step.

    Attributes:
        held: By scope.
        refused: The scopes of the calls that the last refusing transaction refused.
        wrong: What was seen that may not be.
    """

    def __init__(self, schedule: Schedule, ledger: LedgerBook, rng: Random) -> None:
        self._schedule = schedule
        self._ledger = ledger
        self._rng = rng
        self._open: dict[str, tuple[tuple[str, ...], int]] = {}
        self.held = Counter[str]()
        self.refused: set[tuple[str, ...]] = set()
        self.settled_last = False
        self.looks = 0
        self.wrong: list[str] = []
        self._known_limits: dict[tuple[str, ...], list[tuple[str, int]]] = {}

    def exchanged(
        self,
        run: str,
        settlements: Iterable[Settlement],
        attempts: Sequence[Attempt],
        admitted: Sequence[bool],
    ) -> None:
        """Looks at a transaction that was just made."""
        self.settled_last = False
        for end in settlements:
            names, worst = self._open.pop(end.id)
            if end.status != "possibly_paid" and not (end.status == "ok" and end.cost is None):
                cost = (end.cost or 0) if end.status == "ok" else 0
                self.held.update(dict.fromkeys(names, cost - worst))
                self.settled_last = True
        refused: set[tuple[str, ...]] = set()
        for attempt, fits in zip(attempts, admitted, strict=True):
            names = scopes(run, attempt.suite, attempt.at)
            worst = attempt.worst_case or 0
            room = all(self.held[scope] + worst <= limit for scope, limit in self._limits(names))
            if fits is not room:
                self.wrong.append(f"{attempt.id}: {'admitted' if fits else 'refused'} wrongly")
            if fits:
                self._open[attempt.id] = names, worst
                self.held.update(dict.fromkeys(names, worst))
            else:
                refused.add(names)
        if refused:
            self.refused = refused
            self.settled_last = False
        if self._rng.random() < 0.05:
            self._look(run)

    def _limits(self, names: tuple[str, ...]) -> list[tuple[str, int]]:
        if names not in self._known_limits:
            self._known_limits[names] = list(limits(self._schedule.ceilings, names))
        return self._known_limits[names]

    def _look(self, run: str) -> None:
        self.looks += 1
        spent, open_ = self._ledger.spent(run), self._ledger.open_reservations(run)
        if spent is not None and open_ is not None and spent + open_ != self.held[f"run/{run}"]:
            self.wrong.append(f"{run}: the ledger holds {spent} + {open_}, and was told otherwise")

    def billed(self, bills: Bills) -> None:
        """Looks at what the provider was paid so far."""
        month = self._schedule.ceilings.month
        if not self._schedule_crosses_months and month is not None and bills.total > month:
            self.wrong.append("the month's ceiling was passed")
        for scope, limit in limits(self._schedule.ceilings, bills.by_scope):
            if bills.by_scope[scope] > limit:
                self.wrong.append(f"{scope} was passed")

    @property
    def _schedule_crosses_months(self) -> bool:
        return self._schedule.begins % 86400 != 0


class MortalLedger:
    """A process's handle on the ledger, until the process dies."""

    def __init__(self, ledger: Ledger, process: Process) -> None:
        self._ledger = ledger
        self._process = process

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """One transaction; the process may die right before and right after it."""
        self._process.step()
        if self._process.dead:
            raise _DiedError
        ends = list(settlements)
        admitted = self._ledger.exchange(ends, attempts)
        self._process.watch.exchanged(self._process.member.run, ends, attempts, admitted)
        self._process.step()
        if self._process.dead:
            raise _DiedError
        return admitted


class Provider:
    """Serves what arrives, whether or not the sender is still alive, and bills it."""

    def __init__(self, schedule: Schedule, rng: Random, bills: Bills, watch: Watch) -> None:
        self._schedule = schedule
        self._rng = rng
        self._bills = bills
        self._watch = watch
        self._in_flight = self.most_in_flight = 0

    def send(self, request: ModelRequest) -> asyncio.Future[WireReply]:
        """Lets a request travel; the future is its reply, once it comes."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[WireReply] = loop.create_future()
        loop.call_later(self._rng.expovariate(50), self._arrive, request, answered)
        return answered

    def _arrive(self, request: ModelRequest, answered: asyncio.Future[WireReply]) -> None:
        messages = [{"content": str(message.content)} for message in request.messages]
        most = request.params["max_tokens"]
        assert isinstance(most, int)
        found = served(self._schedule, self._rng, messages, most)
        self._bills.add(request.case_id, found.cost)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        self._watch.billed(self._bills)
        wait = LATE_SECONDS if found.fault == "late" else self._rng.expovariate(2)
        asyncio.get_running_loop().call_later(wait, self._reply, answered, found)

    def _reply(self, answered: asyncio.Future[WireReply], found: Served) -> None:
        self._in_flight -= 1
        if not answered.done():
            _tell(answered, found)


def _tell(answered: asyncio.Future[WireReply], found: Served) -> None:
    error = _error(found.fault)
    if error is not None:
        answered.set_exception(error)
        return
    prompt, cached, completion = found.usage
    usage = Usage(input_tokens=prompt, output_tokens=completion, cached_input_tokens=cached)
    response = ModelResponse(
        text=ModelText("ok"),
        finish_reason="stop",
        usage=Usage() if found.fault == "silent" else usage,
    )
    answered.set_result(WireReply(response=response))


def _error(fault: str | None) -> ModelCallError | None:
    match fault:
        case "unavailable" | "busy":
            return ProviderUnavailable("503", status=503)
        case "limited":
            return RateLimited("429", status=429, retry_after_seconds=0.5)
        case "rejected":
            return RequestRejected("400", status=400)
        case "cut":
            return ProviderUnavailable("cut", possibly_paid=True)
        case "garbled":
            return MalformedReply("no JSON", possibly_paid=True)
        case _:
            return None


class Process:
    """One process: an executor that is asked for more and more, until no more fits or it is killed."""

    def __init__(
        self,
        number: int,
        member: Member,
        schedule: Schedule,
        *,
        ledger: Ledger,
        provider: Provider,
        watch: Watch,
        loop: JumpingLoop,
    ) -> None:
        self.member = member
        self.watch = watch
        self.dead = False
        self.ended_at = 0.0
        self._schedule = schedule
        self._provider = provider
        self._questions = Questions(schedule, number, most=MOST_CALLS)
        self._steps = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._money = LedgerCommit(MortalLedger(ledger, self))  # type: ignore[arg-type]
        clock = LoopClock(loop, schedule.begins)
        endpoint, accounts = schedule.endpoint, Accounts(Book(), {"m": schedule.endpoint})
        reader = StoreReader(MemoryStore(), accounts)
        self._executor = Executor(
            {"m": Lane(endpoint, self._ask, clock=clock, max_concurrency=member.width)},
            answers=StoreCommit(None),
            lookup=StoreLookup(reader),
            money=self._money,
            accounts=accounts,
            pay_once=PayOnce(None, reader, clock),
            clock=clock,
            run_id=f"{member.run}.{number}",
            max_concurrency=member.width,
            seed=schedule.seed,
        )

    def step(self) -> None:
        """Something happened; a process that is to die may die of it."""
        self._steps += 1
        if self._steps == self.member.dies_after:
            self.dead = True
            for task in (*self._tasks, self._money._writing):
                if task is not None:
                    task.cancel()

    async def live(self) -> None:
        """Asks in all suites, somewhat more at a time than may be in flight."""
        self._tasks += (
            asyncio.create_task(self._ask_for_ever()) for _ in range(self.member.width + 2)
        )
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ended_at = asyncio.get_running_loop().time()
        if not self.dead:
            await self._money.close()
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _ask_for_ever(self) -> None:
        suites = list(self._schedule.suites)
        while suites:
            request = self._questions.next(suites)
            try:
                await self._executor.answer(request, fingerprint(request))
            except BudgetExceeded:
                suites.remove(request.suite)
            except ModelCallError:
                continue

    async def _ask(self, request: Request, deadline: float) -> WireReply:
        assert isinstance(request, ModelRequest)
        self.step()
        if self.dead:
            raise asyncio.CancelledError
        answered = self._provider.send(request)
        try:
            async with asyncio.timeout(deadline):
                reply = await answered
        except TimeoutError:
            raise CallTimeout("too late", possibly_paid=True) from None
        self.step()
        return reply


def _assert_used(
    schedule: Schedule, processes: Sequence[Process], watch: Watch, figures: Figures
) -> None:
    """What the last transaction refused had no room, and has none now; see also :func:`assert_all_used`."""
    last = max(processes, key=lambda process: process.ended_at)
    if last.dead or schedule.begins % 86400:
        return
    if not watch.settled_last:
        for names in watch.refused:
            assert_full(schedule, watch.held, names, figures)
    assert_all_used(schedule, watch.held, last.member.run, figures)


def simulate(schedule: Schedule, opened: Callable[[str], LedgerBook], figures: Figures) -> None:
    """Plays a schedule to its end and holds the books against each other.

    Args:
        schedule: What happens.
        opened: A new handle on the schedule's ledger, for a run.
        figures: Where it is counted.
    """
    rng = Random(schedule.seed)
    loop = JumpingLoop(rng)
    bills, reader = Bills(), opened("reader")
    watch = Watch(schedule, reader, rng)
    provider = Provider(schedule, rng, bills, watch)
    handles = [opened(member.run) for member in schedule.members]
    processes = [
        Process(number, member, schedule, ledger=handle, provider=provider, watch=watch, loop=loop)
        for number, (member, handle) in enumerate(zip(schedule.members, handles, strict=True))
    ]

    async def main() -> None:
        await asyncio.gather(*(process.live() for process in processes))
        with suppress(asyncio.TimeoutError):  # what the dead have sent still arrives
            await asyncio.sleep(20)

    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())
        assert not watch.wrong, watch.wrong[:5]
        reconcile(schedule, reader, bills, figures)
        _assert_used(schedule, processes, watch, figures)
    finally:
        for handle in (*handles, reader):
            handle.close()
    figures.looks += watch.looks
    figures.count(
        bills,
        processes=len(processes),
        kills=sum(process.dead for process in processes),
        most_in_flight=provider.most_in_flight,
    )
