"""The file formats of golden rows that need nothing but the standard library and our own parsers."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.document import read_document
from evalrunner.suite.files import name_below, open_file
from evalrunner.suite.goldens import RawRow
from evalrunner.suite.json_text import json_problem, json_value
from evalrunner.suite.tree import MAX_SCALAR, Document, plain
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.project import FileRead

LINE_LIMIT: Final = 4 * 1024 * 1024
"""The most bytes of one line of a JSONL or CSV file."""

_CHUNK: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_PARSED_CELLS: Final = ("tags", "checks")


class StreamedFile:
    """A file that is read again and again, and must be the same each time.

    Its digest is taken when it is first opened. Every later reading to the end takes it again, so
    that the rows used are the rows that were hashed.

    Raises:
        ConfigError: It cannot be read.
    """

    __slots__ = ("_path", "_root", "read")

    def __init__(self, root: Path, path: Path) -> None:
        self._root, self._path = root, path
        digest = sha256()
        with open_file(root, path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        self.read = FileRead(path=name_below(root, path), sha256=digest.hexdigest())

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its number from 1, without its end and without a byte order mark.

        Raises:
            LoadError: A line is too long, or the file is not the one that was hashed.
        """
        digest, number = sha256(), 0
        try:
            with open_file(self._root, self._path) as stream:
                while line := stream.readline(LINE_LIMIT + 1):
                    number += 1
                    if len(line) > LINE_LIMIT:
                        raise self._error(f"a line is longer than {LINE_LIMIT:,} bytes", number)
                    digest.update(line)
                    if number == 1 and line.startswith(_BOM):
                        line = line[len(_BOM) :]
                    yield number, line.rstrip(b"\r\n")
        except ConfigError as error:
            if isinstance(error, LoadError):
                raise
            raise self._error(error.message, max(number, 1)) from None
        if digest.hexdigest() != self.read.sha256:
            raise self._error("the file changed while it was read", max(number, 1))

    def _error(self, message: str, line: int) -> LoadError:
        return LoadError([Problem(message, file=self.read.path, line=line)])


class JsonLines:
    """A JSON object in every line; blank lines do not count."""

    __slots__ = ("_file",)

    def __init__(self, file: StreamedFile) -> None:
        self._file = file

    @property
    def file(self) -> str:
        """The file's path."""
        return self._file.read.path

    @property
    def files(self) -> tuple[FileRead, ...]:
        """The one file."""
        return (self._file.read,)

    def rows(self) -> Iterator[RawRow]:
        """A row for each line that is not blank."""
        name = self.file
        for number, line in self._file.lines():
            if not line or line.isspace():
                continue
            try:
                value = json_value(line.decode("utf-8"))
            except UnicodeDecodeError:
                yield number, Problem("this is not UTF-8 text", file=name, line=number)
                continue
            except ValueError as error:
                yield number, json_problem(error, name, number)
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                yield number, Problem("a row must be a JSON object", file=name, line=number)

    def raw_lines(self) -> Iterator[bytes] | None:
        """The lines that are not blank."""
        return (line for _, line in self._file.lines() if line and not line.isspace())


