"""The file of the disk store, laid out by diskcache: a table of keys and raw values, and nothing else.

diskcache's own disks unpickle what a row says is a pickle and open, or delete, whatever file a row
names (CVE-2025-69872), and its ``Cache`` sets an attribute for every row of its settings table. So a
``Cache`` is only ever opened here, on a file that this process has just made, with a disk that knows
one form. Files that others may have written are read by :mod:`evalrunner.adapters.cache_file`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from diskcache import UNKNOWN, Cache, Disk  # type: ignore[import-untyped]

from evalrunner.adapters.cache_file import FILE_NAME
from evalrunner.adapters.sqlite_file import connect, journal_mode, make_private_file
from evalrunner.adapters.store_identity import renew_identity
from evalrunner.errors import StoreError

_RAW: Final = 1
_DRAFT_PREFIX: Final = ".new-"
_SETTINGS: Final = {
    "cull_limit": 0,
    "eviction_policy": "none",
    "size_limit": 2**62,
    "sqlite_auto_vacuum": 0,
    "sqlite_mmap_size": 0,
    "sqlite_page_size": 8192,  # a value of 1 KB and its index fit fewer, larger pages better
    "sqlite_synchronous": 1,
    "statistics": 0,
    "tag_index": 0,
}


class RawDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Bytes in the row and nothing else: no pickle is read or written, no file opened or removed.

    A row that says otherwise is a miss (:class:`OSError`, which diskcache takes for a lost value).
    What the settings table says about the disk is not believed.
    """

    def __init__(self, directory: str, **_: object) -> None:
        super().__init__(directory)

    def put(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: object
    ) -> tuple[bytes, bool]:
        """The key itself, which must be bytes."""
        if not isinstance(key, bytes):
            raise StoreError(f"a key must be bytes, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> bytes:
        """The key of a row, which must be raw bytes."""
        if not isinstance(key, bytes) or not raw:
            raise OSError("the row's key is not raw bytes")
        return key

    def store(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: object, read: object, key: object = UNKNOWN
    ) -> tuple[int, int, None, bytes]:
        """The columns of a value, which must be bytes."""
        if not isinstance(value, bytes) or read:
            raise StoreError(f"a value must be bytes, not {type(value).__name__}")
        return 0, _RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """The value of a row, which must be raw bytes beside no file name."""
        if mode != _RAW or filename is not None or read or not isinstance(value, bytes):
            raise OSError("the row's value is not raw bytes")
        return value

    def filename(self, key: object = UNKNOWN, value: object = UNKNOWN) -> tuple[str, str]:
        """Never gives a name: values have no files."""
        raise StoreError("values are kept in rows, never in files")

    def remove(self, file_path: object) -> None:
        """Removes nothing, whatever a row names."""


def create_cache_file(home: Path) -> None:
    """Makes ``home``'s cache file, whole or not at all.

    It is built in a directory of its own and moved into place, so that neither a kill nor a second
    process ever meets half a file. The caller holds the lock of ``home``.

    Raises:
        OSError: The disk is full or read-only.
        sqlite3.Error: The same, as SQLite says it.
        StoreError: diskcache would read a variable's name in the path and write elsewhere.
    """
    _sweep(home)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=home))
    try:
        if os.path.expandvars(os.path.expanduser(draft)) != str(draft):
            raise StoreError(f"no cache can lie below {str(home)!r}", hint="rename the directory")
        _lay_out(draft)
        os.rename(draft / FILE_NAME, home / FILE_NAME)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _lay_out(draft: Path) -> None:
    make_private_file(draft / FILE_NAME)
    settings: dict[str, Any] = {**_SETTINGS, "sqlite_journal_mode": journal_mode()}
    Cache(str(draft), disk=RawDisk, **settings).close()
    connection = connect(draft / FILE_NAME, "rw")
    try:
        renew_identity(connection)
    finally:
        connection.close()


def _sweep(home: Path) -> None:
    """Removes drafts whose makers were killed. A link among them is left where it is."""
    with suppress(OSError):
        for left in home.glob(f"{_DRAFT_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
