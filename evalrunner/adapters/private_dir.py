"""Directories of ours on the user's disk: private, self-describing, and never somebody else's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from evalrunner.errors import StoreError

CACHE_TAG: Final = {
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory is a cache that evalrunner made. Backups may leave it out.\n"
}
"""The mark by which backup programs know a directory that they may leave out."""


def open_private_dir(path: Path, files: Mapping[str, str]) -> bool:
    """Makes the directory where it is missing, mode 0700, and puts ``files`` into it.

    Any number of processes may do this at once: files appear whole or not at all, and those that
    exist are left alone.

    Args:
        path: Missing parents are made too.
        files: Name and text of what explains the directory to whoever finds it.

    Returns:
        Whether files can be written there. A full or read-only disk is no error here.

    Raises:
        StoreError: The path is a link, no directory, another user's, or writable by everybody, so
            that somebody else may have written what we would read.

    Example:
        >>> from tempfile import mkdtemp
        >>> home = Path(mkdtemp()) / "cache"
        >>> open_private_dir(home, {"README": "mine"}), (home / "README").read_text()
        (True, 'mine')
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    refuse_strange_dir(path)
    for name, text in files.items():
        _write_once(path / name, text)
    return os.access(path, os.W_OK | os.X_OK)


def refuse_strange_dir(path: Path) -> None:
    """Raises :class:`StoreError` where the path exists but is not a directory of our own."""
    try:
        found = path.lstat()
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise _refusal(path, "it is a symbolic link", "name the directory that it points to")
    if not stat.S_ISDIR(found.st_mode):
        raise _refusal(path, "it is not a directory", "move it away")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise _refusal(path, "it belongs to another user", f"chown it, or remove {str(path)!r}")
    if found.st_mode & stat.S_IWOTH and os.name == "posix":
        raise _refusal(path, "everybody may write to it", f"chmod 0700 {str(path)!r}")


def is_strange_file(path: Path) -> bool:
    """Whether something lies there that is no plain file of ours with one name only.

    Links, pipes, devices and directories are strange; a path where nothing lies is not.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    ours = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return not (stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and ours)


def write_atomically(
    path: Path, content: str | bytes | Iterable[bytes | memoryview], *, sync: bool = True
) -> None:
    """Replaces a file as a whole: a reader, or a kill, sees the old text or the new one.

    Args:
        path: The file.
        content: All that it is to hold, at once or in pieces; a text becomes UTF-8.
        sync: Whether a power failure, too, leaves one of the two.

    Raises:
        OSError: The file could not be written; the old one is untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            if isinstance(content, str):
                content = content.encode()
            stream.writelines([content] if isinstance(content, bytes) else content)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _write_once(path: Path, text: str) -> None:
    if os.path.lexists(path):
        return
    with suppress(OSError):
        write_atomically(path, text, sync=False)


def _refusal(path: Path, why: str, hint: str) -> StoreError:
    return StoreError(f"{str(path)!r} is not used: {why}", hint=hint)