class CsvRows:
    """A header and rows of text."""

    __slots__ = ("_delimiter", "_file")

    def __init__(self, file: StreamedFile, delimiter: str = ",") -> None:
        self._file = file
        self._delimiter = delimiter

    @property
    def file(self) -> str:
        """The file's path."""
        return self._file.read.path

    @property
    def files(self) -> tuple[FileRead, ...]:
        """The one file."""
        return (self._file.read,)

    def rows(self) -> Iterator[RawRow]:
        """A row for each record after the header; every cell is text.

        ``id`` and ``description`` may be empty; ``tags`` and ``checks`` hold JSON where not empty.
        """
        csv.field_size_limit(MAX_SCALAR)
        # Whatever follows a broken record belongs to nothing, so the first one ends the reading.
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        header: list[str] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield line, Problem(f"this is not CSV: {error}", file=self.file, line=line)
                return
            if cells is None:
                return
            if not cells:
                continue
            if header is None:
                header = self._header(cells, line)
                continue
            yield line, self._row(header, cells, line)

    def raw_lines(self) -> Iterator[bytes] | None:
        """``None``: a record may go over several lines."""
        return None

    def _texts(self) -> Iterator[str]:
        for number, line in self._file.lines():
            try:
                yield line.decode("utf-8") + "\n"
            except UnicodeDecodeError:
                problem = Problem("this is not UTF-8 text", file=self.file, line=number)
                raise LoadError([problem]) from None

    def _header(self, cells: list[str], line: int) -> list[str]:
        names = [cell.strip() for cell in cells]
        for index, name in enumerate(names):
            message = ""
            if not name:
                message = f"column {index + 1} has no name"
            elif name in names[:index]:
                message = f"the column {name[:80]!r} is given twice"
            if message:
                raise LoadError([Problem(message, file=self.file, line=line)])
        return names

    def _row(self, header: list[str], cells: list[str], line: int) -> dict[str, Json] | Problem:
        if len(cells) != len(header):
            message = f"{len(cells)} cells where the header has {len(header)} columns"
            return Problem(message, file=self.file, line=line)
        row: dict[str, Json] = dict(zip(header, cells, strict=True))
        for name in ("id", "description", *_PARSED_CELLS):
            if row.get(name) == "":
                del row[name]
        for name in _PARSED_CELLS:
            if name in row:
                try:
                    row[name] = json_value(str(row[name]))
                except ValueError as error:
                    return Problem(f"{name}: {error}", file=self.file, line=line)
        return row


@dataclass(frozen=True, slots=True)
class DocumentRows:
    """A list of mappings in a YAML or JSON document, or in the suite itself."""

    document: Document
    path: tuple[str | int, ...]
    files: tuple[FileRead, ...]

    @property
    def file(self) -> str:
        """The document's path."""
        return self.document.file

    def rows(self) -> Iterator[RawRow]:
        """A row for each item."""
        for index, item in enumerate(self._items()):
            line = self.document.mark((*self.path, index)).line
            row = plain(item)
            if isinstance(row, dict):
                yield line, row
            else:
                yield line, self.document.problem("a row must be a mapping", (*self.path, index))

    def raw_lines(self) -> Iterator[bytes] | None:
        """``None``: a row has no line of its own."""
        return None

    def _items(self) -> Sequence[Json]:
        value: Json = self.document.value
        for step in self.path:
            value = value[step]  # type: ignore[index]  # the suite's model walked here
        if not isinstance(value, list):
            raise self.document.error("golden rows must be a list of mappings", self.path)
        return value


@dataclass(frozen=True, slots=True)
class OneEmptyRow:
    """What a suite without goldens is asked with: its prompts, once."""

    file: str
    line: int = 1
    files: tuple[FileRead, ...] = ()

    def rows(self) -> Iterator[RawRow]:
        """One row without variables."""
        yield self.line, {}

    def raw_lines(self) -> Iterator[bytes] | None:
        """``None``: there are no lines."""
        return None


def file_rows(root: Path, path: Path) -> JsonLines | CsvRows | DocumentRows:
    """The rows of a file, by its ending.

    Raises:
        ConfigError: It cannot be read, or has an ending that we do not know.
        LoadError: It is a YAML or JSON document, and not a good one.
    """
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLines(StreamedFile(root, path))
        case ".csv":
            return CsvRows(StreamedFile(root, path))
        case ".tsv":
            return CsvRows(StreamedFile(root, path), delimiter="\t")
        case ".json" | ".yaml" | ".yml":
            read, document = read_document(root, path)
            without_data = FileRead(path=read.path, sha256=read.sha256)
            return DocumentRows(document, (), (without_data,))
        case _:
            raise ConfigError(
                f"{path.name!r} is no golden file that we know",
                hint="use .jsonl, .json, .csv, .tsv, .yaml or .parquet",
            )
