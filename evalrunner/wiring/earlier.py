"""The cases of earlier runs, found by id in their documents and read only where they are wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from evalrunner.adapters.state_dir import StateDir
from evalrunner.errors import RunDocumentError
from evalrunner.reports.case_lines import CaseLines, case_lines, line_id
from evalrunner.reports.document import document_of, from_json
from evalrunner.values.result import CaseRef, RunReport
from evalrunner.verdict.components import Side

MOST_BYTES: Final = 64 * 1024 * 1024
"""How much of documents is read in search of cases that the newer ones do not have."""

_ROW_WITHOUT_ID: Final = re.compile(r"/[0-9a-f]{12}(?:-\d+)?(?=@|#|$)")
_DRAW: Final = re.compile(r"#\d+$")
_PLACE: Final = re.compile(rb'","row":(\d+),"source":')
_CHOOSING: Final = frozenset("-k --filter --tag -n --limit --shard --only-failed".split())


@dataclass(slots=True)
class EarlierCases:
    """What was found.

    Attributes:
        sides: By the id of a case of now, the same case as the newest run had it that got an answer.
        drawn: The ids of cases of which another draw is known.
        history: Whether there is any earlier run with cases.
    """

    sides: dict[str, Side] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    history: bool = False


def earlier_cases(
    wanted: Mapping[str, CaseRef],
    present: Collection[str],
    runs: Iterable[tuple[str, CaseLines]],
) -> EarlierCases:
    """Each wanted case as it was, from the newest run that has it.

    A row without an id of its own is known by its variables, so that with one of them its id changes; it
    is found by its place, if the case of that place is no longer there.

    Args:
        wanted: Cases of now, by id.
        present: The ids of all cases of now.
        runs: Documents, newest first; no more of them are taken than are needed.
    """
    found = EarlierCases()
    open_ids = dict(wanted)
    unanswered: dict[str, Side] = {}
    for run_id, document in runs:
        found.history = True
        numbers = _numbers(open_ids, present, document, found.drawn)
        for case_id, side in _sides(run_id, document, numbers).items():
            if side.case.subject is None:
                unanswered.setdefault(case_id, side)
            else:
                found.sides[case_id] = side
                del open_ids[case_id]
        if not open_ids or (_had_all(document) and open_ids.keys().isdisjoint(unanswered)):
            break
    found.sides |= {key: side for key, side in unanswered.items() if key in open_ids}
    return found


def kept_documents(
    state: StateDir, *, before: str | None = None
) -> Iterator[tuple[str, CaseLines]]:
    """The documents of the runs that are kept, newest first, up to :data:`MOST_BYTES`.

    Args:
        state: Where they are.
        before: Only those that were written before this run's.
    """
    ids = state.run_ids()
    if before in ids:
        ids = ids[ids.index(before) + 1 :]
    read = 0
    for run_id in ids:
        try:
            data = (state.runs / f"{run_id}.json").read_bytes()
        except OSError:
            continue
        read += len(data)
        document = case_lines(data, paid=0)
        if document is not None:
            yield run_id, document
        if read > MOST_BYTES:
            return


def _numbers(
    wanted: Mapping[str, CaseRef],
    present: Collection[str],
    document: CaseLines,
    drawn: set[str],
) -> dict[str, int]:
    """The number of the line of each wanted case, as far as the document has it."""
    numbers: dict[str, int] = {}
    written = {json.dumps(case_id)[1:-1]: case_id for case_id in wanted}
    first_draws = {json.dumps(_DRAW.sub("", one))[1:-1]: one for one in wanted if _DRAW.search(one)}
    places = {_place(one, ref.row): one for one, ref in wanted.items() if _has_no_id(one)}
    for number, line in enumerate(document.lines):
        try:
            found = line_id(line)
        except ValueError:
            continue  # not a line of ours
        if (case_id := written.get(found)) is not None:
            numbers[case_id] = number
        elif found in first_draws:
            drawn.add(first_draws[found])
        elif places and _has_no_id(found) and found not in present:
            row = _PLACE.search(line)
            if row and (case_id := places.get(_place(found, int(row[1])))) is not None:
                numbers.setdefault(case_id, number)
    return numbers


def _sides(run_id: str, document: CaseLines, numbers: Mapping[str, int]) -> dict[str, Side]:
    if not numbers:
        return {}
    lines = [document.lines[number] for number in numbers.values()]
    try:
        report = from_json(document_of(document.head, lines), name=run_id)
    except RunDocumentError:
        return {}
    return {case_id: _side(report, number) for number, case_id in enumerate(numbers)}


def _side(report: RunReport, number: int) -> Side:
    return Side(
        run=report.run,
        case=report.cases[number],
        inputs=report.inputs,
        cache=report.cache.mode,
    )


def _had_all(document: CaseLines) -> bool:
    """Whether that run had every case of its suites, so that what it has not is new."""
    try:
        argv = json.loads(document.head)["run"]["argv"]
        return _CHOOSING.isdisjoint(str(word).partition("=")[0] for word in argv)
    except (ValueError, TypeError, LookupError, RecursionError):
        return False


def _has_no_id(case_id: str) -> bool:
    return _ROW_WITHOUT_ID.search(case_id) is not None


def _place(case_id: str, row: int) -> tuple[str, int]:
    return _ROW_WITHOUT_ID.sub("/", case_id), row
