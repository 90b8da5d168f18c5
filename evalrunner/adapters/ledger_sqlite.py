"""The ledger in one SQLite file: what was reserved, what became of it, and the sums of both.

Rows are only ever added: an attempt when it is reserved, a settlement when it ends. The one table that
changes holds sums, so that admitting a batch costs the same after a million calls as after none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from evalrunner.adapters.ledger_file import LedgerFile
from evalrunner.adapters.ledger_listing import (
    origins_of,
    page_of_entries,
    page_of_run,
    runs_between,
    sums_by,
    take_in,
)
from evalrunner.adapters.ledger_past import (
    Kind,
    days_of,
    estimates_of,
    first_row,
    held,
    learn_lengths,
    usual_lengths,
)
from evalrunner.adapters.ledger_rows import (
    ADD_ATTEMPT,
    ADD_SETTLEMENT,
    attempt_row,
    run_row,
    settlement_row,
    tags_text,
)
from evalrunner.adapters.ledger_schema import ADD_RUN
from evalrunner.adapters.ledger_sums import Sums, chunks, marks
from evalrunner.engine.ports import (
    Attempt,
    LedgerDay,
    LedgerEntry,
    Origin,
    PastEstimate,
    RunRow,
    Settlement,
    Usual,
)
from evalrunner.errors import LedgerError
from evalrunner.values.ceilings import Ceilings, month_scope, scopes
from evalrunner.values.money import Picodollars
from evalrunner.values.spending import SpendCell

LEDGER_BUSY_SECONDS: Final = 60.0
"""How long a ledger waits for its file. SQLite serves whoever asks in the right moment: with sixteen runs
that write as fast as they can, one waited in vain for longer than the 5 s that do for a cache, and had to
stop paying."""

_STATUSES: Final = frozenset(("ok", "error", "possibly_paid"))
_NO_SUMS: Final = (0, 0, 0, 0)


class _Open(NamedTuple):
    """What settling needs to know of an attempt."""

    number: int
    id: str
    run_id: str
    suite: str
    at: float
    worst_case: int | None
    endpoint: str
    role: str
    settled: int | None

    @property
    def kind(self) -> Kind:
        """What its length is compared with."""
        return self.suite, self.endpoint, self.role


class SqliteLedger:
    """A :class:`~evalrunner.engine.ports.Ledger` that all processes of a project share.

    A ceiling holds over all processes that name the same run: a batch is admitted and recorded in one
    transaction. What a killed process reserved stays counted, since it may have been paid. Anything
    that keeps a row from the disk is a :class:`~evalrunner.errors.LedgerError`, so that nothing is
    sent which is not on record.

    Args:
        path: The file; made with mode 0600 where it is missing.
        run_id: The run whose attempts this process reserves.
        ceilings: The most that may be spent.
        tags: Where the run comes from; on record from its first reservation on.
        busy_seconds: How long another process may hold the file.

    Raises:
        LedgerError: The file is another program's, newer than this version, damaged, or cannot be
            written.
    """

    def __init__(
        self,
        path: Path,
        *,
        run_id: str,
        ceilings: Ceilings = Ceilings(),  # noqa: B008  # frozen
        tags: Mapping[str, str] | None = None,
        busy_seconds: float = LEDGER_BUSY_SECONDS,
    ) -> None:
        self._file = LedgerFile(path, busy_seconds=busy_seconds)
        self._run_id = run_id
        self._ceilings = ceilings
        self._tags = tags_text(tags or {})
        self._introduced = False  # whether the run and its tags are on record
        self._pid = os.getpid()
        self._open_rows: dict[str, _Open] = {}  # what this process reserved and has to settle
        with self._file.transaction():
            pass

    def reserve(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        """Records those attempts, in turn, for which every ceiling leaves room; see the port."""
        return self.exchange((), attempts)

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Records how attempts ended, those of a batch together; see the port.

        The first settlement of an attempt stands. An answer whose cost nobody knows goes on counting
        at its worst case.

        Raises:
            LedgerError: An id was never reserved, a status or cost is impossible, or nothing can be
                recorded. None of the batch is, then.
        """
        self.exchange(settlements, ())

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """Settles and then reserves, in one transaction; see the port."""
        ended: dict[str, Settlement] = {}
        for settlement in settlements:
            _refuse_impossible(settlement)
            ended.setdefault(settlement.id, settlement)
        if not ended and not attempts:
            return []
        if self._pid != os.getpid():  # what the parent has to settle it settles itself
            self._pid, self._open_rows = os.getpid(), {}
        with self._file.transaction() as connection:
            found = self._reserved(connection, ended)
            settling = [(row, ended[row.id]) for row in found if row.settled is None]
            sums = Sums(connection, self._scopes(settling, attempts))
            _settle(connection, sums, settling)
            learn_lengths(connection, ((row.kind, settlement) for row, settlement in settling))
            admitted, reserved = self._reserve(connection, sums, attempts)
            sums.write()
            if reserved and not self._introduced:
                connection.execute(
                    "INSERT OR IGNORE INTO origins VALUES (?, ?, ?)",
                    (self._run_id, reserved[0].at, self._tags),
                )
        self._introduced = self._introduced or bool(reserved)
        for settled in found:
            self._open_rows.pop(settled.id, None)
        self._open_rows.update((row.id, row) for row in reserved)
        return admitted

    def _reserved(self, connection: sqlite3.Connection, ids: Iterable[str]) -> list[_Open]:
        """The attempts with these ids, those of this process from memory, others from the file."""
        others = [id_ for id_ in ids if id_ not in self._open_rows]
        known = [self._open_rows[id_] for id_ in ids if id_ in self._open_rows]
        settled = set(_settled_numbers(connection, [row.number for row in known]))
        if settled:
            known = [
                row._replace(settled=row.number) if row.number in settled else row for row in known
            ]
        found = [*known, *_find_open(connection, others)]
        strange = {*others} - {row.id for row in found}
        if strange:
            raise LedgerError(f"the attempt {min(strange)!r} was never reserved")
        return found

    def _scopes(
        self, settling: Sequence[tuple[_Open, Settlement]], attempts: Sequence[Attempt]
    ) -> Iterator[str]:
        for row, _ in settling:
            yield from scopes(row.run_id, row.suite, row.at)
        for attempt in attempts:
            yield from scopes(self._run_id, attempt.suite, attempt.at)

    def _reserve(
        self, connection: sqlite3.Connection, sums: Sums, attempts: Sequence[Attempt]
    ) -> tuple[list[bool], list[_Open]]:
        """Whether each attempt was admitted, and the rows that were written for those."""
        admitted: list[bool] = []
        rows: list[tuple[object, ...]] = []
        reserved: list[_Open] = []
        (last,) = connection.execute("SELECT max(number) FROM attempts").fetchone()
        for attempt in attempts:
            names = scopes(self._run_id, attempt.suite, attempt.at)
            worst = attempt.worst_case
            fits = self._ceilings.admit(sums.held, names, attempt.suite, worst)
            admitted.append(fits)
            if not fits:
                continue
            sums.reserve(names, worst)
            number = (last or 0) + len(rows) + 1
            rows.append(attempt_row(number, attempt, self._run_id))
            reserved.append(self._opened(number, attempt))
        connection.executemany(ADD_ATTEMPT, rows)
        return admitted, reserved

    def _opened(self, number: int, attempt: Attempt) -> _Open:
        return _Open(
            number=number,
            id=attempt.id,
            run_id=self._run_id,
            suite=attempt.suite,
            at=attempt.at,
            worst_case=attempt.worst_case,
            endpoint=attempt.endpoint,
            role=attempt.role,
            settled=None,
        )

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Appends a run's rows, one a suite. A second one for the same run and suite is ignored."""
        with self._file.transaction() as connection:
            connection.executemany(ADD_RUN, map(run_row, rows))

    def spent(self, run_id: str) -> Picodollars | None:
        """What the settled attempts of a run cost; ``None`` where the cost of one is unknown."""
        _, spent, _, unknown = self._sums(run_id)
        return None if unknown else Picodollars(spent)

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """What a run reserved and never settled, or settled as possibly paid, at the worst case.

        ``None`` where one of these has no known worst case.
        """
        held, spent, unknown, _ = self._sums(run_id)
        return None if unknown else Picodollars(held - spent)

    def began(self) -> float | None:
        """When the first run but this one began; see the port."""
        with self._file.transaction(write=False) as connection:
            return first_row(connection, self._run_id)

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        """The days on which anything happened, both ends among them; see the port."""
        with self._file.transaction(write=False) as connection:
            return days_of(connection, since, until)

    def held_in_month(self, at: float) -> Picodollars:
        """What counts against the month's ceiling; see the port."""
        with self._file.transaction(write=False) as connection:
            return held(connection, month_scope(at))

    def usual_usage(self) -> Mapping[tuple[str, str, str], Usual]:
        """How long recent calls of each kind were; see the port."""
        with self._file.transaction(write=False) as connection:
            return usual_lengths(connection)

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        """The last runs of a suite that expected to pay something; see the port."""
        with self._file.transaction(write=False) as connection:
            return estimates_of(connection, suite, limit)

    def attempts(self, run_id: str) -> Iterator[LedgerEntry]:
        """The attempts of a run in the order of their reservation, with what became of them."""
        last, page = 0, True
        while page:
            with self._file.transaction(write=False) as connection:
                rows = page_of_run(connection, run_id, after=last)
            for _, entry in rows:
                yield entry
            last, page = (rows[-1][0], True) if rows else (last, False)

    def entries(self, since: float, until: float) -> Iterator[LedgerEntry]:
        """The attempts that were reserved in that time, a page at a time; see the port."""
        last, page = 0, True
        while page:
            with self._file.transaction(write=False) as connection:
                rows = page_of_entries(connection, since, until, after=last)
            for _, entry in rows:
                yield entry
            last, page = (rows[-1][0], True) if rows else (last, False)

    def spending(self, since: float, until: float, by: Sequence[str]) -> Sequence[SpendCell]:
        """The same, added up in the file; see the port."""
        with self._file.transaction(write=False) as connection:
            return sums_by(connection, since, until, by)

    def runs(self, since: float, until: float) -> Sequence[RunRow]:
        """The rows of the runs that began in that time; see the port."""
        with self._file.transaction(write=False) as connection:
            return runs_between(connection, since, until)

    def origins(self) -> Sequence[Origin]:
        """Where each run that paid came from; see the port."""
        with self._file.transaction(write=False) as connection:
            return origins_of(connection)

    def add(
        self,
        entries: Iterable[LedgerEntry],
        runs: Iterable[RunRow],
        origins: Iterable[Origin],
    ) -> int:
        """Takes in rows of another ledger, all of them or none; see the port."""
        with self._file.transaction() as connection:
            return take_in(connection, entries, runs, origins)

    def close(self) -> None:
        """Closes the file. Never raises."""
        self._file.close()

    def _sums(self, run_id: str) -> tuple[int, int, int, int]:
        query = "SELECT held, spent, open_unknown, spent_unknown FROM sums WHERE scope = ?"
        with self._file.transaction(write=False) as connection:
            row = connection.execute(query, (f"run/{run_id}",)).fetchone()
        return row or _NO_SUMS


