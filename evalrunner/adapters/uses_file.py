"""When each answer was last used, without a write for each use: one small file a set of answers.

A run that used the same answers as an earlier one moves the time of that run's file; a run that used others
writes a file of its own. The name of a file is the digest of what is in it: the sorted fingerprints, 32
bytes each. When there are many, the oldest become one, with the newest of their times: an answer may then
seem to have been used later than it was, never earlier. ``RUN.run`` lists the sets that a run has used, for
a later one that uses them again without looking.
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

MOST_RUNS = 64
MOST_SETS = 16
"""Of how many sets a run's answers may be made before they become one."""

_BEGAN = ".began"
_RUN = ".run"
_KEY_BYTES = 32
_LARGEST = 256 * 1024**2


def note_run(
    store: str, run_id: str, fingerprints: Iterable[str], *, along: str | None = None
) -> bool:
    """Says that a run uses these answers of the store in this folder now.

    Args:
        store: The folder.
        run_id: The run.
        fingerprints: The answers that it looked up or asked for.
        along: An earlier run, all of whose answers it uses too.

    Returns:
        Whether that is known now; not so where nobody knows what the earlier run used. A disk that
        takes nothing costs knowledge of this use, and no error.
    """
    folder = os.path.join(store, FOLDER)
    names: list[str] = []
    if along is not None:
        names = _sets_of(folder, along)
        if not names or len(names) >= MOST_SETS or not touch_run(store, along):
            return False
    try:
        _begin(folder)
        data = b"".join(sorted({bytes.fromhex(one) for one in fingerprints}))
        if data:
            names.append(sha256(data).hexdigest())
            _note(folder, names[-1], data)
        _write(folder, run_id + _RUN, "\n".join(names).encode())
        _fold(folder)
    except OSError:
        return along is None
    return True


def touch_run(store: str, run_id: str) -> bool:
    """Says that what the run used is used again now; false where it is not known what that was."""
    folder = os.path.join(store, FOLDER)
    names = _sets_of(folder, run_id)
    try:
        for name in names:
            os.utime(os.path.join(folder, name))
    except OSError:
        return False
    return bool(names)


def last_uses(store: str) -> dict[str, float]:
    """When each answer was last used by a run of this machine, in seconds since 1970."""
    found: dict[str, float] = {}
    for moment, path in _dated(os.path.join(store, FOLDER)):  # the newest comes last and stands
        for key in _keys(path):
            found[key.hex()] = moment
    return found


def known_since(store: str) -> float | None:
    """Since when uses are written down here; ``None`` where none ever was."""
    try:
        return os.stat(os.path.join(store, FOLDER, _BEGAN)).st_mtime
    except OSError:
        return None


def _begin(folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, _BEGAN)
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _note(folder: str, name: str, data: bytes) -> None:
    try:
        os.utime(os.path.join(folder, name))
    except FileNotFoundError:
        _write(folder, name, data)


def _sets_of(folder: str, run_id: str) -> list[str]:
    """The names of the sets that a run has used; none where that is not known."""
    try:
        with open(os.path.join(folder, run_id + _RUN), "rb") as file:
            names = file.read(_LARGEST).decode("ascii", "replace").split()
    except OSError:
        return []
    return names if all(len(name) == 64 and name.isalnum() for name in names) else []


def _fold(folder: str) -> None:
    """Makes one file of the oldest half of the sets, once there are too many; forgets old runs."""
    for _, path in _dated(folder, _RUN)[:-MOST_RUNS]:
        os.unlink(path)
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


def _dated(folder: str, ending: str = "") -> list[tuple[float, str]]:
    """The files whose names have this ending, the oldest first."""
    try:
        with os.scandir(folder) as found:
            return sorted(
                (entry.stat(follow_symlinks=False).st_mtime, entry.path)
                for entry in found
                if os.path.splitext(entry.name)[1] == ending
                and entry.is_file(follow_symlinks=False)
                and not entry.name.startswith(".")
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
