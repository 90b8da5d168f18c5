"""The sums that a ledger keeps beside its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from evalrunner.engine.ports import Settlement

T = TypeVar("T")

_CHUNK: Final = 900
_SET_SUMS: Final = "INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?, ?, ?)"


class Sums:
    """The sums of some scopes, read once and written once within a transaction."""

    def __init__(self, connection: sqlite3.Connection, names: Iterable[str]) -> None:
        self._connection = connection
        wanted = dict.fromkeys(names, 0)
        self.held = dict(wanted)
        self._touched: set[str] = set()
        self._spent, self._open_unknown, self._spent_unknown, self._calls, self._unmetered = (
            dict(wanted) for _ in range(5)
        )
        for chunk in chunks(list(wanted)):
            query = f"SELECT * FROM sums WHERE scope IN ({marks(chunk)})"
            for scope, held, *others in connection.execute(query, chunk):
                self.held[scope] = held
                self._spent[scope], self._open_unknown[scope], self._spent_unknown[scope] = others[
                    :3
                ]
                self._calls[scope], self._unmetered[scope] = others[3:]

    def reserve(self, names: Sequence[str], worst: int | None) -> None:
        """Counts a call that is about to be made."""
        self._touched.update(names)
        for name in names:
            self.held[name] += worst or 0
            self._calls[name] += 1
            if worst is None:
                self._open_unknown[name] += 1

    def settle(self, names: Sequence[str], worst: int | None, settlement: Settlement) -> None:
        """Counts how a call ended. What may have been paid goes on counting at its worst case."""
        cost = settlement.cost
        if settlement.status == "possibly_paid":
            return
        self._touched.update(names)
        paid = settlement.status == "ok"
        for name in names:
            if worst is None:
                self._open_unknown[name] -= 1
            if not paid:
                self._calls[name] -= 1
            if paid and not settlement.metered:
                self._unmetered[name] += 1
            if paid and cost is None:
                self._spent_unknown[name] += 1
                continue
            self.held[name] += (cost or 0) - (worst or 0)
            self._spent[name] += cost or 0

    def write(self) -> None:
        """Writes those that were counted in, before the transaction ends."""
        columns = (
            self._spent,
            self._open_unknown,
            self._spent_unknown,
            self._calls,
            self._unmetered,
        )
        rows = [
            (name, self.held[name], *(sums[name] for sums in columns)) for name in self._touched
        ]
        self._connection.executemany(_SET_SUMS, rows)


def marks(values: Sequence[object]) -> str:
    """A question mark for each value, as ``IN`` wants them."""
    return ",".join("?" * len(values))


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, no more at a time than the oldest SQLite has variables for."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
