"""Which cases of the suites a run takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from hashlib import sha256

from evalrunner.errors import UsageError
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import CaseRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part *index* of *count*, from 1. All draws and variants of a row fall into one shard."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that ``I/N`` names.

        Example:
            >>> Shard.parse("2/3")
            Shard(index=2, count=3)
        """
        match = re.fullmatch(r"([1-9]\d{0,4})/([1-9]\d{0,4})", text)
        if match is None or int(match[1]) > int(match[2]):
            raise UsageError(
                f"{text!r} is not a shard", hint="write --shard I/N with 1 <= I <= N, as in 2/4"
            )
        return cls(index=int(match[1]), count=int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, row_id: str) -> bool:
        """Whether the row belongs here; every row belongs to exactly one of the shards."""
        number = int.from_bytes(sha256(row_id.encode()).digest()[:8])
        return number % self.count == self.index - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the command line asks for.

    Attributes:
        pattern: A regular expression, or plain text, found in the id or the description.
        tags: Each must be among the row's or the suite's tags with that value.
        limit: The first so many rows of each suite that the rest lets through.
        only: The ids to take, ``None`` for all.
        shard: The part to take.
    """

    pattern: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    only: frozenset[str] | None = None
    shard: Shard | None = None

    def chooser(self) -> Chooser:
        """What is asked about one suite's cases, rows in order."""
        return Chooser(self)

    def names(self) -> Callable[[CaseRef], bool]:
        """A predicate: whether a case is among those that are asked for, whatever the limit."""
        found = self._finder()
        return lambda ref: found(ref) and self._tagged(ref) and self._named(ref)

    def _finder(self) -> Callable[[CaseRef], bool]:
        if self.pattern is None:
            return lambda _: True
        try:
            search = re.compile(self.pattern).search
        except re.error:
            search = re.compile(re.escape(self.pattern)).search
        return lambda ref: bool(search(ref.id) or search(ref.description or ""))

    def _tagged(self, ref: CaseRef) -> bool:
        return all(ref.tags.get(key) == value for key, value in self.tags.items())

    def _named(self, ref: CaseRef) -> bool:
        if self.only is not None and ref.id not in self.only:
            return False
        return self.shard is None or self.shard.holds(ref.row_id)


class Chooser:
    """Takes the cases of one suite that a selection asks for, and counts what its limit leaves out.

    A pattern, a tag, a shard or the failed cases of the last run say *which* cases are meant; only a
    limit says that some of those that are meant will do, and so only it makes a sample of them.

    Args:
        selection: What is asked for.

    Attributes:
        left_out: The cases that were asked for and that the limit did not let through.
    """

    def __init__(self, selection: Selection) -> None:
        self._names = selection.names()
        self._limit = selection.limit
        self._rows: set[str] = set()
        self.left_out = 0

    def __call__(self, ref: CaseRef) -> bool:
        """Whether the case is taken; to be asked once about each, in order."""
        if not self._names(ref):
            return False
        if self._limit is not None:
            if ref.row_id not in self._rows and len(self._rows) >= self._limit:
                self.left_out += 1
                return False
            self._rows.add(ref.row_id)
        return True
