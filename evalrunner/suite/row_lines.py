"""Golden rows as the lines of their file, so that lines that are known need not be parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from evalrunner.errors import ConfigError, LoadError
from evalrunner.suite.files import open_file
from evalrunner.suite.golden_formats import LINE_LIMIT
from evalrunner.suite.goldens import GoldenSource, golden_row
from evalrunner.suite.json_text import json_value
from evalrunner.values.dataclass import dataclass
from evalrunner.values.spec import Golden, SourceRef

_BOM: Final = b"\xef\xbb\xbf"
_DIGEST_BYTES: Final = 16


class RowLine(NamedTuple):
    """A row that was not parsed.

    Attributes:
        row: Which row of the suite, from 0; blank lines do not count.
        line: Which line of the file, from 1.
        data: Its bytes, without the line's end.
    """

    row: int
    line: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RowLines:
    """The rows of one file, none of them parsed.

    Attributes:
        data: The bytes of each row.
        numbers: The line that each stands in.
    """

    data: Sequence[bytes]
    numbers: Sequence[int]

    @classmethod
    def of(cls, data: bytes) -> RowLines:
        """The rows in the bytes of a file."""
        lines = data.removesuffix(b"\n").split(b"\n")
        if b"\r" not in data and all(line.startswith(b"{") for line in lines):
            return cls(lines, range(1, len(lines) + 1))
        found = [
            (number, line)
            for number, text in enumerate(lines, 1)
            if (line := text.rstrip(b"\r")) and not line.isspace()
        ]
        return cls([line for _, line in found], [number for number, _ in found])

    @property
    def dense(self) -> bool:
        """Whether every line of the file is a row."""
        return isinstance(self.numbers, range)

    def digests(self) -> list[str]:
        """What each row is known by."""
        return [line_digest(line) for line in self.data]

    def row(self, number: int) -> RowLine:
        """One of them."""
        return RowLine(number, self.numbers[number], self.data[number])


def row_lines(goldens: GoldenSource, root: Path) -> RowLines | None:
    """The lines of the rows.

    ``None`` where a row is not a line of one file, or the file has changed since it was first opened.
    """
    if goldens.raw_lines() is None or len(goldens.files) != 1:
        return None
    file = goldens.files[0]
    try:
        with open_file(root, root / file.path) as stream:
            data = stream.read()
    except ConfigError:
        return None
    if sha256(data).hexdigest() != file.sha256:
        return None
    return RowLines.of(data.removeprefix(_BOM))


def line_digest(data: bytes) -> str:
    """What a line is known by."""
    return sha256(data).hexdigest()[: 2 * _DIGEST_BYTES]


def parsed(goldens: GoldenSource, lines: Iterable[RowLine]) -> list[Golden] | None:
    """These rows as :meth:`GoldenSource.rows` gives them; ``None`` where one is not good."""
    file = goldens.files[0].path
    rows: list[Golden] = []
    for line in lines:
        try:
            value = json_value(line.data.decode("utf-8")) if len(line.data) < LINE_LIMIT else None
            if not isinstance(value, dict):
                return None
            source = SourceRef(file=file, line=line.line)
            rows.append(golden_row(line.row, value, source, goldens.read_checks))
        except (LoadError, ValueError, RecursionError):
            return None
    return rows
