"""The rows of a ledger's file: listed, added up, and taken in from other ledgers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from evalrunner.adapters.ledger_migration import REBUILD_SUMS
from evalrunner.adapters.ledger_past import learn_lengths
from evalrunner.adapters.ledger_rows import (
    ADD_ATTEMPT,
    ADD_SETTLEMENT,
    ATTEMPT_COLUMNS,
    RUN_COLUMNS,
    SETTLEMENT_COLUMNS,
    attempt_row,
    entry,
    read_origin_row,
    read_run_row,
    run_row,
    settlement_row,
    tags_text,
)
from evalrunner.adapters.ledger_schema import ADD_RUN
from evalrunner.adapters.ledger_sums import marks
from evalrunner.engine.ports import LedgerEntry, Origin, RunRow
from evalrunner.values.spending import FIGURES, SpendCell

_PAGE: Final = 1000
_JOINED: Final = "FROM attempts a LEFT JOIN settlements s USING (number)"
_SPAN: Final = "a.at >= ? AND a.at < ?"

_COLUMNS: Final[Mapping[str, str]] = {
    "day": "date(CAST(a.at AS INTEGER), 'unixepoch')",
    "run_id": "a.run_id",
    "suite": "a.suite",
    "case_id": "a.case_id",
    "check": "a.checked",
    "tier": "a.tier",
    "role": "a.role",
    "provider": "a.provider",
    "model": "a.model",
    "endpoint": "a.endpoint",
    "processing": "a.processing",
    "price_source": "a.price_source",
}
_UNDECIDED: Final = "(s.status IS NULL OR s.status = 'possibly_paid')"
_ANSWERED: Final = "coalesce(s.status = 'ok', 0)"
_COSTS_UNKNOWN: Final = f"({_ANSWERED} AND s.cost IS NULL)"
_SUMS: Final[Mapping[str, str]] = {
    "attempts": "count(*)",
    "calls": "sum(coalesce(s.status, '') != 'error')",
    "errors": "sum(coalesce(s.status, '') = 'error')",
    "open": f"sum({_UNDECIDED})",
    "unpriced": f"sum({_COSTS_UNKNOWN} OR ({_UNDECIDED} AND a.worst_case IS NULL))",
    "unmetered": f"sum({_ANSWERED} AND NOT coalesce(s.metered, 1))",
    "inner_calls": "sum(coalesce(s.calls, 0))",
    "input_tokens": "sum(coalesce(s.input_tokens, 0))",
    "output_tokens": "sum(coalesce(s.output_tokens, 0))",
    "cached_input_tokens": "sum(coalesce(s.cached_input_tokens, 0))",
    "cache_write_tokens": "sum(coalesce(s.cache_write_tokens, 0))",
    "reasoning_tokens": "sum(coalesce(s.reasoning_tokens, 0))",
    "settled": f"sum(CASE WHEN {_UNDECIDED} THEN 0 ELSE coalesce(s.cost, 0) END)",
    "possibly_paid": (
        f"sum(CASE WHEN {_UNDECIDED} OR {_COSTS_UNKNOWN} THEN coalesce(a.worst_case, 0) ELSE 0 END)"
    ),
}

Numbered = list[tuple[int, LedgerEntry]]


def page_of_run(connection: sqlite3.Connection, run_id: str, *, after: int) -> Numbered:
    """The next attempts of a run, with their numbers."""
    return _page(connection, "a.run_id = ?", (run_id,), after)


def page_of_entries(
    connection: sqlite3.Connection, since: float, until: float, *, after: int
) -> Numbered:
    """The next attempts of a span of time, with their numbers."""
    return _page(connection, _SPAN, (since, until), after)


def _page(
    connection: sqlite3.Connection, condition: str, values: tuple[object, ...], after: int
) -> Numbered:
    rows = connection.execute(
        f"SELECT a.number, a.run_id, {ATTEMPT_COLUMNS}, {SETTLEMENT_COLUMNS} {_JOINED}"
        f" WHERE a.number > ? AND {condition} ORDER BY a.number LIMIT {_PAGE}",
        (after, *values),
    )
    return [(row[0], entry(row[1:])) for row in rows]


def sums_by(
    connection: sqlite3.Connection, since: float, until: float, by: Sequence[str]
) -> list[SpendCell]:
    """The sums of a span of time by some columns, in the order in which each key first came."""
    keys = ", ".join(_COLUMNS[name] for name in by)
    figures = ", ".join(_SUMS[name] for name in FIGURES)
    rows = connection.execute(
        f"SELECT {keys + ',' if by else ''} {figures} {_JOINED} WHERE {_SPAN}"
        f" {'GROUP BY ' + keys if by else ''} HAVING count(*) ORDER BY min(a.number)",
        (since, until),
    )
    return [
        SpendCell(key=tuple(row[: len(by)]), **dict(zip(FIGURES, row[len(by) :], strict=True)))
        for row in rows
    ]


def runs_between(connection: sqlite3.Connection, since: float, until: float) -> list[RunRow]:
    """The rows of runs that began in that time, in the order in which they were written."""
    rows = connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE at >= ? AND at < ? ORDER BY at, number",
        (since, until),
    )
    return [read_run_row(row) for row in rows]


def origins_of(connection: sqlite3.Connection) -> list[Origin]:
    """Where each run that paid came from."""
    rows = connection.execute("SELECT run_id, at, tags FROM origins ORDER BY at, run_id")
    return [read_origin_row(row) for row in rows]


def take_in(
    connection: sqlite3.Connection,
    entries: Iterable[LedgerEntry],
    runs: Iterable[RunRow],
    origins: Iterable[Origin],
) -> int:
    """Adds rows of another ledger, and all sums again; what is known stays as it is."""
    new = 0
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM attempts").fetchone()
    source = iter(entries)
    while chunk := list(islice(source, _PAGE // 2)):
        added, last = _take_chunk(connection, {one.attempt.id: one for one in chunk}, last)
        new += added
    for row in runs:
        new += connection.execute(ADD_RUN, run_row(row)).rowcount
    connection.executemany(
        "INSERT OR IGNORE INTO origins VALUES (?, ?, ?)",
        [(origin.run_id, origin.at, tags_text(origin.tags)) for origin in origins],
    )
    for statement in REBUILD_SUMS if new else ():
        connection.execute(statement)
    return new


def _take_chunk(
    connection: sqlite3.Connection, chunk: Mapping[str, LedgerEntry], last: int
) -> tuple[int, int]:
    """Adds attempts and ends that are not there; how many were new, and the last number."""
    known = {
        id_: (number, ended)
        for number, id_, ended in connection.execute(
            f"SELECT a.number, a.id, s.number IS NOT NULL {_JOINED} WHERE a.id IN ({marks([*chunk])})",
            list(chunk),
        )
    }
    new = 0
    ended = []
    for id_, one in chunk.items():
        number, has_end = known.get(id_, (0, False))
        if not number:
            number = last = last + 1
            connection.execute(ADD_ATTEMPT, attempt_row(number, one.attempt, one.run_id))
            new += 1
        if one.settlement is not None and not has_end:
            connection.execute(ADD_SETTLEMENT, settlement_row(number, one.settlement))
            ended.append(
                ((one.attempt.suite, one.attempt.endpoint, one.attempt.role), one.settlement)
            )
            new += 1
    learn_lengths(connection, ended)
    return new, last
