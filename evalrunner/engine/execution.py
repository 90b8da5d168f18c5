"""The paid part of a run: an event loop in which the executor drives what the store left open."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from types import FrameType
from typing import Final

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.commit import LedgerCommit, StoreCommit, StoreLookup
from evalrunner.engine.executor import Executor
from evalrunner.engine.lanes import Lane
from evalrunner.engine.pay_once import PayOnce
from evalrunner.engine.ports import CacheStore, Clock, Leases, Ledger, Progress
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import CaseResult

DRAIN_SECONDS: Final = 5.0
"""How long calls in flight may go on after the first signal: less than a CI runner waits to kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The lanes of a run, and what closes them."""

    lanes: Mapping[str, Lane]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What the paid part needs. ``crew`` and ``leases`` are called inside the loop and not before.

    ``store_waits`` says that the store may wait for a server, which no other call should wait for.
    ``private`` keeps what may not leave this machine; without it, such answers are kept with the others.
    """

    crew: Callable[[], Crew]
    leases: Callable[[], Leases | None]
    store: CacheStore | None
    ledger: Ledger
    reader: StoreReader
    accounts: Accounts
    clock: Clock
    run_id: str
    max_concurrency: int
    seed: int = 0
    progress: Progress | None = None
    private: CacheStore | None = None
    store_waits: bool = False


def execute(
    execution: Execution, cases: Sequence[OpenCase], done: Callable[[int, CaseResult], None]
) -> int | None:
    """Drives all cases to their ends and returns the signal that stopped it, if one did.

    After the first SIGINT or SIGTERM nothing more is sent, and calls in flight have
    :data:`DRAIN_SECONDS`; a second one ends at once. Cases that did not end are not reported to *done*.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_execute(execution, cases, done))


async def _execute(
    execution: Execution, cases: Sequence[OpenCase], done: Callable[[int, CaseResult], None]
) -> int | None:
    async with executing(execution) as executor:
        work = asyncio.ensure_future(executor.finish_all(cases, done))
        brake = _Brake(executor, work)
        with brake.on_signals():
            await asyncio.wait([work])
        if not work.cancelled():
            work.result()
    return brake.signal


@contextlib.asynccontextmanager
async def executing(execution: Execution) -> AsyncGenerator[Executor]:
    """The executor, for as long as the block runs; at its end everything is on record and closed."""
    crew = execution.crew()
    money = LedgerCommit(execution.ledger)
    pay_once = PayOnce(execution.leases(), execution.reader, execution.clock)
    private = StoreCommit(execution.private) if execution.private is not None else None
    answers = StoreCommit(execution.store, in_thread=execution.store_waits, private=private)
    try:
        yield Executor(
            crew.lanes,
            answers=answers,
            lookup=StoreLookup(execution.reader, in_thread=execution.store_waits),
            money=money,
            accounts=execution.accounts,
            pay_once=pay_once,
            clock=execution.clock,
            run_id=execution.run_id,
            max_concurrency=execution.max_concurrency,
            seed=execution.seed,
            progress=execution.progress,
        )
    finally:
        await pay_once.close()
        await crew.close()
        await money.close()


class _Brake:
    """Turns signals into an orderly stop."""

    def __init__(self, executor: Executor, work: asyncio.Future[None]) -> None:
        self._executor = executor
        self._work = work
        self.signal: int | None = None

    @contextlib.contextmanager
    def on_signals(self) -> Generator[None]:
        """Listens while the block runs. Outside the main thread nobody may, and nothing happens."""
        loop = asyncio.get_running_loop()
        previous = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):
                previous[number] = signal.signal(number, self._note)
                loop.add_signal_handler(number, self._pull, number)
        try:
            yield
        finally:
            for number, handler in previous.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        """Stands in for the handler while the loop sets its own."""
        self.signal = number

    def _pull(self, number: int) -> None:
        if self.signal is not None:
            self._work.cancel()
            return
        self.signal = number
        self._executor.stop()
        asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._work.cancel)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed; it has no Windows build."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
