"""Tables of spend as files: CSV, gzip and Parquet, read row by row and never without bound."""

from __future__ import annotations

import csv
import glob
import gzip
import importlib
import io
import json
import os
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, Any, Final, cast

from evalrunner.errors import ConfigError, SpendError
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.spend import SpendSpec

MOST_BYTES: Final = 4 * 1024**3
"""The most that one file may hold, inflated."""

MOST_FIELD: Final = 1024 * 1024
_MOST_SEEN: Final = 5_000_000

Row = Mapping[str, Any]
Note = Callable[[str], None]


def table_rows(spec: SpendSpec, root: Path, note: Note) -> Iterator[tuple[str, Row]]:
    """The rows of all files that ``path`` names, each with its file's name.

    A file that is there twice, under whatever names, is read once; and so is a row that stands in
    several files, since exports of the same days overlap. Either is noted.

    Raises:
        SpendError: No file is there, or one cannot be read to its end.
        ConfigError: A Parquet file is there, and nothing that reads it.
    """
    paths = _paths(spec, root, note)
    earlier: set[bytes] = set()
    for path in paths:
        here: set[bytes] = set()
        for row in _rows(path, spec.name):
            if len(paths) > 1 and len(earlier) < _MOST_SEEN:
                mark = _mark(row)
                here.add(mark)
                if mark in earlier:
                    note(f"rows of {path.name} stand in another file too, and are counted once")
                    continue
            yield path.name, row
        earlier |= here


def _paths(spec: SpendSpec, root: Path, note: Note) -> list[Path]:
    """The files, each content once, in the order of their names."""
    patterns = spec.texts("path")
    found = sorted(
        {
            os.path.realpath(name)
            for pattern in patterns
            for name in glob.glob(str(root / pattern), recursive=True)
            if os.path.isfile(name)
        }
    )
    if not found:
        raise SpendError(
            f"{spec.name}: no file matches {', '.join(map(repr, patterns))} below the project root",
            hint="put the export there, or name it in path:",
        )
    contents = {_digest(Path(name)): Path(name) for name in reversed(found)}
    if len(contents) < len(found):
        note("a file is there more than once, and is read once")
    return list(contents.values())[::-1]


def _digest(path: Path) -> bytes:
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1024 * 1024):
            digest.update(block)
    return digest.digest()


def _mark(row: Row) -> bytes:
    text = json.dumps(row, sort_keys=True, default=str)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _rows(path: Path, name: str) -> Iterator[Row]:
    try:
        if path.name.lower().endswith((".parquet", ".parq")):
            yield from _parquet_rows(path, name)
        else:
            with _text(path) as stream:
                yield from _csv_rows(stream, path, name)
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise SpendError(f"{name}: {path.name!r} cannot be read: {error}") from error


@contextmanager
def _text(path: Path) -> Generator[IO[str]]:
    """The file as text, inflated where its first bytes say gzip."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if packed else nullcontext(raw) as stream:
            yield io.TextIOWrapper(cast("IO[bytes]", stream), encoding="utf-8-sig", newline="")


def _csv_rows(stream: IO[str], path: Path, name: str) -> Iterator[Row]:
    csv.field_size_limit(MOST_FIELD)
    bounded = _bounded(stream, path, name)
    try:
        reader = csv.reader(bounded, strict=True)
        columns = next(reader, [])
        if len(set(columns)) != len(columns):
            raise SpendError(f"{name}: {path.name!r} names a column twice")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                where = f"{path.name}:{reader.line_num}"
                raise SpendError(
                    f"{name}: {where}: {len(cells)} cells below {len(columns)} columns"
                )
            yield dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise SpendError(f"{name}: {path.name!r} is no CSV: {error}") from error


def _bounded(stream: IO[str], path: Path, name: str) -> Iterator[str]:
    total = 0
    while line := stream.readline(MOST_FIELD * 4):
        total += len(line)
        if total > MOST_BYTES:
            raise SpendError(f"{name}: {path.name!r} holds more than {MOST_BYTES:,} bytes")
        yield line


def _parquet_rows(path: Path, name: str) -> Iterator[Row]:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"{name}: {path.name!r} is Parquet, and pyarrow is not installed",
            hint="pip install 'evalrunner[hf]'",
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise SpendError(f"{name}: {path.name!r} is no Parquet: {error}") from error


def cell_text(value: object) -> str | None:
    """A cell as text; empty and ``null`` ones are none."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _plain(value)
    return None if text.strip() in {"", "NULL", "null"} else text.strip()


def _plain(value: object) -> str:
    iso = getattr(value, "isoformat", None)
    return str(iso()) if callable(iso) else str(value)


class AskedColumns:
    """The names that a filter asks for and that no row seen so far could answer.

    A name that is mistyped, or that an export has dropped, would select nothing or exclude nothing
    without anybody noticing: evals would count as production.

    Args:
        spec: Whose filter.
        tells: Whether a row with these columns may say something about a name.
    """

    def __init__(self, spec: SpendSpec, tells: Callable[[Row, str], bool]) -> None:
        self._spec = spec
        self._tells = tells
        self._missing = set(spec.filter.names)
        self._columns: dict[str, None] = {}
        self._file: str | None = None

    def see(self, file: str, row: Row) -> None:
        """Looks at the first row of each file, whose columns are those of all."""
        if file == self._file:
            return
        self._file = file
        self._columns |= dict.fromkeys(row)
        self._missing = {name for name in self._missing if not self._tells(row, name)}

    def require(self) -> None:
        """Raises the SpendError that names what no file has."""
        for name in sorted(self._missing):
            raise SpendError(
                f"{self._spec.name}: no file has the column {name!r} that the filter names",
                hint=did_you_mean(name, self._columns)
                or f"there are {', '.join(map(repr, list(self._columns)[:8]))}",
            )


def cell_mapping(value: object) -> Mapping[str, object] | None:
    """A cell that holds keys and values: JSON text, a mapping, or a list of pairs.

    ``None`` where it holds something else, of which nobody knows what it says.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        text = cell_text(value)
        try:
            value = {} if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        pairs = [pair for pair in value if isinstance(pair, Sequence) and len(pair) == 2]
        return {str(pair[0]): pair[1] for pair in pairs}
    return {} if value is None else None
