"""One cache file that others may have written: opened only if sound, set aside if not."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from evalrunner.adapters.sqlite_file import (
    BUSY_SECONDS,
    SIDECARS,
    connect,
    is_busy,
    is_damage,
    is_plain,
    sidecar,
    use_journal,
)
from evalrunner.errors import EvalRunnerError

try:
    import fcntl
except ImportError:  # Windows: creation and quarantine are not guarded against a second process
    fcntl = None  # type: ignore[assignment]

FILE_NAME: Final = "cache.db"

_TROUBLE: Final = (sqlite3.Error, UnicodeDecodeError, OSError, MemoryError, EvalRunnerError)

_SCHEMA_DIGEST: Final = "31c9796f77330dc6e35e49a2640310d55cec185cdb63b1e8efcf015e11b25531"
"""Of the statements by which diskcache 5.6.3 makes its tables. Other triggers, views or computed
columns would run whenever we read or write, so a file that has them is none of ours."""

_KEPT_ASIDE: Final = 3
_orphans: Final[list[sqlite3.Connection]] = []  # of a parent process: closing them would be wrong


class CacheFile:
    """Opens, makes and sets aside the file ``cache.db`` of one directory.

    Safe between threads (one works at a time) and processes, also forked ones.

    Attributes:
        writable: Whether its directory can be written.
        trouble: The first thing that went wrong, in one line; ``None`` while all is well.
    """

    def __init__(
        self, home: Path, *, writable: bool, create: Callable[[Path], None] | None = None
    ) -> None:
        self.path = home / FILE_NAME
        self.trouble: str | None = None
        self._home = home
        self.writable = writable
        self._create = create
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._pid = os.getpid()
        self._lock = threading.RLock()

    @contextmanager
    def session(self, *, create: bool = False) -> Generator[sqlite3.Connection | None]:
        """The open file, for one thread; ``None`` where there is none or it cannot be used.

        What goes wrong inside is noted in :attr:`trouble` and ends the session; it is never raised.
        An open transaction is then rolled back. A damaged file is set aside.
        """
        self._leave_parent()
        with self._lock:
            connection = None
            try:
                connection = self._usable(create=create)
            except _TROUBLE as error:
                self._fail(error)
            try:
                yield connection
            except _TROUBLE as error:
                self._fail(error)

    def close(self) -> None:
        """Closes the file. Never raises; a later session opens it again."""
        self._leave_parent()
        with self._lock:
            self._drop()

    def note(self, trouble: str) -> None:
        """Remembers what went wrong, if nothing did before."""
        self.trouble = self.trouble or trouble

    def _leave_parent(self) -> None:
        if self._pid == os.getpid():
            return
        if self._connection is not None:
            _orphans.append(self._connection)
        self._connection, self._pid, self._lock = None, os.getpid(), threading.RLock()

    def _usable(self, *, create: bool) -> sqlite3.Connection | None:
        inode = _inode(self.path)
        if self._connection is not None and inode == self._inode:
            return self._connection
        self._drop()
        opened = self._open_sound() if inode is not None else None
        if opened is None and create and self._create is not None:
            with _alone(self._home):
                if _inode(self.path) is None:
                    self._create(self._home)
            opened = self._open_sound()
        return opened

    def _open_sound(self) -> sqlite3.Connection | None:
        """The connection to a file that is ours and whole; anything else is set aside."""
        self._inode = _inode(self.path)
        if not is_plain(self.path):
            self._set_aside("is no plain file")
            return None
        try:
            connection = self._connection = self._connect()
            sound = _schema_digest(connection) == _SCHEMA_DIGEST
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._fail(error)
            return None
        if not sound:
            self._set_aside("is no cache of ours")
            return None
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self.writable:
            connection = connect(self.path, "rw")
            use_journal(connection, power_safe=False)
            return connection
        try:
            connection = connect(self.path, "ro")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise
            # A log that is left over cannot be played back here: read the file as it lies.
            connection = connect(self.path, "immutable")
        return connection

    def _fail(self, error: Exception) -> None:
        if is_damage(error):
            self._set_aside("is damaged")
            return
        self.note(f"the cache is not usable: {str(error) or type(error).__name__}")
        connection = self._connection
        if connection is not None and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        if not is_busy(error):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _set_aside(self, why: str) -> None:
        """Moves the file and what lies beside it out of the way, if it is still the one we mean."""
        self._drop()
        if not self.writable:
            self.note(f"{FILE_NAME} {why} and cannot be set aside here")
            return
        try:
            with _alone(self._home):
                if _inode(self.path) == self._inode is not None:
                    aside = _next_aside(self._home)
                    self.note(f"{FILE_NAME} {why}: set aside as {aside.name}, and begun anew")
                    for suffix in (*SIDECARS, ""):  # a left journal would be played into a new file
                        _move(sidecar(self.path, suffix), sidecar(aside, suffix))
        except OSError as error:
            self.note(f"{FILE_NAME} {why} and cannot be set aside: {error}")


def _schema_digest(connection: sqlite3.Connection) -> str:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()


@contextmanager
def _alone(home: Path) -> Generator[None]:
    """Holds the directory's lock, which the kernel releases when its holder dies.

    Raises:
        OSError: It cannot be had, or not in time.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(home / ".lock", flags, 0o600)
    try:
        _lock_in_time(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock_in_time(descriptor: int) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError("another process holds the cache's lock") from None
            time.sleep(0.005)
        else:
            return


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _next_aside(home: Path) -> Path:
    """A free name, after the oldest of those that were set aside before has made room."""
    pattern = re.compile(re.escape(FILE_NAME) + r"\.corrupt-(\d{1,9})")
    found = (pattern.fullmatch(name) for name in os.listdir(home))
    numbers = sorted(int(match[1]) for match in found if match)
    for number in numbers[: max(0, len(numbers) + 1 - _KEPT_ASIDE)]:
        for suffix in (*SIDECARS, ""):
            with suppress(OSError):
                (home / f"{FILE_NAME}.corrupt-{number}{suffix}").unlink()
    return home / f"{FILE_NAME}.corrupt-{numbers[-1] + 1 if numbers else 1}"


def _move(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        os.rename(source, target)
