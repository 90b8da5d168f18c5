"""The promises of every ledger, over each of them; then those of the file."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters import ledger_past
from evalrunner.adapters.ledger_redis import RedisLedger
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.server_address import server_address
from evalrunner.adapters.sqlite_file import BUSY_SECONDS
from evalrunner.engine.ports import (
    Attempt,
    LedgerDay,
    LedgerEntry,
    Origin,
    RunRow,
    Settlement,
    Usual,
)
from evalrunner.errors import LedgerError
from evalrunner.testing import MemoryLedger
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars
from evalrunner.values.spending import COLUMNS
from tests.servers import Server

Book: TypeAlias = MemoryLedger | SqliteLedger | RedisLedger
Opener: TypeAlias = Callable[[Ceilings], Book]
MONTH = 30.4 * 86400
TAGS = {"sha": "12ab", "pr": "7"}


@pytest.fixture(params=["memory", "sqlite", "server"])
def ledger_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    def chosen(ceilings: Ceilings) -> Book:
        if request.param == "memory":
            return MemoryLedger(run_id="r", ceilings=ceilings, tags=TAGS)
        if request.param == "sqlite":
            path = tmp_path / "ledger.sqlite3"
            return SqliteLedger(path, run_id="r", ceilings=ceilings, tags=TAGS)
        return on_server(request.getfixturevalue("server"), ceilings)

    def opened(ceilings: Ceilings) -> Book:
        books.append(chosen(ceilings))
        return books[-1]

    books: list[Book] = []
    yield opened
    for book in books:
        book.close()


def on_server(
    server: Server, ceilings: Ceilings, *, namespace: str = "n", run: str = "r"
) -> RedisLedger:
    address = server_address(server.url)
    return RedisLedger(address, namespace=namespace, run_id=run, ceilings=ceilings, tags=TAGS)


def attempt(
    number: int, worst: int | None = 10, *, suite: str = "s", at: float = 1e9, run: str = "r"
) -> Attempt:
    return Attempt(
        id=f"{run}.{number}.1",
        at=at,
        suite=suite,
        case_id=f"{suite}/{number}",
        check=None,
        role="subject",
        tier=Tier.PROXY,
        provider="openai",
        model="m",
        endpoint="small",
        fingerprint=Fingerprint("ab" * 32),
        worst_case=None if worst is None else Picodollars(worst),
        price_source="override",
    )


def settled(number: int, cost: int | None = 4, status: str = "ok", run: str = "r") -> Settlement:
    amount = None if cost is None else Picodollars(cost)
    usage = Usage(input_tokens=3, output_tokens=2, cached_input_tokens=1)
    return Settlement(id=f"{run}.{number}.1", at=1e9, status=status, usage=usage, cost=amount)


def limited(limit: int) -> Ceilings:
    return Ceilings(run=Picodollars(limit))


# ---------------------------------------------------------------- every ledger


def test_without_a_ceiling_every_attempt_is_admitted(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    assert list(ledger.reserve([attempt(1), attempt(2, 10**15), attempt(3, None)])) == [True] * 3
    assert list(ledger.reserve([])) == []


def test_a_batch_is_admitted_in_turn_until_it_fits_no_more(ledger_with: Opener) -> None:
    ledger = ledger_with(limited(25))
    assert list(ledger.reserve([attempt(1), attempt(2), attempt(3), attempt(4, 5)])) == [
        True,
        True,
        False,
        True,
    ]
    assert ledger.open_reservations("r") == 25
    assert list(ledger.reserve([attempt(5, 0), attempt(6, 1)])) == [True, False]


def test_an_unpriced_attempt_is_refused_where_anything_is_limited(ledger_with: Opener) -> None:
    assert list(ledger_with(limited(10**18)).reserve([attempt(1, None)])) == [False]


def test_settling_gives_back_what_was_not_spent(ledger_with: Opener) -> None:
    ledger = ledger_with(limited(10))
    assert list(ledger.reserve([attempt(1), attempt(2, 6)])) == [True, False]
    ledger.settle([settled(1, cost=4)])
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (4, 0)
    assert list(ledger.reserve([attempt(2, 7), attempt(3, 6)])) == [False, True]


def test_settling_twice_changes_nothing(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1)])
    ledger.settle([settled(1, cost=4), settled(1, cost=9)])
    ledger.settle([settled(1, cost=0, status="error")])
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (4, 0)


@pytest.mark.parametrize(
    ("status", "cost", "spent", "open_", "room"),
    [
        ("ok", 4, 4, 0, 6),
        ("ok", 12, 12, 0, -2),  # the provider counted more than the worst case
        ("ok", None, None, 10, 0),
        ("error", None, 0, 0, 10),
        ("possibly_paid", None, 0, 10, 0),
    ],
)
def test_each_end_counts_for_what_it_may_have_cost(
    ledger_with: Opener, status: str, cost: int | None, spent: int | None, open_: int, room: int
) -> None:
    ledger = ledger_with(limited(10))
    ledger.reserve([attempt(1)])
    ledger.settle([settled(1, cost=cost, status=status)])
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (spent, open_)
    assert list(ledger.reserve([attempt(2, max(room + 1, 0))])) == [False]
    assert list(ledger.reserve([attempt(3, max(room, 0))])) == [room >= 0]


def test_an_open_call_of_unknown_price_makes_the_sum_unknown(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1, None), attempt(2)])
    assert ledger.open_reservations("r") is None
    ledger.settle([settled(1, cost=None)])
    assert ledger.open_reservations("r") == 10
    assert ledger.spent("r") is None


def test_suites_have_ceilings_of_their_own(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings(suites={"small": Picodollars(10)}, run=Picodollars(100)))
    batch = [attempt(1, suite="small"), attempt(2, suite="small"), attempt(3, 90, suite="big")]
    assert list(ledger.reserve(batch)) == [True, False, True]


def test_months_have_ceilings_of_their_own(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings(month=Picodollars(10)))
    batch = [attempt(1), attempt(2), attempt(3, at=1e9 + MONTH)]
    assert list(ledger.reserve(batch)) == [True, False, True]


def test_what_was_never_reserved_cannot_be_settled(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1)])
    with pytest.raises(LedgerError, match="never reserved"):
        ledger.settle([settled(1), settled(2)])
    assert ledger.spent("r") == 0


def test_an_id_is_used_once(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1)])
    with pytest.raises(LedgerError):
        ledger.reserve([attempt(1)])
    assert ledger.open_reservations("r") == 10


def test_a_run_that_is_not_known_spent_nothing(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    assert (ledger.spent("x"), ledger.open_reservations("x")) == (0, 0)


def test_an_exchange_reserves_from_what_it_settles(ledger_with: Opener) -> None:
    ledger = ledger_with(limited(12))
    assert list(ledger.exchange([], [attempt(1), attempt(2)])) == [True, False]
    assert list(ledger.exchange([settled(1, cost=2)], [attempt(2)])) == [True]
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (2, 10)
    assert list(ledger.exchange([], [])) == []


def test_an_exchange_is_made_whole_or_not_at_all(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1)])
    with pytest.raises(LedgerError):
        ledger.exchange([settled(1), settled(7)], [attempt(2)])
    with pytest.raises(LedgerError):
        ledger.exchange([settled(1)], [attempt(1)])
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (0, 10)
    assert list(ledger.exchange([settled(1)], [attempt(2)])) == [True]
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (4, 10)


def run(suite: str = "s", *, id_: str = "old", at: float = 1e9, **figures: Any) -> RunRow:
    row = RunRow(
        run_id=id_,
        at=at,
        suite=suite,
        cases=3,
        passed=2,
        calls=3,
        incurred=Picodollars(5),
        nominal=Picodollars(9),
        tags={"sha": "abc"},
    )
    return replace(row, **figures)


def test_an_empty_ledger_has_no_past(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    assert ledger.began() is None
    assert list(ledger.days(0, 2e9)) == []
    assert ledger.held_in_month(1e9) == 0
    assert dict(ledger.usual_usage()) == {}
    assert list(ledger.past_estimates("s", 5)) == []


def test_a_ledger_that_holds_this_run_alone_has_not_begun(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1)])
    ledger.record_run([run(id_="r")])
    assert ledger.began() is None
    ledger.record_run([run(at=1e9 - 5), run(at=1e9 - 9, id_="older")])
    assert ledger.began() == 1e9 - 9


def test_a_day_tells_what_is_settled_open_and_unknown(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    numbers = (attempt(n) for n in range(1, 7))
    ledger.reserve([*numbers, attempt(7, None), attempt(8, 0), attempt(9, 7, at=1e9 + 86400)])
    ledger.settle([settled(1), settled(2, cost=3), settled(3, cost=None, status="possibly_paid")])
    ledger.settle([settled(4, cost=None), settled(5, cost=0, status="error")])
    ledger.settle([replace(settled(8, cost=0), metered=False)])
    ledger.record_run([run(), run("t"), run(id_="other", at=1e9 + 86400)])
    first, second = ledger.days(1e9, 1e9 + 86400)
    assert first == LedgerDay(
        day="2001-09-09",
        settled=Picodollars(7),
        possibly_paid=Picodollars(30),
        unpriced_calls=2,
        unmetered_calls=1,
        calls=7,
        runs=2,
    )
    assert (second.day, second.settled, second.possibly_paid, second.runs) == (
        "2001-09-10",
        0,
        7,
        1,
    )
    assert list(ledger.days(1e9 + 86400, 1e9 + 86400)) == [second]
    assert list(ledger.days(0, 1e9)) == [first]
    assert ledger.held_in_month(1e9) == 44


def test_usual_lengths_are_means_of_what_was_counted(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(n) for n in range(4)] + [attempt(9, suite="t")])
    for number, usage in enumerate(
        [
            Usage(input_tokens=10, output_tokens=4),
            Usage(input_tokens=20, output_tokens=5),
            Usage(input_tokens=2**70, output_tokens=5),
            Usage(output_tokens=5),
        ]
    ):
        ledger.settle([replace(settled(number), usage=usage, guessed_tokens=12 + number)])
    ledger.settle([settled(9, status="possibly_paid", cost=None)])
    assert dict(ledger.usual_usage()) == {
        ("s", "small", "subject"): Usual(
            count=2, input_tokens=15, output_tokens=4.5, guessed_tokens=12.5, cost=4
        )
    }


def test_what_nobody_counts_the_tokens_of_is_usual_all_the_same(ledger_with: Opener) -> None:
    """An application that tells its cost alone."""
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1), attempt(2)])
    ledger.settle([replace(settled(1), usage=Usage()), replace(settled(2, cost=6), usage=Usage())])
    assert dict(ledger.usual_usage()) == {
        ("s", "small", "subject"): Usual(count=2, input_tokens=0, output_tokens=0, cost=5)
    }


def test_all_kinds_of_a_suite_are_forgotten_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How often one follows another is told from their counts."""
    monkeypatch.setattr(
        "evalrunner.adapters.ledger_past._FORGET", ledger_past._FORGET.replace("4000", "4")
    )
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", run_id="r")
    attempts = [replace(attempt(n), role="judge" if n % 2 else "subject") for n in range(12)]
    ledger.reserve([*attempts, attempt(99, suite="t")])
    ledger.settle([settled(99)])
    ledger.settle([settled(n) for n in range(12)])
    counts = {kind: usual.count for kind, usual in ledger.usual_usage().items()}
    assert counts == {
        ("s", "small", "subject"): 3,
        ("s", "small", "judge"): 3,
        ("t", "small", "subject"): 1,
    }


