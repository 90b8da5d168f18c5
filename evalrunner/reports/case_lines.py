"""The case lines of a run document, taken out and put to use again without being parsed.

No quote stands unescaped inside a JSON text, so that a key with its quotes is found in a line only where
an object has that key.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, overload

from evalrunner.reports.document import Piece, document_of
from evalrunner.reports.document_read import from_json
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import CaseResult

_CASES: Final = b',"cases":[\n'
_BETWEEN: Final = b",\n"
_END: Final = b"\n]}\n"
_ID: Final = b'{"id":"'
_AMOUNT: Final = rb'(?:"[^"]*"|null)'
_ASKED: Final = b'"cached":false,"fingerprint":"'
_PAID: Final = re.compile(
    rb'"cached":false,("fingerprint":"[^"]*"),"attempts":\d+,"incurred_usd":'
    + _AMOUNT
    + rb',("nominal_usd":'
    + _AMOUNT
    + rb'(?:,"worth_usd":'
    + _AMOUNT
    + rb')?)(?:,"miss_cause":"[^"]*")?'
)
_FROM_STORE: Final = rb'"cached":true,\1,"attempts":0,"incurred_usd":"0",\2'
_PLACE: Final = b'","row":%d,"source":{"file":%s,"line":%d'
_PLACE_END: Final = b'},"description":'
_FINGERPRINT: Final = re.compile(rb'"fingerprint":"([^"]+)"')


class Lines(Sequence[bytes]):
    """The case lines of a text, each cut out when it is asked for.

    Args:
        text: All of them, with a comma and a line end between two.
        starts: Where each begins, and where one after the last would.
        instead: Those that read otherwise now, by number and in that order.
    """

    __slots__ = ("_changed", "_instead", "_starts", "_text")

    def __init__(
        self, text: bytes, starts: Sequence[int], instead: Mapping[int, bytes] | None = None
    ) -> None:
        self._text, self._starts, self._instead = text, starts, instead or {}
        self._changed = list(self._instead)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        found = self._instead.get(number)
        return self._text[self._span(number, number + 1)] if found is None else found

    def blocks(self, first: int, after: int) -> Iterator[Piece]:
        """The lines from one number up to another, as few pieces that join like lines."""
        text = memoryview(self._text)
        changed = self._changed
        for number in changed[bisect_left(changed, first) : bisect_left(changed, after)]:
            if first < number:
                yield text[self._span(first, number)]
            yield self._instead[number]
            first = number + 1
        if first < after:
            yield text[self._span(first, after)]

    def _span(self, first: int, after: int) -> slice:
        return slice(self._starts[first], self._starts[after] - len(_BETWEEN))


@dataclass(frozen=True, slots=True)
class CaseLines:
    """The head and the case lines of a document, and the document itself."""

    head: bytes
    lines: Lines
    document: bytes

    def only(self, numbers: Iterable[int]) -> CaseLines:
        """The same document with no other lines than these."""
        document = document_of(self.head, [self.lines[number] for number in numbers])
        found = case_lines(document, paid=0)
        assert found is not None  # it was just written so
        return found

    def cases(self, numbers: Iterable[int]) -> Sequence[CaseResult]:
        """The cases of some lines."""
        lines = [self.lines[number] for number in numbers]
        return from_json(document_of(self.head, lines), name="the last run").cases if lines else ()

    def may_know(self, name: str) -> bool:
        """Whether the id or fingerprint stands anywhere; one look is fast, many are not."""
        return json.dumps(name).encode() in self.document


def fingerprints_in(lines: Iterable[bytes]) -> frozenset[str]:
    """The fingerprint of every request in these lines."""
    return frozenset(found.decode() for line in lines for found in _FINGERPRINT.findall(line))


def case_lines(document: bytes, *, paid: int) -> CaseLines | None:
    """The lines of a document, as they are where every request is answered by the store.

    Args:
        document: What :func:`~evalrunner.reports.document.document_of` made.
        paid: How many accounts of answers that were not from the store are in it.

    Returns:
        ``None`` where the document has another form, or another number of such accounts.
    """
    start = document.find(_CASES)
    if start < 0 or not document.endswith(_END):
        return None
    first, end = start + len(_CASES), len(document) - len(_END)
    starts = _starts(document, first, end)
    instead = _from_store(Lines(document, starts), _asked(document, first, end, starts), paid)
    if instead is None:
        return None
    return CaseLines(document[:start] + b"}", Lines(document, starts, instead), document)


def _starts(document: bytes, first: int, end: int) -> list[int]:
    """Where each line begins, and where another one would."""
    starts = [first] if first < end else []
    at = document.find(b"\n", first, end)  # one byte is found many times faster than two
    while at >= 0:
        starts.append(at + 1)
        at = document.find(b"\n", at + 1, end)
    return [*starts, end + len(_BETWEEN)]


def _asked(document: bytes, first: int, end: int, starts: Sequence[int]) -> Iterable[int]:
    """The numbers of the lines in which an answer was asked for, in their order."""
    at = document.find(_ASKED, first, end)
    while at >= 0:
        number = bisect_right(starts, at) - 1
        yield number
        at = document.find(_ASKED, starts[number + 1], end)


def _from_store(lines: Lines, asked: Iterable[int], paid: int) -> dict[int, bytes] | None:
    """What these lines are once the store answers; ``None`` unless that changes so many accounts."""
    instead: dict[int, bytes] = {}
    total = 0
    for number in asked if paid else ():
        instead[number], count = _PAID.subn(_FROM_STORE, lines[number])
        total += count
    return instead if total == paid else None


def paid_accounts(case: CaseResult) -> int:
    """How many accounts of answers that were not from the store the case's line holds."""
    records = [call.record for call in case.records]
    records += [check.record for check in case.checks if check.record is not None]
    records += [one.record for one in (case.subject, case.confirmed_from) if one is not None]
    return sum(not record.cached for record in records)


def line_id(line: bytes) -> str:
    """The id of the case of a line, as JSON writes it."""
    return line[len(_ID) : line.index(b'","row":')].decode("ascii")


def moved(line: bytes, *, row: int, file: bytes, source_line: int) -> bytes:
    """The line of the same case, once its row stands elsewhere; *file* is JSON."""
    start = line.index(b'","row":')
    place = _PLACE % (row, file, source_line)
    end = line.index(_PLACE_END, start)
    if end - start == len(place) and line.startswith(place, start):
        return line
    return line[:start] + place + line[end:]
