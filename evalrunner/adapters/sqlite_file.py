"""SQLite files of ours: how they are opened, which journal is safe, and which errors mean damage."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from evalrunner.adapters.private_dir import is_strange_file

BUSY_SECONDS: Final = 5.0
SIDECARS: Final = ("-journal", "-wal", "-shm")

_JOURNAL_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_LARGEST_CELL: Final = 8 * 1024 * 1024
_CORRUPT: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT))
_BUSY: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


def journal_mode(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str:
    """The fastest journal that does not lose data with this SQLite.

    The write-ahead log of 3.7.0 to 3.51.2 can be reset under a second connection's feet, which
    corrupts the file. 3.51.3, 3.50.7 and 3.44.6 brought the repair. Everything else gets a rollback
    journal that is kept between transactions.

    Example:
        >>> journal_mode((3, 51, 3)), journal_mode((3, 50, 7)), journal_mode((3, 40, 1))
        ('wal', 'wal', 'persist')
    """
    repaired = (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )
    return "wal" if repaired else "persist"


def sqlite_version() -> str:
    """The SQLite that this Python was built with, or loads."""
    return sqlite3.sqlite_version


def connect(path: Path, mode: str, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection in autocommit mode that trusts nothing in the file.

    Args:
        path: The database file; it is never made here.
        mode: ``rw``, ``ro``, or ``immutable`` for a file that nobody can change.
        busy_seconds: How long a statement waits for another process.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    query = "immutable=1" if mode == "immutable" else f"mode={mode}"
    connection = sqlite3.connect(
        f"file:{quote(os.fspath(path))}?{query}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
    for pragma in ("trusted_schema = OFF", "mmap_size = 0", "cell_size_check = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def use_journal(connection: sqlite3.Connection, *, power_safe: bool) -> None:
    """Sets journal and syncing. A kill of this process never loses what was committed.

    Another process at work may keep the journal as it is.

    Args:
        connection: A connection that may write.
        power_safe: Whether a commit outlives a power failure too. A rollback journal does so in
            ``NORMAL``; the write-ahead log syncs its commits only in ``FULL``. Where it need not, the
            log stays whole without waiting for the disk, while a rollback journal may leave a damaged
            file behind: for what is verified and can be had again that beats 5 to 16 ms a commit.
    """
    mode = journal_mode()
    with suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA journal_mode = {mode}")
    fast, safe = ("NORMAL", "FULL") if mode == "wal" else ("OFF", "NORMAL")
    connection.execute(f"PRAGMA synchronous = {safe if power_safe else fast}")


def make_private_file(path: Path) -> None:
    """An empty file with mode 0600, which SQLite takes for an empty database.

    Raises:
        OSError: It exists, or cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o600))


def is_plain(path: Path) -> bool:
    """Whether the database and the files that SQLite keeps beside it are plain files of ours.

    A journal may name a further file which SQLite then deletes; one connection never writes such a
    name, so a journal with one was planted and is not opened.
    """
    files = (path, *(sidecar(path, suffix) for suffix in SIDECARS))
    if any(is_strange_file(file) for file in files):
        return False
    return not _names_another_file(sidecar(path, "-journal"))


def sidecar(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside the database under this suffix."""
    return path.with_name(path.name + suffix)


def is_damage(error: Exception) -> bool:
    """Whether the error says that the file itself is broken or is no database.

    Where damage hit a name, SQLite's own message about it may not even be text.
    """
    return _primary_code(error) in _CORRUPT or isinstance(error, UnicodeDecodeError)


def is_busy(error: Exception) -> bool:
    """Whether the error says that another process holds the file."""
    return _primary_code(error) in _BUSY


def _primary_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _names_another_file(journal: Path) -> bool:
    try:
        with journal.open("rb") as stream:
            stream.seek(-len(_JOURNAL_MAGIC), os.SEEK_END)
            return stream.read() == _JOURNAL_MAGIC
    except OSError:
        return False
