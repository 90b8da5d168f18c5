"""A YAML or JSON text as values, with the line and column of every one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Final, Self, TypeAlias

from evalrunner.errors import LoadError, Problem
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json

MAX_DEPTH: Final = 64
MAX_NODES: Final = 200_000
MAX_SCALAR: Final = 1_000_000
MAX_PROBLEMS: Final = 100

Path: TypeAlias = "tuple[str | int, ...]"


class WrittenFloat(float):
    """A float that remembers how it was written, so that money never passes through binary.

    Example:
        >>> number = WrittenFloat("0.10")
        >>> number == 0.1, number.text
        (True, '0.10')
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """The float that the text spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(slots=True)
class Mark:
    """Where a value was written, both from 1, and where its children were."""

    line: int
    column: int
    children: dict[str | int, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One parsed text.

    Attributes:
        file: Its path relative to the project root.
        value: What it says; ``None`` for an empty text.
        marks: Where each part was written. An entry of a mapping is where its key stands.
    """

    file: str
    value: Json
    marks: Mark

    def mark(self, path: Iterable[str | int]) -> Mark:
        """Where the value at a path was written, or the nearest part around it.

        Steps that name nothing in the text are passed over.
        """
        mark = self.marks
        for step in path:
            mark = mark.children.get(step, mark)
        return mark

    def problem(
        self, message: str, path: Iterable[str | int] = (), *, hint: str | None = None
    ) -> Problem:
        """A problem with the value at a path."""
        mark = self.mark(path)
        return Problem(message, file=self.file, line=mark.line, column=mark.column, hint=hint)

    def error(
        self, message: str, path: Iterable[str | int] = (), *, hint: str | None = None
    ) -> LoadError:
        """The same as an exception."""
        return LoadError([self.problem(message, path, hint=hint)])


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open."""

    value: dict[str, Json] | list[Json]
    mark: Mark
    key: str | None = None
    key_mark: tuple[int, int] = (1, 1)


class TreeBuilder:
    """Builds a :class:`Document` from the events of a parser, within limits and without recursion.

    Too deep, too many or too large ends the building at once; keys given twice are gathered, and
    all of them are raised by :meth:`document`.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._frames: list[_Frame] = []
        self._root: Json = None
        self._root_mark = Mark(1, 1)
        self._nodes = 0
        self._problems: list[Problem] = []

    @property
    def expects_key(self) -> bool:
        """Whether the next scalar is the key of a mapping."""
        if not self._frames:
            return False
        top = self._frames[-1]
        return isinstance(top.value, dict) and top.key is None

    def open(self, container: dict[str, Json] | list[Json], line: int, column: int) -> None:
        """A list or mapping begins. ``container`` is a new, empty one."""
        if self.expects_key:
            raise self.error("a key must be text, not a list or mapping", line, column)
        if len(self._frames) >= MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", line, column)
        mark = self._add(container, line, column)
        self._frames.append(_Frame(container, mark))

    def close(self) -> None:
        """The innermost list or mapping ends."""
        self._frames.pop()

    def key(self, text: str, line: int, column: int) -> None:
        """The key of the next value."""
        top = self._frames[-1]
        earlier = top.mark.children.get(text)
        if earlier is not None:
            message = f"the key {text[:80]!r} is given twice, first in line {earlier.line}"
            self._problems.append(Problem(message, file=self._file, line=line, column=column))
            if len(self._problems) >= MAX_PROBLEMS:
                raise LoadError(self._problems)
        top.key = text
        top.key_mark = (line, column)

    def scalar(self, value: Json, size: int, line: int, column: int) -> None:
        """A value that holds no others. ``size`` is its length as written."""
        if size > MAX_SCALAR:
            raise self.error(f"a value is longer than {MAX_SCALAR:,} characters", line, column)
        self._add(value, line, column)

    def error(self, message: str, line: int, column: int, hint: str | None = None) -> LoadError:
        """What ends the building here, together with what was found before."""
        problem = Problem(message, file=self._file, line=line, column=column, hint=hint)
        return LoadError([*self._problems, problem])

    def document(self) -> Document:
        """The whole, once every event was told.

        Raises:
            LoadError: Keys were given twice.
        """
        if self._problems:
            raise LoadError(self._problems)
        return Document(file=self._file, value=self._root, marks=self._root_mark)

    def _add(self, value: Json, line: int, column: int) -> Mark:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            hint = "put rows into a JSONL file, which is streamed"
            raise self.error(f"more than {MAX_NODES:,} values", line, column, hint)
        if not self._frames:
            self._root, self._root_mark = value, Mark(line, column)
            return self._root_mark
        return self._add_below(self._frames[-1], value, Mark(line, column))

    def _add_below(self, top: _Frame, value: Json, mark: Mark) -> Mark:
        if isinstance(top.value, list):
            top.mark.children[len(top.value)] = mark
            top.value.append(value)
            return mark
        key = top.key or ""
        mark.line, mark.column = top.key_mark
        top.mark.children[key] = mark
        top.value[key] = value
        top.key = None
        return mark


def plain(value: Json) -> Json:
    """The value in plain dicts, lists and floats, as every other layer expects it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, float) else value
