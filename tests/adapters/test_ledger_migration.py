"""A ledger of version 1 is brought up in place: no row is lost, and its past can be told."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from evalrunner.adapters.ledger_migration import REBUILD_SUMS
from evalrunner.adapters.ledger_schema import append_run
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.engine.ports import Attempt, Settlement, Usual
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars

VERSION_1 = """
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, at REAL NOT NULL,
    suite TEXT NOT NULL, case_id TEXT NOT NULL, checked TEXT, role TEXT NOT NULL,
    tier TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
    fingerprint TEXT NOT NULL, worst_case INTEGER, price_source TEXT);
CREATE TABLE settlements (
    number INTEGER PRIMARY KEY REFERENCES attempts, at REAL NOT NULL, status TEXT NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    cost INTEGER, served_model TEXT, latency_seconds REAL NOT NULL, error TEXT);
CREATE TABLE sums (
    scope TEXT PRIMARY KEY, held INTEGER NOT NULL, spent INTEGER NOT NULL,
    open_unknown INTEGER NOT NULL, spent_unknown INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, at REAL NOT NULL, suite TEXT NOT NULL,
    cases INTEGER NOT NULL, passed INTEGER NOT NULL, calls INTEGER NOT NULL, incurred INTEGER,
    nominal INTEGER, tags TEXT NOT NULL, UNIQUE (run_id, suite));
INSERT INTO attempts VALUES
    (1, 'r/1/1', 'r', 86399.9999, 's', 's/1', NULL, 'subject', 'proxy', 'p', 'm', 'e', '0', 10, NULL),
    (2, 'r/2/1', 'r', 86400.0, 's', 's/2', 'is-json', 'judge', 'frontier', 'p', 'm', 'e', '0', 20, 'x'),
    (3, 'r/3/1', 'r', 86400.5, 's', 's/3', NULL, 'subject', 'target', 'python', 'a', 'a', '0', 0, NULL),
    (4, 'q/1/1', 'q', 86400.6, 's', 's/1', NULL, 'subject', 'proxy', 'p', 'm', 'e', '0', NULL, NULL);
INSERT INTO settlements VALUES
    (1, 86400.0, 'ok', 30, 4, 0, 0, 0, 7, 'm', 0.5, NULL),
    (3, 86401.0, 'ok', NULL, NULL, 0, 0, 0, 0, NULL, 0.5, NULL);
INSERT INTO sums VALUES ('run/r', 27, 7, 0, 0), ('suite/r/s', 27, 7, 0, 0), ('month/1970-01', 27, 7, 1, 0),
    ('run/q', 0, 0, 1, 0), ('suite/q/s', 0, 0, 1, 0);
INSERT INTO runs VALUES (1, 'r', 86399.0, 's', 3, 2, 3, 7, 9, '{}');
PRAGMA application_id = 1163285100;
PRAGMA user_version = 1;
"""
OLD = (
    "number, id, run_id, at, suite, case_id, worst_case",
    "number, status, cost",
    "run_id, incurred",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    connection.close()
    path.chmod(0o600)
    return path


def rows(path: Path) -> list[list[tuple[object, ...]]]:
    tables = zip(OLD, ("attempts", "settlements", "runs"), strict=True)
    with sqlite3.connect(path) as connection:
        found = [
            connection.execute(f"SELECT {names} FROM {table}").fetchall() for names, table in tables
        ]
    connection.close()
    return found


def test_every_row_stays_and_the_sums_say_the_same(path: Path) -> None:
    before = rows(path)
    ledger = SqliteLedger(path, run_id="new")
    assert rows(path) == before
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (7, 20)
    assert ledger.open_reservations("q") is None
    assert ledger.held_in_month(86400.0) == 27


def test_the_past_of_an_old_ledger_can_be_told(path: Path) -> None:
    ledger = SqliteLedger(path, run_id="new")
    first, second = ledger.days(0, 1e6)
    assert (first.day, first.settled, first.calls, first.runs) == ("1970-01-01", 7, 1, 1)
    assert (second.day, second.possibly_paid, second.unpriced_calls) == ("1970-01-02", 20, 1)
    assert (second.unmetered_calls, second.calls, second.runs) == (1, 3, 1)
    assert ledger.began() == 86399.0
    assert ledger.usual_usage() == {
        ("s", "e", "subject"): Usual(
            count=1, input_tokens=30, output_tokens=4, guessed_tokens=30, cost=7
        )
    }


def test_an_old_ledger_goes_on(path: Path) -> None:
    ledger = SqliteLedger(path, run_id="new")
    ledger.settle([Settlement(id="r/2/1", at=86402.0, status="ok", cost=Picodollars(5))])
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (12, 0)
    assert [account.attempt.processing for account in ledger.attempts("r")] == ["standard"] * 3
    ledger.close()
    SqliteLedger(path, run_id="new").close()


def test_a_run_that_paid_nothing_is_appended_to_a_ledger_of_this_version_alone(path: Path) -> None:
    row = ["s", 3, 3, 0, 0, 9, 3, 0, 0, '{"e": {"hits": 3}}', None]
    with pytest.raises(OSError, match="not a ledger of this version"):
        append_run(str(path), "late", 90000.0, '{"pr": "7"}', [row])
    ledger = SqliteLedger(path, run_id="new")
    append_run(str(path), "late", 90000.0, '{"pr": "7"}', [row])
    assert [day.runs for day in ledger.days(0, 1e6)] == [1, 2]


def test_sums_made_again_from_the_rows_are_the_running_sums(
    tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    for seed in range(rounds(5, 200)):
        path = tmp_path / f"{seed}.sqlite3"
        ledger = SqliteLedger(path, run_id="r")
        shuffle(ledger, random.Random(seed))
        with sqlite3.connect(path) as connection:
            running = connection.execute("SELECT * FROM sums ORDER BY 1").fetchall()
            for statement in REBUILD_SUMS:
                connection.execute(statement)
            assert connection.execute("SELECT * FROM sums ORDER BY 1").fetchall() == running, seed
        connection.close()
        ledger.close()


def shuffle(ledger: SqliteLedger, rng: random.Random) -> None:
    """Forty attempts of every kind, some of them settled in every way."""
    attempts = [
        Attempt(
            id=f"r/{number}",
            at=rng.choice((86399.9999, 86400.0, 2.7e6)),
            suite=rng.choice("st"),
            case_id="c",
            check=None,
            role="subject",
            tier=Tier.PROXY,
            provider="p",
            model="m",
            endpoint="e",
            fingerprint=Fingerprint("0"),
            worst_case=rng.choice((None, Picodollars(rng.randint(0, 50)))),
            price_source=None,
        )
        for number in range(40)
    ]
    ledger.reserve(attempts)
    for attempt in rng.sample(attempts, 30):
        ledger.settle(
            [
                Settlement(
                    id=attempt.id,
                    at=1.0,
                    status=rng.choice(("ok", "error", "possibly_paid")),
                    usage=Usage(input_tokens=1, output_tokens=1),
                    cost=rng.choice((None, Picodollars(rng.randint(0, 60)))),
                    metered=rng.random() < 0.7,
                )
            ]
        )
