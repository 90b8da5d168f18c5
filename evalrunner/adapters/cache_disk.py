"""The default store: one SQLite file below the project, in the form of diskcache.

Reads and writes are bulk statements on diskcache's table (ten thousand reads in a third, fifty writes
in half of the time of its own calls); diskcache itself makes the file and is imported only then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from evalrunner.adapters.cache_file import CacheFile
from evalrunner.adapters.envelope import EPOCH, LARGEST_BODY, VERSION, stored_at_of
from evalrunner.adapters.private_dir import CACHE_TAG, open_private_dir, refuse_strange_dir
from evalrunner.adapters.seal import Kept, Listed, Seal
from evalrunner.adapters.store_identity import identity_of, renew_identity
from evalrunner.engine.ports import StoreStats
from evalrunner.values.fingerprint import SCHEMA, Fingerprint

_CHUNK: Final = 900  # below the number of variables that the oldest SQLite allows
_FILES: Final = {
    ".gitignore": "*\n",
    "README": "Answers of models, kept by evalrunner so that nothing is asked twice.\n"
    "Everything here may be deleted at any time.\n",
    **CACHE_TAG,
}

# A row that is no raw value of a plausible size gives NULL, and is counted as damaged.
_VALUE: Final = (
    "CASE WHEN mode = 1 AND filename IS NULL AND typeof(value) = 'blob'"
    f" AND length(value) <= {LARGEST_BODY + 4096} THEN value END"
)
_INSERT: Final = (
    "INSERT INTO Cache(key, raw, store_time, access_time, mode, value) VALUES (?, 1, ?, ?, 1, ?)"
    " ON CONFLICT(key, raw) DO UPDATE SET store_time = excluded.store_time,"
    " access_time = excluded.access_time, expire_time = NULL, tag = NULL, size = 0, mode = 1,"
    " filename = NULL, value = excluded.value"
)
_PAGE: Final = (
    f"SELECT key, {_VALUE} FROM Cache WHERE raw = 1 AND key > ? AND key < ? ORDER BY key LIMIT 256"
)
_KEY_PAGE: Final = (
    "SELECT key FROM Cache WHERE raw = 1 AND key > ? AND key < ? ORDER BY key LIMIT 4096"
)


class Entry(NamedTuple):
    """One verified entry."""

    key: Fingerprint
    body: bytes
    stored_at: float


class Verification(NamedTuple):
    """How many entries were looked at, and how many of them do not verify."""

    checked: int
    damaged: int


class StoreSize(NamedTuple):
    """The entries of the namespace, and the bytes of the whole file."""

    entries: int
    bytes: int


def open_disk_store(
    path: Path,
    *,
    namespace: str,
    read_only: bool = False,
    seal: Seal | None = None,
    now: Callable[[], float] = time.time,
) -> DiskStore:
    """The store in a directory, which is made at once and filled at the first write.

    A full or read-only disk is no error: writes are then dropped, which
    :attr:`~evalrunner.engine.ports.StoreStats.degraded` says.

    Args:
        path: The directory; private to this user.
        namespace: Whose entries are seen. Entries of other namespaces in the file are left alone.
        read_only: Nothing is made or changed, and a write does nothing.
        seal: How entries are sealed and which are believed; by default unsigned, and all that are intact.
        now: Seconds since 1970, recorded with each entry.

    Raises:
        StoreError: The directory is a link, another user's, or writable by everybody.
    """
    if read_only:
        refuse_strange_dir(path)
        return DiskStore(CacheFile(path, writable=False), seal=seal or Seal(namespace), now=now)
    writable = open_private_dir(path, _FILES)
    file = CacheFile(path, writable=writable, create=_create if writable else None)
    return DiskStore(file, seal=seal or Seal(namespace), now=now, keeps=True)


class DiskStore:
    """A :class:`~evalrunner.engine.ports.CacheStore` on disk; see :func:`open_disk_store`."""

    epoch: Final = EPOCH

    def __init__(
        self,
        file: CacheFile,
        *,
        seal: Seal,
        now: Callable[[], float] = time.time,
        keeps: bool = False,
    ) -> None:
        self._file = file
        self._seal = seal
        self._now = now
        self._keeps = keeps
        self._owner = sha256(seal.namespace.encode("utf-8", "surrogatepass")).digest()[:6]
        self._prefix = self._owner + bytes((VERSION, SCHEMA))
        self._writes = 0
        self._read_from: list[object] | None = None

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that are stored and verify; see the port."""
        return {key: kept.body for key, kept in self._found(keys, stored_after)}

    def get_sealed(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, Kept]:
        """The same with when each was stored, and in the form in which another store takes it."""
        return dict(self._found(keys, stored_after))

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores all in one transaction, durable against a kill when it returns; see the port."""
        if not self._keeps:
            return
        sealed = self._seal.sealed(bodies, self._now())
        if len(sealed) < len(bodies):
            self._file.note("an answer is not kept: it is larger than a store takes")
        self.put_sealed(sealed)

    def put_sealed(self, sealed: Mapping[Fingerprint, bytes]) -> bool:
        """Stores what has been sealed for this namespace; whether all of it is stored."""
        if not self._keeps:
            return False
        if not self._file.writable:
            self._file.note("answers are not kept: the cache's directory cannot be written")
            return False
        rows = [self._row(key, raw) for key, raw in sealed.items()]
        kept = not rows
        with self._file.session(create=True) as connection:
            if connection is not None and rows:
                rows.sort()  # neighbours in the index share pages
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows)
                connection.execute("COMMIT")
                self._writes += len(rows)
                kept = True
        return kept

    def stats(self) -> StoreStats:
        """What was seen since the store was opened."""
        return StoreStats(
            damaged=self._seal.damaged,
            untrusted=self._seal.untrusted,
            turned_away=MappingProxyType(self._seal.turned_away),
            writes=self._writes,
            degraded=self._file.trouble,
        )

    def close(self) -> None:
        """Closes the file. Never raises."""
        self._file.close()

    @property
    def path(self) -> Path:
        """The directory."""
        return self._file.path.parent

    @property
    def home(self) -> Path | None:
        """The directory that this store writes to; ``None`` where it only reads."""
        return self.path if self._keeps and self._file.writable else None

    def changed(self) -> bool:
        """Whether anybody else may have written to the file since it was first read."""
        state: list[object] = []
        with self._file.session() as connection:
            state = _state(connection)
        return self._read_from is None or state != self._read_from

    def identity(self) -> str:
        """A name that no other store has, nor this one once something was cleared or pruned from it.

        ``""`` while nothing was ever stored, or where the store cannot be read.
        """
        name = ""
        with self._file.session() as connection:
            if connection is not None:
                name = identity_of(connection)
        return name

    def keys(self) -> Iterator[Fingerprint]:
        """The keys of this namespace and epoch, in order; their bodies are not verified."""
        for page in self._pages(_KEY_PAGE):
            for (row_key,) in page:
                yield self._key_of(row_key)

    def entries(self) -> Iterator[Entry]:
        """The entries that verify, in the order of their keys. Others are counted as damaged."""
        for page in self._pages(_PAGE):
            for row_key, raw in page:
                key = self._key_of(row_key)
                if opened := self._seal.opened(key, raw):
                    yield Entry(key, opened.body, opened.stored_at)

    def scan(self) -> Iterator[Listed]:
        """Every entry, in the order of the keys; see :class:`~evalrunner.adapters.seal.Inventory`."""
        for page in self._pages(_PAGE):
            for row_key, raw in page:
                key = self._key_of(row_key)
                opened = self._seal.opened(key, raw)
                kept = Kept(opened.body, opened.stored_at, raw) if opened else None
                yield Listed(key, kept, len(raw or b""))

    def verify(self) -> Verification:
        """Opens every entry of this namespace and epoch."""
        before = self._seal.damaged + self._seal.untrusted
        sound = sum(1 for _ in self.entries())
        damaged = self._seal.damaged + self._seal.untrusted - before
        return Verification(checked=sound + damaged, damaged=damaged)

    def size(self) -> StoreSize:
        """How much is stored."""
        entries = sum(len(page) for page in self._pages(_KEY_PAGE))
        occupied = 0
        with suppress(OSError):
            occupied = self._file.path.stat().st_size
        return StoreSize(entries=entries, bytes=occupied)

    def clear(self) -> int:
        """Removes all entries of this namespace, of every epoch. Returns how many."""
        bounds = (self._owner, self._owner + b"\xff" * 64)
        return self._delete([("key >= ? AND key < ?", bounds)])

    def prune(self, *, stored_before: float) -> int:
        """Removes this namespace's entries stored before that time. Returns how many."""
        bounds = (self._owner, self._owner + b"\xff" * 64, stored_before)
        return self._delete([("key >= ? AND key < ? AND store_time < ?", bounds)])

    def delete_many(self, keys: Sequence[Fingerprint]) -> int:
        """Removes these entries; see :class:`~evalrunner.adapters.seal.Inventory`."""
        remaining = map(self._row_key, keys)
        conditions: list[tuple[str, Sequence[bytes | float]]] = []
        while chunk := list(islice(remaining, _CHUNK)):
            conditions.append((f"raw = 1 AND key IN ({','.join('?' * len(chunk))})", chunk))
        return self._delete(conditions)

    def _found(
        self, keys: Sequence[Fingerprint], stored_after: float | None
    ) -> Iterator[tuple[Fingerprint, Kept]]:
        remaining = iter(keys)
        with self._file.session() as connection:
            if self._read_from is None:
                self._read_from = _state(connection)
            while connection is not None and (chunk := list(islice(remaining, _CHUNK))):
                for key, kept in self._look_up(connection, chunk):
                    if stored_after is None or kept.stored_at >= stored_after:
                        yield key, kept

    def _look_up(
        self, connection: sqlite3.Connection, keys: Sequence[Fingerprint]
    ) -> Iterator[tuple[Fingerprint, Kept]]:
        wanted = {self._row_key(key): key for key in keys}
        marks = ",".join("?" * len(wanted))
        query = f"SELECT key, {_VALUE} FROM Cache WHERE key IN ({marks}) AND raw = 1"
        for row_key, raw in connection.execute(query, list(wanted)).fetchall():
            key = wanted.get(row_key)
            if key is not None and (opened := self._seal.opened(key, raw)):
                yield key, Kept(opened.body, opened.stored_at, raw)

    def _row(self, key: Fingerprint, raw: bytes) -> tuple[bytes, float, float, bytes]:
        stored_at = stored_at_of(raw)
        return self._row_key(key), stored_at, stored_at, raw

    def _row_key(self, key: Fingerprint) -> bytes:
        """Whose entry it is, of which epoch, and the key: 8 bytes and the 32 of a fingerprint."""
        try:
            return self._prefix + bytes.fromhex(key)
        except ValueError:
            return self._prefix + key.encode("utf-8", "surrogatepass")

    def _key_of(self, row_key: bytes) -> Fingerprint:
        return Fingerprint(row_key[len(self._prefix) :].hex())

    def _pages(self, query: str) -> Iterator[list[tuple[bytes, ...]]]:
        """The rows of this namespace and epoch, a page at a time, with no lock held in between."""
        last, end = self._prefix, self._prefix + b"\xff" * 64
        while last:
            page: list[tuple[bytes, ...]] = []
            with self._file.session() as connection:
                if connection is not None:
                    page = connection.execute(query, (last, end)).fetchall()
            yield page
            last = page[-1][0] if page else b""

    def _delete(self, conditions: Sequence[tuple[str, Sequence[bytes | float]]]) -> int:
        """Removes what meets any of the conditions, all at once, and gives the space back."""
        removed = 0
        if not self._keeps:
            return removed
        with self._file.session() as connection:
            if connection is not None:
                connection.execute("BEGIN IMMEDIATE")
                count = sum(
                    connection.execute(f"DELETE FROM Cache WHERE {condition}", values).rowcount
                    for condition, values in conditions
                )
                if count:
                    renew_identity(connection)
                connection.execute("COMMIT")
                removed = count
                connection.execute("VACUUM")
        return removed


def _state(connection: sqlite3.Connection | None) -> list[object]:
    """What differs once another connection has written, or another file lies there."""
    if connection is None:
        return []
    return [connection, connection.execute("PRAGMA data_version").fetchone()]


def _create(home: Path) -> None:
    # diskcache costs 45 ms to import, and only the very first write needs it.
    from evalrunner.adapters.diskcache_file import create_cache_file

    create_cache_file(home)
