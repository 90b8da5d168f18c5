"""A program: forks the processes of one schedule after another, from one that has imported everything.

It reads a line of JSON for each schedule, writes the ids of its processes, and when all have ended, their
exit codes. Until then it reaps none of them, so that whoever kills by id never hits a stranger.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from evalrunner.adapters.clock import SystemClock
from evalrunner.adapters.ledger_redis import RedisLedger
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.models_direct import DirectClient
from evalrunner.adapters.server_address import server_address
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.commit import LedgerCommit, StoreCommit, StoreLookup
from evalrunner.engine.execution import loop_factory
from evalrunner.engine.executor import Executor
from evalrunner.engine.lanes import Lane
from evalrunner.engine.limits import RetryPolicy
from evalrunner.engine.pay_once import PayOnce
from evalrunner.engine.ports import LedgerBook
from evalrunner.engine.replay import StoreReader
from evalrunner.errors import BudgetExceeded, ModelCallError
from evalrunner.testing import MemoryStore
from evalrunner.values.fingerprint import fingerprint
from tests.ceilings.schedule import Questions, Schedule, drawn
from tests.engine.test_replay import Book

LONGEST_LIFE_SECONDS = 400
MOST_CALLS = 50_000


def real_schedule(seed: int, base_url: str | None) -> Schedule:
    """The schedule of a seed, for real processes and the real time."""
    return drawn(seed, most_calls=600, begins=time.time(), base_url=base_url)


def opened(place: str, schedule: Schedule, run: str) -> LedgerBook:
    """A handle on the ledger at a place: a path, or a server's address and a namespace."""
    url, _, namespace = place.partition("#")
    if namespace:
        return RedisLedger(
            server_address(url), namespace=namespace, run_id=run, ceilings=schedule.ceilings
        )
    return SqliteLedger(Path(place), run_id=run, ceilings=schedule.ceilings)


class Worker:
    """One process: the executor, the group commit, the client and the ledger that a run has."""

    def __init__(self, number: int, schedule: Schedule, place: str) -> None:
        self._number = number
        self._schedule = schedule
        self._member = schedule.members[number]
        self._questions = Questions(schedule, number, most=MOST_CALLS)
        self._ledger = opened(place, schedule, self._member.run)

    async def live(self) -> None:
        """Asks for more and more until no more fits."""
        client = DirectClient(self._schedule.endpoint)
        money = LedgerCommit(self._ledger)
        executor = self._executor(client, money)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._member.width + 2):
                group.create_task(self._ask_for_ever(executor, money))
        await money.close()
        await client.aclose()
        self._ledger.close()

    def _executor(self, client: DirectClient, money: LedgerCommit) -> Executor:
        endpoint, clock, width = self._schedule.endpoint, SystemClock(), self._member.width
        accounts = Accounts(Book(), {"m": endpoint})
        reader = StoreReader(MemoryStore(), accounts)
        lane = Lane(endpoint, client.complete, clock=clock, max_concurrency=width)  # type: ignore[arg-type]
        return Executor(
            {"m": lane},
            answers=StoreCommit(None),
            lookup=StoreLookup(reader),
            money=money,
            accounts=accounts,
            pay_once=PayOnce(None, reader, clock),
            clock=clock,
            run_id=f"{self._member.run}.{self._number}",
            max_concurrency=width,
            retry=RetryPolicy(base_seconds=0.02, cap_seconds=0.1),
            seed=self._schedule.seed,
        )

    async def _ask_for_ever(self, executor: Executor, money: LedgerCommit) -> None:
        suites = list(self._schedule.suites)
        while suites:
            request = self._questions.next(suites)
            try:
                await executor.answer(request, fingerprint(request))
            except BudgetExceeded:
                suites.remove(request.suite)
            except ModelCallError:
                if money._broken is not None:
                    raise


def live(number: int, job: dict[str, Any]) -> None:
    """The life of a forked process; it writes down when it comes to its end."""
    signal.alarm(LONGEST_LIFE_SECONDS)
    schedule = real_schedule(job["seed"], job["base_url"])
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(Worker(number, schedule, job["place"]).live())
    with open(job["ends"], "a") as ends:
        ends.write(f"{number} {time.monotonic()}\n")


def fork(number: int, job: dict[str, Any]) -> int:
    """Begins the life of a process."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        live(number, job)
        code = 0
    except BaseException:  # noqa: BLE001  # it must not go on as a copy of its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Schedule after schedule, until no more comes."""
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        job = json.loads(line)
        children = [fork(number, job) for number in range(job["processes"])]
        print(json.dumps(children), flush=True)  # noqa: T201
        for child in children:
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
