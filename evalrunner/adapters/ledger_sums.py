"""The sums that a ledger keeps beside its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from evalrunner.engine.ports import Settlement

T = TypeVar("T")

_CHUNK: Final = 900
_SET_SUMS: Final = "INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?)"


class Sums:
    """The sums of some scopes, read once and written once within a transaction."""

    def __init__(self, connection: sqlite3.Connection, names: Iterable[str]) -> None:
        self._connection = connection
        wanted = dict.fromkeys(names, 0)
        self.held = dict(wanted)
        self._spent, self._open_unknown, self._spent_unknown = (dict(wanted) for _ in range(3))
        for chunk in chunks(list(wanted)):
            query = f"SELECT * FROM sums WHERE scope IN ({marks(chunk)})"
            for scope, held, spent, open_unknown, spent_unknown in connection.execute(query, chunk):
                self.held[scope] = held
                self._spent[scope] = spent
                self._open_unknown[scope] = open_unknown
                self._spent_unknown[scope] = spent_unknown

    def reserve(self, names: Sequence[str], worst: int | None) -> None:
        """Counts a call that is about to be made."""
        for name in names:
            self.held[name] += worst or 0
            if worst is None:
                self._open_unknown[name] += 1

    def settle(self, names: Sequence[str], worst: int | None, settlement: Settlement) -> None:
        """Counts how a call ended. What may have been paid goes on counting at its worst case."""
        cost = settlement.cost
        if settlement.status == "possibly_paid":
            return
        unpriced = settlement.status == "ok" and cost is None
        for name in names:
            if worst is None:
                self._open_unknown[name] -= 1
            if unpriced:
                self._spent_unknown[name] += 1
                continue
            self.held[name] += (cost or 0) - (worst or 0)
            self._spent[name] += cost or 0

    def write(self) -> None:
        """Writes all of them, before the transaction ends."""
        self._connection.executemany(
            _SET_SUMS,
            [
                (name, held, self._spent[name], self._open_unknown[name], self._spent_unknown[name])
                for name, held in self.held.items()
            ],
        )


def marks(values: Sequence[object]) -> str:
    """A question mark for each value, as ``IN`` wants them."""
    return ",".join("?" * len(values))


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, no more at a time than the oldest SQLite has variables for."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