def test_past_estimates_are_those_of_runs_that_expected_to_pay(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    known = {"expected": Picodollars(6), "maximum": Picodollars(8)}
    ledger.record_run([run(id_="a", at=1.0, **known), run(id_="c", at=3.0, **known)])
    ledger.record_run([run(id_="b", at=2.0, **known), run("t", id_="b", at=2.0, **known)])
    ledger.record_run([run(id_="d", expected=Picodollars(0)), run(id_="e"), run("t", id_="e")])
    ledger.record_run([run(id_="f", incurred=None, **known)])
    past = ledger.past_estimates("s", 2)
    assert [(one.run_id, one.expected, one.maximum, one.incurred) for one in past] == [
        ("c", 6, 8, 5),
        ("b", 6, 8, 5),
    ]


@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.none() | st.integers(0, 40), max_size=6),
            st.sampled_from(["ok", "error", "possibly_paid"]),
            st.none() | st.integers(0, 50),
        ),
        max_size=8,
    ),
    limit=st.none() | st.integers(0, 120),
)
def test_all_ledgers_agree_on_every_schedule(
    steps: list[tuple[list[int | None], str, int | None]],
    limit: int | None,
    tmp_path_factory: pytest.TempPathFactory,
    shared_server: Server,
) -> None:
    ceilings = Ceilings(run=None if limit is None else Picodollars(limit))
    folder = tmp_path_factory.mktemp("ledger")
    memory = MemoryLedger(run_id="r", ceilings=ceilings)
    others = [
        SqliteLedger(folder / "ledger.sqlite3", run_id="r", ceilings=ceilings),
        on_server(shared_server, ceilings, namespace=folder.name),
    ]
    number = 0
    for worsts, status, cost in steps:
        batch = [attempt(number + offset, worst) for offset, worst in enumerate(worsts)]
        number += len(batch)
        admitted = list(memory.reserve(batch))
        ended = [a for a, fits in zip(batch, admitted, strict=True) if fits][::2]
        paid = cost if status == "ok" else None
        ends = [settled(int(a.id.split(".")[1]), cost=paid, status=status) for a in ended]
        memory.settle(ends)
        for other in others:
            assert admitted == list(other.reserve(batch))
            other.settle(ends)
            assert memory.spent("r") == other.spent("r")
            assert memory.open_reservations("r") == other.open_reservations("r")
            assert memory.days(0, 2e9) == other.days(0, 2e9)
            assert memory.held_in_month(1e9) == other.held_in_month(1e9)
            assert memory.usual_usage() == other.usual_usage()
    for other in others:
        for by in ([], ["suite"], list(COLUMNS)):
            assert memory.spending(0, 2e9, by) == other.spending(0, 2e9, by)
        other.close()


