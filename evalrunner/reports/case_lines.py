"""The case lines of a run document, taken out and put to use again without being parsed.

No quote stands unescaped inside a JSON text, so that a key with its quotes is found in a line only where
an object has that key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from evalrunner.reports.document import document_of
from evalrunner.reports.document_read import from_json
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import CaseResult

_CASES: Final = b',"cases":[\n'
_END: Final = b"\n]}\n"
_ID: Final = b'{"id":"'
_AMOUNT: Final = rb'(?:"[^"]*"|null)'
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


@dataclass(frozen=True, slots=True)
class CaseLines:
    """The head and the case lines of a document, and the document itself."""

    head: bytes
    lines: Sequence[bytes]
    document: bytes

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
    body = document[start + len(_CASES) : -len(_END)]
    if paid:
        body, count = _PAID.subn(_FROM_STORE, body)
        if count != paid:
            return None
    return CaseLines(document[:start] + b"}", body.split(b",\n"), document)


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
