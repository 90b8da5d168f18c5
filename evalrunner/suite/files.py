"""Reading files that somebody else may have written: regular ones, inside the root, of bounded size."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from evalrunner.errors import ConfigError
from evalrunner.values.project import FileRead

DOCUMENT_LIMIT: Final = 5 * 1024 * 1024
"""The most bytes of a configuration, a suite, a schema or a prompt."""

FILE_SCHEME: Final = "file://"

_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO opens at once instead of waiting for a writer
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_file(root: Path, path: Path, *, limit_bytes: int = DOCUMENT_LIMIT) -> FileRead:
    """The bytes of one file and their digest, from one single reading.

    Args:
        root: The folder that the file must lie in once all links are resolved.
        path: The file; a relative path is taken from the current folder.
        limit_bytes: The most that is read.

    Raises:
        ConfigError: The file is missing, unreadable, too large, outside the root, or not a regular
            file. A FIFO or a device is refused without waiting.
    """
    with open_file(root, path) as stream:
        data = stream.read(limit_bytes + 1)
    name = name_below(root, path)
    if len(data) > limit_bytes:
        raise ConfigError(f"{name!r} is larger than {limit_bytes:,} bytes")
    return FileRead(path=name, sha256=sha256(data).hexdigest(), data=data)


@contextmanager
def open_file(root: Path, path: Path) -> Generator[BinaryIO, None, None]:
    """The file opened for streaming, under the same rules as :func:`read_file`.

    Errors while the caller reads are mapped too.
    """
    name = _shown(path)
    try:
        real = _real_path(root, path)
        descriptor = os.open(real, _OPEN_FLAGS)
        with os.fdopen(descriptor, "rb", buffering=1 << 18) as stream:
            _refuse_irregular(name, descriptor)
            _refuse_swapped(root, path, descriptor)
            yield stream
    except FileNotFoundError:
        raise ConfigError(f"there is no file {name!r}") from None
    except IsADirectoryError:
        raise ConfigError(f"{name!r} is a folder, not a file") from None
    except OSError as error:
        raise ConfigError(f"{name!r} cannot be read: {error.strerror or 'unreadable'}") from None


def resolve_reference(reference: str, from_file: Path, root: Path) -> Path:
    """The file that ``file://…`` in ``from_file`` names, links resolved.

    The rest of the reference is a path with forward slashes, relative to the folder of ``from_file``.
    It is taken as written: nothing is decoded or expanded.

    Raises:
        ConfigError: It names nothing that lies inside the root.
    """
    text = reference.removeprefix(FILE_SCHEME)
    if not text.strip():
        raise ConfigError(f"{reference!r} names no file")
    if "\\" in text:
        raise ConfigError(f"{reference!r} has a backslash", hint="write it with forward slashes")
    return _real_path(root, from_file.parent / text)


def name_below(root: Path, path: Path) -> str:
    """The path relative to the root with forward slashes, or as it is where it lies elsewhere."""
    try:
        return Path(os.path.realpath(path)).relative_to(os.path.realpath(root)).as_posix()
    except (ValueError, OSError):
        return PurePosixPath(path).as_posix()


def text_of(data: bytes, name: str) -> str:
    r"""The UTF-8 text of a file: byte order mark dropped, every line ended by ``\n`` alone.

    So a checkout on Windows sends and hashes the same text as one on Linux. Unicode is not normalised.

    Raises:
        ConfigError: The bytes are not UTF-8.

    Example:
        >>> text_of(b"\xef\xbb\xbfa\r\nb", "x.txt")
        'a\nb'
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name!r} is not UTF-8 text (line {line})", hint="save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n")


def _real_path(root: Path, path: Path) -> Path:
    """The path without links, refused where it leaves the root."""
    try:
        real = Path(os.path.realpath(path))
        inside = real.is_relative_to(os.path.realpath(root))
    except (ValueError, OSError):
        raise ConfigError(f"{_shown(path)!r} is not a path") from None
    if not inside:
        raise ConfigError(
            f"{_shown(path)!r} lies outside the project root",
            hint="copy the file into the project",
        )
    return real


def _refuse_irregular(name: str, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{name!r} is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{name!r} is not a regular file")


def _refuse_swapped(root: Path, path: Path, descriptor: int) -> None:
    """Refuses a file that a link led to between the look and the opening.

    What is open must be what the path names now, and that must lie inside the root.
    """
    if not os.path.samestat(os.fstat(descriptor), os.stat(_real_path(root, path))):
        raise ConfigError(f"{_shown(path)!r} changed while it was opened", hint="try again")


def _shown(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:200]}…"
