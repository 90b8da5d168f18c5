"""A schedule of real processes, which are really killed, below a real provider."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from evalrunner.engine.ports import LedgerBook
from evalrunner.testing import FakeBody, FakeProvider, FakeReply
from tests.ceilings.books import (
    Bills,
    Figures,
    assert_all_used,
    held_by_scope,
    limits,
    reconcile,
)
from tests.ceilings.fleet import opened, real_schedule
from tests.ceilings.schedule import LATE_SECONDS, WIDE, Schedule, Served, served
from tests.guards import scrubbed

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 450
FIRST_CROWD = WIDE[0] * WIDE[1]
CROWD_SECONDS = 5.0  # the first requests of a wide schedule wait for each other


class Server:
    """What the provider does: it counts and bills each request when it comes, then answers."""

    def __init__(self, schedule: Schedule) -> None:
        self.bills = Bills()
        self.wrong: list[str] = []
        self._schedule = schedule
        self._rng = Random(schedule.seed)
        self._latency = self._rng.choice((0.0, 0.005, 0.05))

    def __call__(self, body: FakeBody) -> FakeReply:
        """Serves a request."""
        messages, most = body["messages"], body["max_tokens"]
        assert isinstance(messages, list)
        assert isinstance(most, int)
        found = served(self._schedule, self._rng, messages, most)
        self.bills.add(messages[0]["content"].split()[0], found.cost)
        for scope, limit in limits(self._schedule.ceilings, self.bills.by_scope):
            if self.bills.by_scope[scope] > limit:
                self.wrong.append(f"{scope} was passed")
        if self.bills.total > (self._schedule.ceilings.month or self.bills.total):
            self.wrong.append("the month's ceiling was passed")
        is_crowded = self._schedule.is_wide and self.bills.served <= FIRST_CROWD
        return _reply(found, CROWD_SECONDS if is_crowded else self._rng.random() * self._latency)


def _reply(found: Served, seconds: float) -> FakeReply:
    match found.fault:
        case "unavailable" | "busy":
            return FakeReply(status=503, after_seconds=seconds)
        case "limited":
            return FakeReply(status=429, headers={"retry-after": "0"}, after_seconds=seconds)
        case "rejected":
            return FakeReply(status=400, after_seconds=seconds)
        case "cut":
            return FakeReply(reset=True, after_seconds=seconds)
        case "garbled":
            return FakeReply(body=b"<html>", after_seconds=seconds)
        case "late":
            return FakeReply(after_seconds=LATE_SECONDS)
        case _:
            return FakeReply(body=_completion(found), after_seconds=seconds)


def _completion(found: Served) -> bytes:
    prompt, cached, completion = found.usage
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    choice = {"message": {"content": "ok"}, "finish_reason": "stop"}
    document: dict[str, object] = {"choices": [choice]}
    return json.dumps(document if found.fault else document | {"usage": usage}).encode()


class Fleet:
    """The program of :mod:`tests.ceilings.fleet`, for as long as a block runs."""

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.ceilings.fleet"],
            cwd=ROOT,
            env={**scrubbed(os.environ), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # a line that waits in a buffer is nothing that select() sees
        )
        assert self._said() == b"ready"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._program.communicate(timeout=PATIENCE_SECONDS)

    def start(self, job: dict[str, object]) -> list[int]:
        """Begins a schedule; the ids of its processes."""
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(job).encode() + b"\n")
        ids: list[int] = json.loads(self._said())
        return ids

    def has_ended(self, seconds: float) -> bool:
        """Whether all processes end within that time."""
        return bool(select.select([self._program.stdout], [], [], seconds)[0])

    def codes(self) -> list[int]:
        """The exit codes of all, once they have ended."""
        codes: list[int] = json.loads(self._said())
        return codes

    def _said(self) -> bytes:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


@dataclass(slots=True, kw_only=True)
class Doom:
    """When a process is killed: after so many requests of anybody, or so many seconds."""

    process: int
    requests: int | None
    seconds: float
    killed_at: float | None = None

    def is_due(self, bills: Bills, seconds: float) -> bool:
        """Whether it is time."""
        if self.killed_at is not None:
            return False
        return seconds >= self.seconds if self.requests is None else bills.served >= self.requests


def play(fleet: Fleet, place: str, seed: int, folder: Path, *, figures: Figures) -> None:
    """Plays a schedule to its end and holds the books against each other.

    Args:
        fleet: Forks its processes.
        place: Where its ledger is; see :func:`tests.ceilings.fleet.opened`.
        seed: Of the schedule.
        folder: For what the processes write down.
        figures: Where it is counted.
    """
    ends = folder / f"{seed}.ends"
    schedule = real_schedule(seed, None)
    server, dooms = Server(schedule), _dooms(schedule)
    with closing(opened(place, schedule, "reader")) as ledger:
        with FakeProvider(server) as provider:
            job = {
                "seed": seed,
                "place": place,
                "base_url": provider.base_url,
                "processes": len(schedule.members),
                "ends": str(ends),
            }
            ids = fleet.start(job)
            _let_live_and_die(fleet, ids, dooms, server, ledger, schedule, figures)
            codes = fleet.codes()
        # The provider has hung up: what the dead had sent is billed by now, and nothing comes after.
        assert set(codes) <= {0, -signal.SIGKILL}, codes
        assert not server.wrong, server.wrong[:5]
        reconcile(schedule, ledger, server.bills, figures)
        last = _last(ends, dooms, codes)
        if last is not None:
            held = held_by_scope(schedule, ledger)
            assert_all_used(schedule, held, schedule.members[last].run, figures)
    figures.count(
        server.bills,
        processes=len(codes),
        kills=codes.count(-signal.SIGKILL),
        most_in_flight=provider.most_in_flight,
    )


def _dooms(schedule: Schedule) -> list[Doom]:
    chance = Random(schedule.seed + 1)
    return [
        Doom(
            process=number,
            requests=member.dies_after if chance.random() < 0.7 else None,
            seconds=chance.random() * 0.6,
        )
        for number, member in enumerate(schedule.members)
        if member.dies_after is not None
    ]


def _let_live_and_die(
    fleet: Fleet,
    ids: list[int],
    dooms: list[Doom],
    server: Server,
    ledger: LedgerBook,
    schedule: Schedule,
    figures: Figures,
) -> None:
    """Kills whose time has come, and looks at the ledger now and then, until all have ended."""
    began = time.monotonic()
    look_at = 0.0
    while not fleet.has_ended(0.002):
        passed = time.monotonic() - began
        assert passed < PATIENCE_SECONDS, "the schedule does not end"
        for doom in dooms:
            if doom.is_due(server.bills, passed):
                with suppress(ProcessLookupError):  # all have ended since the last look
                    os.kill(ids[doom.process], signal.SIGKILL)
                    doom.killed_at = time.monotonic()
        if passed >= look_at:
            look_at = passed + 0.05
            _look(ledger, schedule, figures)


def _look(ledger: LedgerBook, schedule: Schedule, figures: Figures) -> None:
    """What is settled and reserved at this moment fits below the ceilings."""
    figures.looks += 1
    ceilings = schedule.ceilings
    for run in schedule.runs if ceilings.run is not None else ():
        open_, spent = ledger.open_reservations(run), ledger.spent(run)
        if (
            spent is not None and open_ is not None
        ):  # two looks: what was open may have been settled
            assert spent <= (ceilings.run or 0)
            assert open_ <= (ceilings.run or 0)
    if ceilings.month is not None:
        assert ledger.held_in_month(time.time()) <= ceilings.month


def _last(ends: Path, dooms: list[Doom], codes: list[int]) -> int | None:
    """The process that ended last, unless it was killed."""
    lines = ends.read_text().split("\n") if ends.exists() else []
    ended = {int(line.split()[0]): float(line.split()[1]) for line in lines if line}
    killed = {doom.process: doom.killed_at or 0.0 for doom in dooms if codes[doom.process] == -9}
    both = {**ended, **killed}
    last = max(both, key=lambda number: both[number])
    return None if last in killed else last
