"""Leases between the runs of one machine: locks on single bytes of one file, which the kernel keeps.

The kernel gives a dead owner's locks free at once, whatever killed it; there is no clock and nothing to
clean up. A key's byte lies at an offset made from its fingerprint, far beyond the end of the file, which
stays empty: ten thousand leases are ten thousand numbers in the kernel.

Byte 0 says who is there. A run that is alone holds it for itself and then needs no other lock. A run that
comes later knocks at byte 1; the first then locks the keys that it is paying for, and both share byte 0
from then on.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from evalrunner.values.fingerprint import Fingerprint

FILE_NAME: Final = ".leases"

_PRESENCE: Final = 0
_KNOCKER: Final = 1
_FIRST_KEY: Final = 2
_OFFSET_DIGITS: Final = 15  # of 16 bits a quarter: 60 bits, where two keys of one run do not meet

# Locks of an open file go with their file; POSIX's older ones with any other handle to it that closes.
_OF_OPEN_FILE: Final = sys.platform == "linux" and struct.calcsize("P") == 8
_FLOCK: Final = struct.Struct("hhqqi4x")
_inherited: Final[set[int]] = set()


class _Place(Enum):
    """Where a run stands towards others at the same store."""

    ALONE = auto()
    AMONG_OTHERS = auto()
    OUTSIDE = auto()  # somebody is alone, and has not heard us knock yet


def open_file_leases(home: Path, *, changed: Callable[[], bool]) -> FileLeases | None:
    """The leases of the store in that directory; ``None`` where it cannot be written.

    Args:
        home: The store's directory, which exists.
        changed: Whether others may have written to the store since this run began to read it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(home / FILE_NAME, flags, 0o600)
    except OSError:
        return None
    return FileLeases(descriptor, changed=changed)


class FileLeases:
    """A :class:`~evalrunner.engine.ports.Leases` by file locks; see :func:`open_file_leases`."""

    tend_seconds: float = 0.05

    def __init__(self, descriptor: int, *, changed: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        _inherited.add(descriptor)
        self._place = _Place.ALONE if self._lock(_PRESENCE) else _Place.OUTSIDE
        self._as_read = self._place is _Place.ALONE and not changed()

    @property
    def alone(self) -> bool:
        """Whether nobody else is there, and nobody was since the store was read."""
        return self._as_read and self._place is _Place.ALONE

    async def take(self, keys: Sequence[Fingerprint]) -> AbstractSet[Fingerprint]:
        """Those of the keys that no other run holds; see the port."""
        if self._place is _Place.OUTSIDE:
            self._come_in()
        if self._place is _Place.ALONE:
            return frozenset(keys)
        if self._place is _Place.OUTSIDE:
            return frozenset()
        return {key for key in keys if self._lock(_byte(key))}

    def release(self, keys: Sequence[Fingerprint]) -> None:
        """Gives them back at once; see the port."""
        if self._place is _Place.AMONG_OTHERS:
            for key in keys:
                self._unlock(_byte(key))

    async def tend(self, held: Sequence[Fingerprint]) -> None:
        """Lets in whoever knocks, after locking what is being paid for."""
        if self._place is not _Place.ALONE:
            return
        if self._lock(_KNOCKER):
            self._unlock(_KNOCKER)
            return
        for key in held:
            self._lock(_byte(key))
        self._lock(_PRESENCE, shared=True)
        self._place = _Place.AMONG_OTHERS

    async def aclose(self) -> None:
        """Gives everything back."""
        if self._descriptor in _inherited:
            _inherited.discard(self._descriptor)
            os.close(self._descriptor)

    def _come_in(self) -> None:
        if self._lock(_PRESENCE, shared=True):
            self._unlock(_KNOCKER)
            self._place = _Place.AMONG_OTHERS
        else:
            self._lock(_KNOCKER, shared=True)

    def _lock(self, byte: int, *, shared: bool = False) -> bool:
        """Locks a byte, if nobody holds it. A file system without locks refuses nobody."""
        try:
            _set_lock(self._descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, byte)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            return False
        except OSError:
            return True
        return True

    def _unlock(self, byte: int) -> None:
        with suppress(OSError):
            _set_lock(self._descriptor, fcntl.LOCK_UN, byte)


def _byte(key: Fingerprint) -> int:
    return _FIRST_KEY + int(key[:_OFFSET_DIGITS], 16)


if _OF_OPEN_FILE:
    _KINDS: Final = {
        fcntl.LOCK_SH: fcntl.F_RDLCK,
        fcntl.LOCK_EX: fcntl.F_WRLCK,
        fcntl.LOCK_UN: fcntl.F_UNLCK,
    }

    def _set_lock(descriptor: int, kind: int, byte: int) -> None:
        lock = _FLOCK.pack(_KINDS[kind], os.SEEK_SET, byte, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)

else:

    def _set_lock(descriptor: int, kind: int, byte: int) -> None:
        patience = 0 if kind == fcntl.LOCK_UN else fcntl.LOCK_NB
        fcntl.lockf(descriptor, kind | patience, 1, byte, os.SEEK_SET)


def _leave_to_parent() -> None:
    """Closes, in a forked child, what would keep the parent's locks after its death."""
    while _inherited:
        with suppress(OSError):
            os.close(_inherited.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