def filled(ledger: Book) -> Book:
    """One of each: settled, open, refused, possibly paid, unpriced, of two suites and days."""
    ledger.reserve([attempt(n) for n in range(1, 5)])
    ledger.reserve([attempt(5, None, suite="t"), attempt(6, 0, suite="t", at=1e9 + 86400)])
    ledger.settle([settled(1), settled(2, cost=None, status="possibly_paid")])
    ledger.settle([settled(3, cost=0, status="error"), settled(5, cost=None)])
    end = replace(settled(6, cost=0), metered=False, calls=3, usage=Usage(), error="é")
    ledger.settle([end])
    asked = {"small": {"hits": 1, "calls": 3, "incurred": 4, "nominal": None}}
    ledger.record_run([run(id_="r", models=asked), run("t", id_="r", at=1e9 + 5)])
    return ledger


def test_rows_come_back_as_they_were_recorded(ledger_with: Opener) -> None:
    ledger = filled(ledger_with(Ceilings()))
    entries = list(ledger.entries(0, 2e9))
    assert [one.attempt for one in entries] == [
        *(attempt(n) for n in range(1, 5)),
        attempt(5, None, suite="t"),
        attempt(6, 0, suite="t", at=1e9 + 86400),
    ]
    assert {one.run_id for one in entries} == {"r"}
    assert [one.settlement for one in entries] == [
        settled(1),
        settled(2, cost=None, status="possibly_paid"),
        settled(3, cost=0, status="error"),
        None,
        settled(5, cost=None),
        replace(settled(6, cost=0), metered=False, calls=3, usage=Usage(), error="é"),
    ]
    assert [row.suite for row in ledger.runs(0, 2e9)] == ["s", "t"]
    assert ledger.runs(0, 2e9)[0].models["small"] == {
        "hits": 1,
        "calls": 3,
        "incurred": 4,
        "nominal": None,
    }
    assert list(ledger.origins()) == [Origin(run_id="r", at=1e9, tags=TAGS)]


