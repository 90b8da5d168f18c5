"""A ledger on a server: exact beyond a float's digits, sent twice but counted once, never forgetful."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalrunner.adapters import ledger_redis
from evalrunner.adapters.ledger_redis import RedisLedger
from evalrunner.adapters.server_address import server_address
from evalrunner.engine.ports import Attempt, Settlement
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import Tier
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars
from tests.servers import Server, running

BEYOND_FLOATS = 2**53


def attempt(name: str, worst: int) -> Attempt:
    return Attempt(
        id=name,
        at=1e9,
        suite="s",
        case_id="c",
        check=None,
        role="subject",
        tier=Tier.PROXY,
        provider="p",
        model="m",
        endpoint="e",
        fingerprint=Fingerprint("0"),
        worst_case=Picodollars(worst),
        price_source=None,
    )


def settled(name: str, cost: int) -> Settlement:
    return Settlement(id=name, at=1e9, status="ok", cost=Picodollars(cost))


def opened(
    url: str, limit: int | None = None, *, run: str = "r", patience: float = 5.0
) -> RedisLedger:
    ceilings = Ceilings(run=None if limit is None else Picodollars(limit))
    return RedisLedger(
        server_address(url), namespace="n", run_id=run, ceilings=ceilings, patience_seconds=patience
    )


def test_a_ceiling_is_exact_where_floats_are_not(server: Server) -> None:
    ledger = opened(server.url, BEYOND_FLOATS + 1)
    assert ledger.reserve([attempt("a", BEYOND_FLOATS), attempt("b", 2), attempt("c", 1)]) == [
        True,
        False,
        True,
    ]
    ledger.settle([settled("a", BEYOND_FLOATS - 3)])
    assert ledger.reserve([attempt("d", 4), attempt("e", 3)]) == [False, True]
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (BEYOND_FLOATS - 3, 4)
    ledger.close()


@pytest.mark.parametrize("worst", [-1, 10**17, 2**63])
def test_an_amount_that_no_call_costs_reserves_nothing(server: Server, worst: int) -> None:
    ledger = opened(server.url)
    with pytest.raises(LedgerError, match="cannot cost"):
        ledger.reserve([attempt("a", 1), attempt("b", worst)])
    assert ledger.open_reservations("r") == 0
    ledger.close()


def test_sums_that_outgrow_the_server_are_an_error(server: Server) -> None:
    ledger = opened(server.url)
    with pytest.raises(LedgerError, match="outgrown"):
        ledger.reserve([attempt(str(n), 10**17 - 1) for n in range(100)])
    ledger.close()


def test_machines_share_a_ceiling(server: Server) -> None:
    first, second = opened(server.url, 15), opened(server.url, 15)
    assert first.reserve([attempt("a", 10)]) == [True]
    assert second.reserve([attempt("b", 10)]) == [False]
    second.settle([settled("a", 3)])
    assert second.reserve([attempt("b", 10)]) == [True]
    first.close()
    second.close()


def test_threads_of_many_machines_never_pass_it_together(server: Server) -> None:
    ledgers = [opened(server.url, 100) for _ in range(4)]

    def spend(number: int) -> int:
        return sum(ledgers[number % 4].reserve([attempt(f"{number}.{n}", 3) for n in range(10)]))

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(spend, range(12)))
    assert admitted == 33
    assert ledgers[0].open_reservations("r") == 99
    for ledger in ledgers:
        ledger.close()


def test_a_forked_child_shares_the_ceiling(server: Server) -> None:
    ledger = opened(server.url, 25)
    ledger.reserve([attempt("a", 10)])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if ledger.reserve([attempt("b", 10), attempt("c", 10)]) == [True, False] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.open_reservations("r") == 20
    ledger.close()


class Loser:
    """Stands before a server and loses the first reply to a script that ran, with its connection."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while asked := client.recv(2**20):
                server.sendall(asked)
                answer = server.recv(2**20)
                if b"EVAL" in asked and not self.lost:
                    self.lost += 1
                    return
                client.sendall(answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def loser(server: Server) -> Iterator[Loser]:
    loser = Loser(server.port)
    yield loser
    loser.close()


def test_what_is_sent_again_because_its_reply_was_lost_counts_once(
    server: Server, loser: Loser
) -> None:
    ledger = opened(loser.url, 10)
    assert ledger.reserve([attempt("a", 6), attempt("b", 6)]) == [True, False]
    assert loser.lost == 1
    assert ledger.open_reservations("r") == 6
    ledger.close()


def test_nothing_is_admitted_while_the_server_is_gone(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        ledger = opened(server.url, patience=0.3)
        server.kill()
        with pytest.raises(LedgerError, match="nobody listens") as gone:
            ledger.reserve([attempt("a", 1)])
        assert gone.value.hint
        with pytest.raises(LedgerError):
            opened(server.url, patience=0.3)
        server.restart()
        assert ledger.reserve([attempt("a", 1)]) == [True]
        ledger.close()


def test_a_call_waits_for_a_busy_server_for_longer_than_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_redis, "PATIENCE_SECONDS", 0.3)
    with running(tmp_path) as server:
        ledger = RedisLedger(server_address(server.url), namespace="n", run_id="r")
        server.pause()
        try:
            with pytest.raises(LedgerError, match="does not answer in time"):
                ledger.spent("r")
            resumed = threading.Timer(1.0, server.resume)
            resumed.start()
            assert ledger.reserve([attempt("a", 1)]) == [True]
            resumed.join()
        finally:
            server.resume()
        assert len(list(ledger.attempts("r"))) == 1
        ledger.close()


def test_a_server_that_forgets_what_it_is_told_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, maxmemory="64mb", maxmemory_policy="allkeys-lru") as server:
        with pytest.raises(LedgerError, match="allkeys-lru"):
            opened(server.url)
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        opened(server.url).close()


def test_a_server_that_is_full_is_an_error(tmp_path: Path) -> None:
    with running(tmp_path, maxmemory="1kb", maxmemory_policy="noeviction") as server:
        ledger = opened(server.url)
        with pytest.raises(LedgerError, match="OOM"):
            ledger.reserve([attempt("a", 1)])
        ledger.close()


def test_a_row_that_is_none_of_ours_is_an_error(server: Server) -> None:
    ledger = opened(server.url)
    ledger.reserve([attempt("a", 1)])
    key = "evalrunner:ledger:1:{n}:attempts"
    for planted in ("", "[]", '{"row": 5}', '{"row": {"id": 7}}', "\xff"):
        server.command("HSET", key, "a", planted)
        with pytest.raises(LedgerError):
            list(ledger.attempts("r"))
    ledger.close()


def test_no_message_holds_the_password() -> None:
    with pytest.raises(LedgerError) as refused:
        opened("redis://ci:secret@127.0.0.1:1", patience=0.2)
    assert "secret" not in str(refused.value)


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.command("CONFIG", "SET", "requirepass", "hush")
        with pytest.raises(LedgerError, match="NOAUTH"):
            opened(server.url)
        opened(server.url.replace("//", "//:hush@")).close()
