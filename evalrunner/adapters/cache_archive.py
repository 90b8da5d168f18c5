"""Entries of a cache in one compressed file, as they lie in the store: to be carried to another one.

::

    mark 19 | zlib( header line | entry* | 0000 0000 | count 8 ) | SHA-256 of all that 32
    entry:    length 4 | key 32 | the sealed bytes

The same entries are the same bytes wherever and whenever they are written, so that a file which is kept in
git changes with its entries alone. There are no names in it that could lead anywhere. Each entry's own
seal says whether it is believed; the digest at the end says whether the file is whole.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Final, NamedTuple

from evalrunner.adapters.envelope import EPOCH, LARGEST_BODY
from evalrunner.errors import StoreError
from evalrunner.values.fingerprint import Fingerprint

MOST_INFLATED: Final = 8 * 1024**3
"""The most bytes that an archive may unpack to: some eight million answers."""

_MARK: Final = b"evalrunner cache 1\n"
_DIGEST_BYTES: Final = 32
_KEY_BYTES: Final = 32
_LARGEST_ENTRY: Final = LARGEST_BODY + 4096
_LONGEST_HEADER: Final = 4096
_READ: Final = 256 * 1024


class Written(NamedTuple):
    """What an archive came to."""

    entries: int
    bytes: int


def write_archive(
    path: Path, entries: Iterable[tuple[Fingerprint, bytes]], *, namespace: str
) -> Written:
    """Writes an archive, whole or not at all, readable by this user alone.

    Args:
        path: The file; it is replaced where it exists.
        entries: Keys of 64 hex digits and their sealed bytes, in the order of the keys.
        namespace: Whose entries they are.

    Raises:
        StoreError: The file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    count = 0
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            digest = sha256(_MARK)
            file.write(_MARK)
            packer = zlib.compressobj(6)
            for number, part in _parts(entries, namespace):
                count = number
                packed = packer.compress(part)
                digest.update(packed)
                file.write(packed)
            packed = packer.flush()
            digest.update(packed)
            file.write(packed + digest.digest())
            written = file.tell()
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(
            f"the archive {str(path)!r} cannot be written: {error.strerror or error}"
        ) from None
    finally:
        with suppress(OSError):
            draft.unlink()
    return Written(count, written)


def _parts(
    entries: Iterable[tuple[Fingerprint, bytes]], namespace: str
) -> Iterator[tuple[int, bytes]]:
    """What is packed, piece by piece, and how many entries that were so far."""
    header = {"epoch": EPOCH, "namespace": namespace}
    yield 0, json.dumps(header, sort_keys=True).encode() + b"\n"
    count = 0
    for key, raw in entries:
        count += 1
        yield count, len(raw).to_bytes(4, "big") + bytes.fromhex(key) + raw
    yield count, bytes(4) + count.to_bytes(8, "big")


class Archive:
    """An archive that is whole, opened by :func:`open_archive`.

    Attributes:
        namespace: Whose entries it says it has.
        epoch: The form of its entries and keys.
    """

    def __init__(self, file: BufferedReader, name: str, size: int) -> None:
        self._file = file
        self._name = name
        self._packed_bytes = size - len(_MARK) - _DIGEST_BYTES
        try:
            header = json.loads(self._inflated().line())
            self.namespace, self.epoch = str(header["namespace"]), str(header["epoch"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _none_of_ours(name) from None

    def entries(self) -> Iterator[tuple[Fingerprint, bytes]]:
        """Every key with its bytes, which nobody has verified yet.

        Raises:
            StoreError: It unpacks to something else than entries, or to too much.
        """
        source = self._inflated()
        source.line()
        count = 0
        while length := int.from_bytes(source.take(4), "big"):
            if length > _LARGEST_ENTRY:
                raise _none_of_ours(self._name)
            count += 1
            key = Fingerprint(source.take(_KEY_BYTES).hex())
            yield key, source.take(length)
        if int.from_bytes(source.take(8), "big") != count:
            raise _none_of_ours(self._name)

    def _inflated(self) -> _Inflated:
        self._file.seek(len(_MARK))
        return _Inflated(self._file, self._packed_bytes, self._name)


@contextmanager
def open_archive(path: Path) -> Generator[Archive]:
    """The archive in a file, for as long as the block runs.

    Raises:
        StoreError: It cannot be read, is no archive, or is not whole.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise StoreError(f"{str(path)!r} is no plain file")
            if not _is_whole(file, status.st_size):
                raise _none_of_ours(str(path))
            yield Archive(file, str(path), status.st_size)
    except OSError as error:
        raise StoreError(
            f"the archive {str(path)!r} cannot be read: {error.strerror or error}"
        ) from None


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe without waiting for somebody to write into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_whole(file: BufferedReader, size: int) -> bool:
    left = size - _DIGEST_BYTES
    if left <= len(_MARK) or file.read(len(_MARK)) != _MARK:
        return False
    digest = sha256(_MARK)
    left -= len(_MARK)
    while left and (data := file.read(min(left, _READ))):
        digest.update(data)
        left -= len(data)
    return not left and file.read() == digest.digest()


class _Inflated:
    """The unpacked bytes, a little at a time, and never more than an archive may have."""

    def __init__(self, file: BufferedReader, packed_bytes: int, name: str) -> None:
        self._file = file
        self._left = packed_bytes
        self._name = name
        self._inflater = zlib.decompressobj()
        self._ready = bytearray()
        self._total = 0

    def line(self) -> bytes:
        """The bytes up to the next line's end."""
        while b"\n" not in self._ready:
            if len(self._ready) > _LONGEST_HEADER:
                raise _none_of_ours(self._name)
            self._more()
        return self.take(self._ready.index(b"\n") + 1)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._ready) < count:
            self._more()
        taken = bytes(self._ready[:count])
        del self._ready[:count]
        return taken

    def _more(self) -> None:
        packed = self._inflater.unconsumed_tail
        if not packed:
            packed = self._file.read(min(self._left, _READ))
            self._left -= len(packed)
        try:
            data = self._inflater.decompress(packed, _READ)
        except zlib.error:
            raise _none_of_ours(self._name) from None
        self._total += len(data)
        if self._total > MOST_INFLATED:
            raise StoreError(f"{self._name!r} unpacks to more than {MOST_INFLATED:,} bytes")
        if not data and (not packed or self._inflater.eof):
            raise _none_of_ours(self._name)
        self._ready += data


def _none_of_ours(name: str) -> StoreError:
    return StoreError(
        f"{name!r} is no cache archive, or is not whole",
        hint="write one with: evalrunner cache export PATH",
    )
