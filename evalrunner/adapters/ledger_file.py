"""A ledger's file: opened, made or brought up to this version, and changed in whole transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from evalrunner.adapters.ledger_migration import FROM_1
from evalrunner.adapters.ledger_schema import APPLICATION, SCHEMA, SCHEMA_VERSION
from evalrunner.adapters.sqlite_file import (
    connect,
    is_busy,
    is_damage,
    is_plain,
    make_private_file,
    use_journal,
)
from evalrunner.errors import LedgerError


class LedgerFile:
    """One ledger's file, for all threads of a process. A forked child opens it again.

    Args:
        path: The file; made with mode 0600 where it is missing.
        busy_seconds: How long another process may hold it.
    """

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._kept: list[sqlite3.Connection] = []  # of a parent process, never closed here

    @contextmanager
    def transaction(self, *, write: bool = True) -> Generator[sqlite3.Connection]:
        """One transaction: all of it is on disk at the end, or none.

        Raises:
            LedgerError: The file is another program's, newer than this version, damaged, or cannot be
                written.
        """
        self._leave_parent()
        with self._lock:
            connection = None
            try:
                connection = self._connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.Error, OverflowError, OSError, UnicodeError) as error:
                _roll_back(connection)
                raise self._failure(error) from error
            except BaseException:
                _roll_back(connection)
                raise

    def _leave_parent(self) -> None:
        if self._pid == os.getpid():
            return
        if self._connection is not None:
            self._kept.append(self._connection)
        self._connection, self._pid, self._lock = None, os.getpid(), threading.RLock()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            make_private_file(self.path)
        if not is_plain(self.path):
            raise LedgerError(
                f"{str(self.path)!r} is no plain file of this user",
                hint="move it away; the ledger is neither read nor written through links",
            )
        connection = connect(self.path, "rw", busy_seconds=self._busy_seconds)
        try:
            connection.text_factory = str
            use_journal(connection, power_safe=True)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Makes the tables in an empty file, brings an older one up, refuses one that is not ours."""
        if _version(connection) == (APPLICATION, SCHEMA_VERSION):
            return
        connection.execute("BEGIN IMMEDIATE")
        application, version = _version(connection)
        empty = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if (application, version) == (0, 0) and empty:
            for statement in SCHEMA:
                connection.execute(statement)
        elif (application, version) == (APPLICATION, 1):
            for statement in FROM_1:
                connection.execute(statement)
        connection.execute("COMMIT")
        if _version(connection) == (APPLICATION, SCHEMA_VERSION):
            return
        if application == APPLICATION:
            raise LedgerError(
                f"{str(self.path)!r} was written by another version of evalrunner ({version})",
                hint="use that version, or give this one a state dir of its own",
            )
        raise LedgerError(f"{str(self.path)!r} is not a ledger", hint="move it away")

    def _failure(self, error: Exception) -> LedgerError:
        name = repr(str(self.path))
        if is_busy(error):
            return LedgerError(f"another process holds the ledger {name}", hint="try again")
        if is_damage(error):
            return LedgerError(f"the ledger {name} is damaged: {error}", hint="restore or move it")
        return LedgerError(f"the ledger {name} cannot be written: {error}")

    def close(self) -> None:
        """Closes the file. Never raises."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._pid == os.getpid():
                with suppress(sqlite3.Error):
                    connection.close()


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _roll_back(connection: sqlite3.Connection | None) -> None:
    if connection is not None and connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