def test_a_span_takes_its_beginning_and_leaves_its_end(ledger_with: Opener) -> None:
    ledger = filled(ledger_with(Ceilings()))
    assert len(list(ledger.entries(1e9, 1e9 + 86400))) == 5
    assert len(list(ledger.entries(1e9 + 1, 1e9 + 86400.5))) == 1
    assert [row.suite for row in ledger.runs(1e9 + 5, 1e9 + 6)] == ["t"]
    assert list(ledger.runs(0, 1e9)) == []


def test_spending_is_added_up_by_any_column(ledger_with: Opener) -> None:
    ledger = filled(ledger_with(Ceilings()))
    assert list(ledger.spending(0, 1, [])) == []
    (whole,) = ledger.spending(0, 2e9, [])
    assert (whole.key, whole.attempts, whole.calls, whole.errors) == ((), 6, 5, 1)
    assert (whole.settled, whole.possibly_paid, whole.upper) == (4, 20, 24)
    assert (whole.open, whole.unpriced, whole.unmetered, whole.inner_calls) == (2, 1, 1, 3)
    cells = ledger.spending(0, 2e9, ["suite", "day"])
    assert [cell.key for cell in cells] == [
        ("s", "2001-09-09"),
        ("t", "2001-09-09"),
        ("t", "2001-09-10"),
    ]
    assert sum((cell.settled for cell in cells), 0) == 4
    assert [cell.key for cell in ledger.spending(0, 2e9, ["check"])] == [(None,)]


