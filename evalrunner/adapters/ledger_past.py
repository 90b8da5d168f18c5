"""What a ledger's file says of the past, as values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from evalrunner.engine.habits import length_of
from evalrunner.engine.ports import LedgerDay, PastEstimate, Settlement, Usual
from evalrunner.values.ceilings import utc_day
from evalrunner.values.money import Picodollars

FORGET_FROM: Final = 4000
"""Of how many calls of one kind the usual length is kept: beyond that, older ones of the suite count
half, of whatever kind, since how many there are of each is looked at too."""

_LENGTH: Final = """INSERT INTO usual VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    count = count + excluded.count, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    guessed_tokens = guessed_tokens + excluded.guessed_tokens, cost = cost + excluded.cost"""
_FORGET: Final = f"""UPDATE usual SET count = count / 2, input_tokens = input_tokens / 2,
    output_tokens = output_tokens / 2, guessed_tokens = guessed_tokens / 2, cost = cost / 2
    WHERE suite IN (SELECT suite FROM usual WHERE count > {FORGET_FROM})"""
_FIRST: Final = "SELECT at FROM {} WHERE run_id != ? ORDER BY at LIMIT 1"

Kind = tuple[str, str, str]
"""Suite, endpoint and role of a call."""


def first_row(connection: sqlite3.Connection, run_id: str) -> float | None:
    """When the first run but this one began."""
    tables = ("origins", "runs")
    found = [connection.execute(_FIRST.format(table), (run_id,)).fetchone() for table in tables]
    return min((row[0] for row in found if row is not None), default=None)


def days_of(connection: sqlite3.Connection, since: float, until: float) -> Sequence[LedgerDay]:
    """The days on which anything happened, both ends among them."""
    first, last = utc_day(since), utc_day(until)
    sums = connection.execute(
        "SELECT substr(scope, 5), held, spent, open_unknown + spent_unknown, calls, unmetered"
        " FROM sums WHERE scope BETWEEN ? AND ?",
        (f"day/{first}", f"day/{last}"),
    ).fetchall()
    paid = {day: rest for day, *rest in sums}
    runs = dict(connection.execute(_RUNS, (since // 86400 * 86400, (until // 86400 + 1) * 86400)))
    return [
        _day(day, paid.get(day, (0, 0, 0, 0, 0)), runs.get(day, 0))
        for day in sorted(paid.keys() | runs.keys())
    ]


_RUNS: Final = """SELECT date(CAST(at AS INTEGER), 'unixepoch'), count(*) FROM (
        SELECT run_id, min(at) AS at FROM (
            SELECT run_id, at FROM origins UNION ALL SELECT run_id, at FROM runs
        ) WHERE at >= ? AND at < ? GROUP BY run_id
    ) GROUP BY 1"""


def _day(day: str, sums: Sequence[int], runs: int) -> LedgerDay:
    held, spent, unpriced, calls, unmetered = sums
    return LedgerDay(
        day=day,
        settled=Picodollars(spent),
        possibly_paid=Picodollars(held - spent),
        unpriced_calls=unpriced,
        unmetered_calls=unmetered,
        calls=calls,
        runs=runs,
    )


def held(connection: sqlite3.Connection, scope: str) -> Picodollars:
    """What counts against a ceiling of that scope."""
    row = connection.execute("SELECT held FROM sums WHERE scope = ?", (scope,)).fetchone()
    return Picodollars(row[0] if row else 0)


def learn_lengths(connection: sqlite3.Connection, ended: Iterable[tuple[Kind, Settlement]]) -> None:
    """Adds to what is usual those calls whose tokens were counted, or that nobody counts any of."""
    lengths: dict[Kind, list[int]] = {}
    for kind, settlement in ended:
        length = length_of(settlement)
        if length is not None:
            known = lengths.get(kind, (0,) * len(length))
            lengths[kind] = [mine + more for mine, more in zip(known, length, strict=True)]
    if lengths:
        connection.executemany(_LENGTH, [(*kind, *length) for kind, length in lengths.items()])
        connection.execute(_FORGET)


def usual_lengths(connection: sqlite3.Connection) -> dict[Kind, Usual]:
    """How long recent calls of each kind were."""
    rows = connection.execute("SELECT * FROM usual WHERE count > 0")
    return {
        (suite, endpoint, role): Usual(
            count=count,
            input_tokens=inputs / count,
            output_tokens=outputs / count,
            guessed_tokens=guessed / count,
            cost=cost / count,
        )
        for suite, endpoint, role, count, inputs, outputs, guessed, cost in rows
    }


def estimates_of(connection: sqlite3.Connection, suite: str, limit: int) -> list[PastEstimate]:
    """What the last runs of a suite expected to pay and paid, the newest first."""
    rows = connection.execute(
        "SELECT run_id, at, expected, maximum, incurred, correction FROM runs WHERE suite = ?"
        " AND expected > 0 AND incurred IS NOT NULL ORDER BY at DESC, number DESC LIMIT ?",
        (suite, limit),
    )
    return [
        PastEstimate(
            run_id=run_id,
            at=at,
            expected=expected,
            maximum=maximum,
            incurred=incurred,
            correction=correction,
        )
        for run_id, at, expected, maximum, incurred, correction in rows
    ]
