"""When each answer was last used, without a write for each use: one small file a set of answers.

A run that used the same answers as an earlier one moves the time of that run's file; a run that used others
writes a file of its own. The name of a file is the digest of what is in it: the sorted fingerprints, 32
bytes each. When there are many, the oldest become one, with the newest of their times: an answer may then
seem to have been used later than it was, never earlier.
"""

from __future__ import annotations

import os
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "uses"
MOST_FILES = 64
"""How many sets are kept apart."""

_KEY_BYTES = 32
_LARGEST = 256 * 1024**2


def note_uses(store: str, fingerprints: Iterable[str]) -> str:
    """Says that these answers of the store in this folder are used now. Returns the set's name.

    A disk that takes nothing costs knowledge of this use, and no error.
    """
    data = b"".join(sorted({bytes.fromhex(one) for one in fingerprints}))
    name = sha256(data).hexdigest()
    if not data or touch_uses(store, name):
        return name
    folder = os.path.join(store, FOLDER)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _write(folder, name, data)
        _fold(folder)
    except OSError:
        pass
    return name


def touch_uses(store: str, name: str) -> bool:
    """Says that the set of that name is used now; false where it is not known here."""
    try:
        os.utime(os.path.join(store, FOLDER, name))
    except OSError:
        return False
    return True


def last_uses(store: str) -> dict[str, float]:
    """When each answer was last used by a run of this machine, in seconds since 1970."""
    found: dict[str, float] = {}
    for moment, path in _dated(os.path.join(store, FOLDER)):  # the newest comes last and stands
        for key in _keys(path):
            found[key.hex()] = moment
    return found


def _fold(folder: str) -> None:
    """Makes one file of the oldest half, once there are too many."""
    dated = _dated(folder)
    if len(dated) <= MOST_FILES:
        return
    oldest = dated[: len(dated) // 2]
    data = b"".join(sorted({key for _, path in oldest for key in _keys(path)}))
    name = sha256(data).hexdigest()
    _write(folder, name, data)
    os.utime(os.path.join(folder, name), (oldest[-1][0], oldest[-1][0]))
    for _, path in oldest:
        if os.path.basename(path) != name:
            os.unlink(path)


def _dated(folder: str) -> list[tuple[float, str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(
                (entry.stat(follow_symlinks=False).st_mtime, entry.path)
                for entry in found
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")
            )
    except OSError:
        return []


def _keys(path: str) -> list[bytes]:
    """The fingerprints in a file; none where it is not what its name says."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        return []
    if sha256(data).hexdigest() != os.path.basename(path) or len(data) % _KEY_BYTES:
        return []
    return [data[at : at + _KEY_BYTES] for at in range(0, len(data), _KEY_BYTES)]


def _write(folder: str, name: str, data: bytes) -> None:
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
    os.replace(draft, os.path.join(folder, name))