def test_rows_of_another_ledger_are_taken_in_once(ledger_with: Opener) -> None:
    source = filled(MemoryLedger(run_id="r", tags=TAGS))
    ledger = ledger_with(Ceilings(run=Picodollars(1)))
    rows = (list(source.entries(0, 2e9)), source.runs(0, 2e9), source.origins())
    assert ledger.add(*rows) == 6 + 5 + 2
    assert ledger.add(*rows) == 0
    assert list(ledger.entries(0, 2e9)) == list(source.entries(0, 2e9))
    assert ledger.days(0, 2e9) == source.days(0, 2e9)
    assert ledger.runs(0, 2e9) == source.runs(0, 2e9)
    assert ledger.origins() == source.origins()
    assert ledger.usual_usage() == source.usual_usage()
    assert ledger.open_reservations("r") == source.open_reservations("r") == 20


def test_an_attempt_that_ended_elsewhere_ends_here_too(ledger_with: Opener) -> None:
    ledger = ledger_with(Ceilings())
    ledger.reserve([attempt(1), attempt(2)])
    ledger.settle([settled(2, cost=3)])
    elsewhere = [
        LedgerEntry(run_id="r", attempt=attempt(1), settlement=settled(1, cost=7)),
        LedgerEntry(run_id="r", attempt=attempt(2), settlement=settled(2, cost=9)),
    ]
    assert ledger.add(elsewhere, [], []) == 1
    assert (ledger.spent("r"), ledger.open_reservations("r")) == (10, 0)


# ---------------------------------------------------------------- the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


def opened(path: Path, run: str = "r", limit: int | None = None) -> SqliteLedger:
    ceilings = Ceilings() if limit is None else limited(limit)
    return SqliteLedger(path, run_id=run, ceilings=ceilings, busy_seconds=0.1)


def test_a_ledger_waits_for_its_file_for_longer_than_a_cache(path: Path) -> None:
    """Sixteen busy processes starve one for more than 5 s; see ``tests/ceilings``."""
    ledger = SqliteLedger(path, run_id="r")
    with ledger._file.transaction(write=False) as connection:
        (milliseconds,) = connection.execute("PRAGMA busy_timeout").fetchone()
    assert milliseconds >= 10 * 1000 * BUSY_SECONDS
    ledger.close()


def test_attempts_come_back_as_they_were_recorded(path: Path) -> None:
    ledger = opened(path)
    attempts = [attempt(1), attempt(2, None, suite="t", at=1e9 + 0.25)]
    end = settled(1)
    ledger.reserve(attempts)
    ledger.settle([end])
    opened(path, run="other").reserve([attempt(1, run="other")])
    assert list(opened(path).attempts("r")) == [
        LedgerEntry(run_id="r", attempt=attempts[0], settlement=end),
        LedgerEntry(run_id="r", attempt=attempts[1]),
    ]
    ledger.close()
    ledger.close()


def test_listing_goes_on_past_a_page(path: Path) -> None:
    ledger = opened(path)
    ledger.reserve([attempt(number) for number in range(1500)])
    assert [account.attempt.id for account in ledger.attempts("r")] == [
        f"r.{number}.1" for number in range(1500)
    ]


def test_processes_of_one_run_share_its_ceiling_and_another_run_has_its_own(path: Path) -> None:
    assert list(opened(path, limit=15).reserve([attempt(1)])) == [True]
    assert list(opened(path, limit=15).reserve([attempt(2)])) == [False]
    other = SqliteLedger(path, run_id="other", ceilings=limited(15))
    assert list(other.reserve([attempt(1, run="other")])) == [True]


def test_a_month_is_shared_by_all_runs(path: Path) -> None:
    month = Ceilings(month=Picodollars(15))
    assert SqliteLedger(path, run_id="a", ceilings=month).reserve([attempt(1, run="a")]) == [True]
    assert SqliteLedger(path, run_id="b", ceilings=month).reserve([attempt(1, run="b")]) == [False]


def test_what_one_process_reserved_another_may_settle_once(path: Path) -> None:
    first, second = opened(path), opened(path)
    first.reserve([attempt(1), attempt(2)])
    second.settle([settled(1, cost=3)])
    first.settle([settled(1, cost=9)])
    assert (first.spent("r"), first.open_reservations("r")) == (3, 10)
    second.settle([settled(2, cost=3)])
    first.settle([settled(1), settled(2)])
    assert (first.spent("r"), first.open_reservations("r")) == (6, 0)


