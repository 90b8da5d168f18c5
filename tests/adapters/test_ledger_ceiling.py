"""The ceiling holds under random schedules of processes that are killed at random moments.

What the provider was paid is written down by the provider, not by the ledger: one line for each call,
in a file that outlives the callers.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evalrunner.adapters.ledger_redis import RedisLedger
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.server_address import server_address
from tests.servers import Server

ROOT = Path(__file__).parents[2]
DEAREST = 1000

WORKER = """
import os, random, signal, sys
from pathlib import Path
from evalrunner.adapters.ledger_redis import RedisLedger
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.server_address import server_address
from evalrunner.engine.ports import Attempt, Settlement
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import Tier

place, bill, seed, number, cap, concurrency, deadly = *sys.argv[1:3], *map(int, sys.argv[3:])
rng = random.Random(seed * 1000 + number)
ceilings = Ceilings(run=cap)
if place.startswith("redis:"):
    url, _, namespace = place.partition("#")
    address = server_address(url)
    ledger = RedisLedger(
        address, namespace=namespace, run_id="r", ceilings=ceilings, patience_seconds=60)
else:
    ledger = SqliteLedger(Path(place), run_id="r", ceilings=ceilings, busy_seconds=60)
provider = os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def perhaps_die():
    if deadly and rng.random() < 0.02:
        os.kill(os.getpid(), signal.SIGKILL)

def attempt(count):
    return Attempt(id=f"r.{number}.{count}", at=1e9, suite="s", case_id="c", check=None, role="subject",
        tier=Tier.PROXY, provider="p", model="m", endpoint="e", fingerprint="0", price_source=None,
        worst_case=rng.randint(1, 1000))

count, flying, refused = 0, [], 0
while refused < 3 or flying:
    wanted = [attempt(count + n) for n in range(rng.randint(0, concurrency - len(flying)))]
    count += len(wanted)
    admitted = ledger.reserve(wanted)
    perhaps_die()
    refused = refused + 1 if wanted and not any(admitted) and not flying else 0
    for asked, fits in zip(wanted, admitted):
        if fits:
            cost = rng.randint(0, asked.worst_case)
            os.write(provider, f"{asked.id} {cost}\\n".encode())
            flying.append((asked.id, cost))
    perhaps_die()
    rng.shuffle(flying)
    ended, flying = flying[: max(1, len(flying) // 2)], flying[max(1, len(flying) // 2):]
    ledger.settle([Settlement(id=id, at=1e9, status="ok", cost=cost) for id, cost in ended])
    perhaps_die()
"""


def opened(place: str) -> SqliteLedger | RedisLedger:
    url, _, namespace = place.partition("#")
    if namespace:
        return RedisLedger(server_address(url), namespace=namespace, run_id="r")
    return SqliteLedger(Path(place), run_id="r")


def run_schedule(place: str, bill: Path, seed: int, *, most_processes: int) -> None:
    rng = random.Random(seed)
    cap = rng.choice((5_000, 50_000, 200_000))
    processes, deadly = rng.randint(1, most_processes), rng.randint(0, 1)
    widths = (1, 2, 8, 64, 256, rng.randint(1, 256))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, place, bill]
            + [
                str(n)
                for n in (
                    seed,
                    number,
                    cap,
                    rng.choice(widths),
                    deadly,
                )
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    ends = [(worker.communicate(timeout=100)[1], worker.returncode) for worker in workers]
    assert all(code in (0, -9) for _, code in ends), ends
    killed = any(code == -9 for _, code in ends)  # others may have given up on what these held

    paid = dict(line.split() for line in bill.read_text().splitlines())
    provider = sum(map(int, paid.values()))
    ledger = opened(place)
    spent, open_ = ledger.spent("r"), ledger.open_reservations("r")
    assert spent is not None
    assert open_ is not None
    accounts = list(ledger.attempts("r"))
    assert provider <= spent + open_ <= cap
    assert paid.keys() <= {account.attempt.id for account in accounts}
    assert spent == sum(int(paid[a.attempt.id]) for a in accounts if a.settlement)
    assert open_ == sum(a.attempt.worst_case or 0 for a in accounts if not a.settlement)
    assert killed or spent + open_ >= 0.95 * cap or cap - spent - open_ < DEAREST
    ledger.close()


@pytest.mark.kill
@pytest.mark.parametrize("kind", ["file", "server"])
def test_no_schedule_of_processes_and_kills_passes_the_ceiling(
    kind: str, tmp_path: Path, rounds: Callable[[int, int], int], server: Server
) -> None:
    for _ in range(rounds(6, 300)):
        seed = random.randrange(2**31)
        print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
        place = f"{server.url}#{seed}" if kind == "server" else str(tmp_path / f"{seed}.sqlite3")
        run_schedule(place, tmp_path / f"{seed}.bill", seed, most_processes=rounds(6, 16))
