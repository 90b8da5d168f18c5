"""What was recorded about a run, so that the same run can be answered while nothing has changed.

A record lies in the folder of the disk store whose answers it speaks of, under the name of the command
line that it answers. It holds the digest of every file that the run has read, and it is read before
anything else is imported: this module imports the standard library's lightest parts alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from functools import cache

from evalrunner.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Record = Mapping[str, object]

FOLDER = "unchanged"
FORM = 1
SUITE_ENDINGS = (".yaml", ".yml", ".json")
MOST_BYTES = 4 * 1024 * 1024
MOST_RECORDS = 32

_ASKS_FOR_MORE = frozenset("-o --output --json -v --verbose".split())
_TAKES_VALUE = frozenset(
    "-k --filter --tag -n --limit --shard --repeat --var --max-usd -j --max-concurrency -o --output".split()
)
_FLAGS = frozenset(
    "--no-progress --no-preflight -q --quiet --warn-only --frozen --json -v --verbose".split()
)
_CHANGES_NOTHING = frozenset({"-j", "--max-concurrency", "-o", "--output"})
_LIBRARIES = (
    "google_re2",
    "jinja2",
    "jsonschema_rs",
    "pydantic",
    "pyyaml",
    "rapidfuzz",
    "sqlglot",
    "xllamacpp",
    "genai_prices",
)
"""Distributions whose release can change a verdict, a price or an answer."""


def selection_of(arguments: Sequence[str]) -> list[str] | None:
    """The words of a ``run`` command line that choose cases or set ceilings, in their order.

    Words that change no verdict are left out. ``None`` where another word stands there: such a run is
    neither recorded nor answered.

    Example:
        >>> selection_of(["suites/a.yaml", "-j", "5", "-q", "--limit", "3"])
        ['suites/a.yaml', '--limit', '3']
        >>> selection_of(["--recache"]) is None
        True
    """
    chosen: list[str] = []
    words = iter(arguments)
    for word in words:
        name, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-"):
            chosen.append(word)
        elif name in _TAKES_VALUE:
            value = value if joined else next(words, "")
            if name not in _CHANGES_NOTHING:
                chosen += [name, value]
        elif word not in _FLAGS:
            return None
    return chosen


def asks_for_more(arguments: Sequence[str]) -> bool:
    """Whether more than the one screen is wanted, which a record cannot give.

    Example:
        >>> asks_for_more(["-q", "--output=run.json"])
        True
    """
    return any(word.partition("=")[0] in _ASKS_FOR_MORE for word in arguments)


def key_of(selection: Sequence[str], folder: str, environ: Mapping[str, str]) -> str:
    """The name of the record of this selection, made in *folder* of the project (a relative path).

    Inside are the versions of Python, of this program and of the libraries that checks use, and every
    variable of ours.
    """
    settings = {
        name: value
        for name, value in environ.items()
        if name.startswith("EVALRUNNER_") and name != "EVALRUNNER_FROZEN"
    }
    parts = [
        FORM,
        list(selection),
        folder,
        settings,
        sys.version,
        __version__,
        _program(),
        _releases(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _program() -> list[list[object]]:
    """Our own modules by size, and in a checkout by time: there code changes without a version.

    This process has imported what it has imported, so that one look is enough.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    in_checkout = os.path.exists(os.path.join(os.path.dirname(package), "pyproject.toml"))
    found: list[list[object]] = []
    folders = [package]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        folders.append(entry.path)
                    continue
                status = entry.stat()
                moment = status.st_mtime_ns if in_checkout else 0
                found.append([entry.path[len(package) :], status.st_size, moment])
    return sorted(found)


@cache
def _releases() -> list[str]:
    """The installed releases, read from the names of metadata folders."""
    found: list[str] = []
    for place in sys.path:
        if place.endswith(("site-packages", "dist-packages")) and os.path.isdir(place):
            found += [
                name
                for name in os.listdir(place)
                if name.endswith(".dist-info") and name.lower().startswith(_LIBRARIES)
            ]
    return sorted(found)


def read_record(store: str, key: str) -> Record | None:
    """The record of that name, if it is there and whole."""
    try:
        with open(os.path.join(store, FOLDER, key), "rb") as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return None
    seal, _, body = data.partition(b"\n")
    if seal != _seal(key, body):
        return None
    record = json.loads(body)
    return record if isinstance(record, dict) else None


def write_record(store: str, key: str, record: Record) -> None:
    """Keeps a record. A disk that does not take it costs a later run time, nothing else."""
    body = json.dumps(record).encode()
    folder = os.path.join(store, FOLDER)
    draft = os.path.join(folder, f".{key}.{os.getpid()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(draft, "wb", opener=_private) as file:
            file.write(_seal(key, body) + b"\n" + body)
        os.replace(draft, os.path.join(folder, key))
        _forget_oldest(folder)
    except OSError:
        return


def _forget_oldest(folder: str) -> None:
    """Keeps as many records as a project has use for."""
    with os.scandir(folder) as found:
        dated = sorted((entry.stat().st_mtime_ns, entry.path) for entry in found)
    for _, path in dated[:-MOST_RECORDS]:
        os.unlink(path)


def ordinary_root(folder: str) -> str | None:
    """The nearest folder upwards with a configuration, if that is ``evalrunner.yaml`` alone."""
    while True:
        if os.path.exists(os.path.join(folder, "evalrunner.yaml")):
            return os.path.realpath(folder)
        if os.path.exists(os.path.join(folder, "pyproject.toml")):
            with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
                if b"evalrunner" in file.read():
                    return None
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def may_sign(root: str) -> bool:
    """Whether the configuration may ask for signatures, which no record has: then none is believed.

    It is asked before the configuration is parsed: a word that only looks like it costs time, nothing else.
    """
    with open(os.path.join(root, "evalrunner.yaml"), "rb") as file:
        return b"sign" in file.read()


def digest_of(path: str) -> str | None:
    """The digest of a regular file's bytes, ``None`` where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def listing_of(folder: str) -> list[str]:
    """Every file below a folder that could be a suite, by its relative path."""
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
        if name.endswith(SUITE_ENDINGS)
    )


def status_of(path: str) -> list[int] | None:
    """Size and time of a file that is too large to be read each time."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def touch_of(path: str) -> list[int] | None:
    """Which file stands there, and when anything about it was last changed.

    Nobody can choose that moment: a file that was written, copied or checked out anew has another.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    moments = [status.st_mtime_ns, status.st_ctime_ns]
    return [status.st_dev, status.st_ino, status.st_size, *moments]


def _seal(key: str, body: bytes) -> bytes:
    """Binds a body to its name, so that a damaged or renamed record is none."""
    return (
        hashlib.sha256(b"evalrunner unchanged\0" + key.encode() + b"\0" + body).hexdigest().encode()
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