def test_rows_are_added_and_never_changed(path: Path) -> None:
    ledger = opened(path)
    ledger.reserve([attempt(1), attempt(2)])
    ledger.settle([settled(1)])
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT * FROM attempts").fetchall()
        ledger.settle([settled(1, cost=9), settled(2, status="possibly_paid", cost=None)])
        assert connection.execute("SELECT * FROM attempts").fetchall() == before
        ends = connection.execute("SELECT status, cost FROM settlements").fetchall()
    connection.close()
    assert ends == [("ok", 4), ("possibly_paid", None)]


def test_a_run_is_recorded_once_for_each_suite(path: Path) -> None:
    row = RunRow(
        run_id="r",
        at=1e9,
        suite="s",
        cases=3,
        passed=2,
        calls=3,
        incurred=Picodollars(5),
        nominal=None,
        tags={"sha": "abc"},
    )
    ledger = opened(path)
    ledger.record_run([row])
    ledger.record_run([row])
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT run_id, suite, incurred, nominal, tags FROM runs"
        ).fetchall()
    connection.close()
    assert rows == [("r", "s", 5, None, '{"sha": "abc"}')]


def test_the_file_is_private(path: Path) -> None:
    opened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("settlement", "message"),
    [
        (settled(1, cost=-1), "cannot have cost"),
        (settled(1, status="paid"), "no end"),
        (settled(1, cost=2**63), "cannot be written"),
    ],
)
def test_an_impossible_settlement_is_an_error_and_records_nothing(
    path: Path, settlement: Settlement, message: str
) -> None:
    ledger = opened(path)
    ledger.reserve([attempt(1)])
    with pytest.raises(LedgerError, match=message):
        ledger.settle([settlement])
    assert ledger.open_reservations("r") == 10


def test_what_a_provider_sent_never_keeps_a_settlement_from_the_record(path: Path) -> None:
    ledger = opened(path)
    ledger.reserve([replace(attempt(1), case_id="s/\ud800")])
    usage = Usage(input_tokens=10**30, output_tokens=-1, cached_input_tokens=10**30)
    ledger.settle([replace(settled(1), usage=usage, served_model="\udfff", error="a\0\ud800")])
    (one,) = ledger.attempts("r")
    end = one.settlement
    assert end is not None
    assert (end.usage, end.cost) == (Usage(), 4)
    assert (end.served_model, end.error) == ("\\udfff", "a\0\\ud800")


@pytest.mark.parametrize("worst", [-1, 2**63, 1.5])
def test_an_impossible_worst_case_reserves_nothing(path: Path, worst: Any) -> None:
    ledger = opened(path)
    with pytest.raises(LedgerError):
        ledger.reserve([attempt(1), attempt(2, worst)])
    assert ledger.open_reservations("r") == 0


def test_sums_that_outgrow_the_file_are_an_error(path: Path) -> None:
    ledger = opened(path)
    ledger.reserve([attempt(1, 2**63 - 1)])
    with pytest.raises(LedgerError):
        ledger.reserve([attempt(2, 1)])


def test_a_ledger_that_is_held_by_another_process_is_an_error(path: Path) -> None:
    ledger = opened(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="another process"):
        ledger.reserve([attempt(1)])
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.reserve([attempt(1)]) == [True]


def as_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(9000))


def as_another_program(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE attempts (id)")


def as_a_newer_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")


def as_a_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


@pytest.mark.parametrize("change", [as_garbage, as_another_program, as_a_newer_version, as_a_link])
def test_a_file_that_is_no_ledger_of_ours_is_an_error_and_stays_as_it_is(
    path: Path, change: Callable[[Path], None]
) -> None:
    opened(path).close()
    change(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError) as refused:
        opened(path)
    assert refused.value.hint
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(path: Path) -> None:
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match="cannot be written"):
        opened(path)


def test_a_forked_child_shares_the_ceiling(path: Path) -> None:
    ledger = opened(path, limit=25)
    ledger.reserve([attempt(1)])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if ledger.reserve([attempt(2), attempt(3)]) == [True, False] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger.open_reservations("r") == 20
    assert ledger.reserve([attempt(4, 5), attempt(5, 1)]) == [True, False]
