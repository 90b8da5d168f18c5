"""Golden rows, streamed: as often as wanted, with flat memory, each with the line it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from hashlib import sha256
from typing import Final, Protocol, TypeAlias

from evalrunner.errors import LoadError, Problem
from evalrunner.suite.labels import checked_label, tag_texts
from evalrunner.suite.tree import MAX_PROBLEMS
from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.project import FileRead
from evalrunner.values.spec import CheckSpec, Golden, SourceRef

RESERVED: Final = frozenset({"id", "description", "tags", "checks"})
"""Keys of a row that are not variables."""

_encode: Final = compact_encoder(allow_nan=False, sort_keys=True)

RawRow: TypeAlias = tuple[int, "dict[str, Json] | Problem"]
"""The line of a row, and the row as read or what is wrong with it."""

ReadChecks: TypeAlias = Callable[[Json, SourceRef], tuple[CheckSpec, ...]]
"""Turns a row's ``checks`` into specs; raises ``LoadError``."""


class RowFormat(Protocol):
    """A file format: where rows come from."""

    @property
    def file(self) -> str:
        """What errors call it: a path relative to the root, or an address."""
        ...

    @property
    def files(self) -> tuple[FileRead, ...]:
        """The files that the rows come from, by digest; without their data."""
        ...

    def rows(self) -> Iterator[RawRow]:
        """The rows from the beginning."""
        ...

    def raw_lines(self) -> Iterator[bytes] | None:
        """The bytes of each row, where a row is a line."""
        ...


MOST_KEPT: Final = 20_000
"""Rows that are kept from their check to their first use; more are read twice, with flat memory."""


@dataclass(frozen=True, slots=True)
class GoldenSource:
    """The golden rows of one suite, read again by each iteration.

    Only the first one after :meth:`problems` is given the very rows that were found to be good.

    Attributes:
        format: Where they come from.
        read_checks: What turns a row's own checks into specs.
    """

    format: RowFormat
    read_checks: ReadChecks
    _kept: list[list[Golden]] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def files(self) -> tuple[FileRead, ...]:
        """The files behind it, by digest."""
        return self.format.files

    def rows(self) -> Iterator[Golden]:
        """The rows in their order.

        Raises:
            LoadError: A row is not good, or the file is another than at the first reading. It comes
                when the row's turn comes; :meth:`problems` finds all at once beforehand.
        """
        if self._kept:
            yield from self._kept.pop()
            return
        found: Golden | Problem | None = None
        for found in self._read():
            if isinstance(found, Problem):
                raise LoadError([found])
            yield found
        if found is None:
            raise LoadError([self._no_row()])

    def good_rows(self) -> Iterator[Golden]:
        """The rows with nothing wrong in them, in their order."""
        return (found for found in self._read() if not isinstance(found, Problem))

    def problems(self) -> list[Problem]:
        """What is wrong with the rows, ids given twice included; at most a hundred findings."""
        problems: list[Problem] = []
        lines: dict[str, int] = {}
        good: list[Golden] = []
        number = 0
        for number, found in enumerate(self._read(), 1):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.id is not None and (twice := _given_twice(found, lines)):
                problems.append(twice)
            elif number <= MOST_KEPT:
                good.append(found)
            if len(problems) >= MAX_PROBLEMS:
                break
        self._kept[:] = [good] if number and len(good) == number else []
        return problems if number else [self._no_row()]

    @property
    def remote(self) -> bool:
        """Whether the rows come over the network, or from an earlier reading of it."""
        return not self.format.files and self.format.file.startswith("hf://")

    def raw_lines(self) -> Iterator[bytes] | None:
        """The bytes of each row without its line end, in the order of :meth:`rows`.

        ``None`` where a row is not a line of its file.
        """
        return self.format.raw_lines()

    def _no_row(self) -> Problem:
        # A suite that tests nothing would hold for ever, also when its rows were lost by mistake.
        hint = "add a row, or remove the suite"
        return Problem("there is no golden row here", file=self.format.file, line=1, hint=hint)

    def _read(self) -> Iterator[Golden | Problem]:
        file = self.format.file
        try:
            for number, (line, raw) in enumerate(self.format.rows()):
                if isinstance(raw, Problem):
                    yield raw
                    continue
                try:
                    yield golden_row(number, raw, SourceRef(file=file, line=line), self.read_checks)
                except LoadError as error:
                    yield from error.problems
                except (ValueError, RecursionError) as error:
                    yield Problem(str(error), file=file, line=max(line, 1))
        except LoadError as error:
            yield from error.problems


def golden_row(
    number: int, raw: Mapping[str, Json], source: SourceRef, read_checks: ReadChecks
) -> Golden:
    """One row as a value.

    Raises:
        ValueError: A reserved key holds what it may not.
        LoadError: Its checks are not good.
    """
    if RESERVED.isdisjoint(raw):
        return Golden(row=number, id=None, vars=raw, source=source, digest=row_digest(raw))
    variables = {key: value for key, value in raw.items() if key not in RESERVED}
    checks = raw.get("checks")
    return Golden(
        row=number,
        id=_row_id(raw.get("id")),
        vars=variables,
        description=_description(raw.get("description")),
        tags=_tags(raw.get("tags")),
        checks=read_checks(checks, source) if checks is not None else (),
        source=source,
        digest=row_digest(variables),
    )


def row_digest(variables: Mapping[str, Json]) -> str:
    """The first 12 hex digits of the digest of a row's variables.

    The same as those of :func:`evalrunner.values.fingerprint.digest`. What a JSON parser made goes to
    the encoder as it is; only a negative zero needs the longer way.

    Raises:
        ValueError: The row cannot be written as JSON.
    """
    try:
        text = _encode(variables)
    except TypeError:
        text = canonical_json(variables)
    if "-0.0" in text:
        text = canonical_json(variables)
    return sha256(text.encode("ascii")).hexdigest()[:12]


def row_ids(rows: Iterable[Golden]) -> Iterator[tuple[str, Golden]]:
    """Each row with the ROW part of its case ids.

    That is the row's own ``id``, else the digest of its variables; the second identical row gets
    ``-2``, the third ``-3``. So an id survives reordering and edits to other rows.

    Raises:
        LoadError: An id stands twice; the problem names both lines.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    for row in rows:
        if row.id is not None:
            twice = _given_twice(row, lines)
            if twice is not None:
                raise LoadError([twice])
            yield row.id, row
            continue
        count = counts.get(row.digest, 0) + 1
        counts[row.digest] = count
        yield (row.digest if count == 1 else f"{row.digest}-{count}"), row


def _given_twice(row: Golden, lines: dict[str, int]) -> Problem | None:
    name = row.id or ""
    first = lines.get(name)
    if first is None:
        lines[name] = row.source.line
        return None
    message = f"the id {name!r} is given twice, first in line {first}"
    return Problem(message, file=row.source.file, line=row.source.line)


def _row_id(value: Json) -> str | None:
    if value is None:
        return None
    text = str(value) if type(value) is int else value
    if not isinstance(text, str):
        raise ValueError("id: this must be text")
    try:
        return checked_label(text)
    except ValueError as error:
        raise ValueError(f"id: {error}") from None


def _tags(value: Json) -> Mapping[str, str]:
    return {} if value is None else tag_texts(value)


def _description(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError("description: this must be text")