def _settle(
    connection: sqlite3.Connection, sums: Sums, ended: Sequence[tuple[_Open, Settlement]]
) -> None:
    for row, settlement in ended:
        sums.settle(scopes(row.run_id, row.suite, row.at), row.worst_case, settlement)
    rows = (settlement_row(row.number, settlement) for row, settlement in ended)
    connection.executemany(ADD_SETTLEMENT, rows)


def _refuse_impossible(settlement: Settlement) -> None:
    if settlement.status not in _STATUSES:
        raise LedgerError(f"{settlement.status!r} is no end of an attempt")
    if settlement.cost is not None and settlement.cost < 0:
        raise LedgerError(f"the attempt {settlement.id!r} cannot have cost {settlement.cost}")


def _find_open(connection: sqlite3.Connection, ids: Sequence[str]) -> Iterator[_Open]:
    for chunk in chunks(ids):
        rows = connection.execute(
            "SELECT a.number, a.id, a.run_id, a.suite, a.at, a.worst_case, a.endpoint, a.role, s.number"
            " FROM attempts a LEFT JOIN settlements s USING (number)"
            f" WHERE a.id IN ({marks(chunk)})",
            chunk,
        )
        yield from map(_Open._make, rows.fetchall())


def _settled_numbers(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[int]:
    """Those among the numbers that another process has settled already."""
    for chunk in chunks(numbers):
        query = f"SELECT number FROM settlements WHERE number IN ({marks(chunk)})"
        yield from (number for (number,) in connection.execute(query, chunk))
