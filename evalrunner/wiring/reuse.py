"""A run of which few rows have changed: the others are taken over from the run before, as they are.

A row is taken over where its line of the golden file is known, every case of it passed, and all else that
decides about it is what it was: configuration, suite, templates, program, store. Whatever is unusual is
left to the ordinary run, which needs none of this.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import compress
from typing import Any, Final

from evalrunner.adapters.state_dir import NAME
from evalrunner.adapters.unchanged_file import read_record
from evalrunner.engine.case import EvalCase
from evalrunner.engine.select import Selection
from evalrunner.errors import EvalRunnerError
from evalrunner.reports.case_lines import CaseLines, case_lines, fingerprints_in, line_id, moved
from evalrunner.reports.document import Piece, from_json, head, pieces_of
from evalrunner.reports.document_cases import case_line
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.row_lines import RowLines, parsed, row_lines
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint, fingerprint
from evalrunner.values.kept import KeptRows
from evalrunner.values.project import Project
from evalrunner.values.result import RunReport
from evalrunner.values.spec import Golden
from evalrunner.verdict.summary import summarise
from evalrunner.wiring.command import Command
from evalrunner.wiring.digests import DigestMeanwhile
from evalrunner.wiring.remember import models_of
from evalrunner.wiring.rows_record import RowsRecord, SuiteRows, record_key, settings_of, stored
from evalrunner.wiring.store_mark import identity_of, mark_of
from evalrunner.wiring.suites import Assembly

MOST_CHANGED = 0.5
"""Where a larger part of the rows is new, nothing is gained."""


@dataclass(frozen=True, slots=True)
class SuiteReuse:
    """What is taken over of one suite.

    Attributes:
        loaded: The suite.
        lines: Its rows, as lines.
        steady: The number of the first case line of the first row, where a row that kept its place
            has kept its case lines to the letter; ``None`` where its line may be another.
        digests: What each line is known by.
        kept: The rows that are taken over, each with the number of its first case line.
        gone: The numbers of the case lines that the earlier run passed and that are not taken over.
        changed: The other rows, read.
        cases_per_row: How many cases a row has.
        draws: How many of them are draws of the same question.
    """

    loaded: LoadedSuite
    lines: RowLines
    steady: int | None
    digests: Sequence[str]
    kept: Mapping[int, int]
    gone: Sequence[int]
    changed: Sequence[Golden]
    cases_per_row: int
    draws: int


@dataclass(frozen=True)
class Reuse:
    """The rows that are taken over, and the cases that are left to be run."""

    record: RowsRecord
    earlier: CaseLines
    suites: Sequence[SuiteReuse]

    def cases(self, assembly: Assembly) -> list[EvalCase] | None:
        """The cases of the changed rows; ``None`` where they cannot be told from the kept ones.

        That is where an id or a question is one of theirs, or a row cannot be used.
        """
        cases: list[EvalCase] = []
        try:
            for one in self.suites:
                variants = assembly.variants(one.loaded.suite)
                rows = row_ids(one.changed)
                cases += assembly.expansion(one.loaded.suite, variants).cases(rows, Selection())
        except EvalRunnerError:
            return None  # the ordinary run says all that is wrong
        if self.record.models != models_of(assembly):
            return None
        taken = any(self._has_id(case.ref.id) for case in cases)
        return None if taken or self._asked_before(cases) else cases

    @cached_property
    def answers(self) -> KeptAnswers:
        """The questions that the kept rows have counted."""
        return KeptAnswers(
            self.earlier, lambda: (line for one in self.suites for line in self._lines(one))
        )

    @cached_property
    def kept(self) -> KeptRows:
        """The kept rows, for the verdict."""
        gone = self.earlier.cases([number for one in self.suites for number in one.gone])
        sums = self.record.summary - stored(summarise(gone))
        passed = {one.loaded.suite.name: RowIds(self, one) for one in self.suites}
        return KeptRows(passed=passed, summary=sums)

    def document(self, report: RunReport) -> Iterator[Piece]:
        """The run document: the report's head, and all cases in the order of their rows.

        It comes in pieces, as long as many cases that are taken over together.
        """
        new: dict[tuple[str, int], list[bytes]] = {}
        for case in report.cases:
            new.setdefault((case.case.suite, case.case.row), []).append(case_line(case))
        lines: list[Piece] = []
        for one in self.suites:
            name = one.loaded.suite.name
            file = json.dumps(one.loaded.goldens.files[0].path).encode()
            after = 0
            for row in self._unsteady(one):
                lines += self._steady_lines(one, after, row)
                after = row + 1
                first = one.kept.get(row)
                if first is None:
                    lines += new[name, row]
                    continue
                at = one.lines.numbers[row]
                found = self.earlier.lines[first : first + one.cases_per_row]
                lines += [moved(line, row=row, file=file, source_line=at) for line in found]
            lines += self._steady_lines(one, after, len(one.lines.numbers))
        return pieces_of(head(report), lines)

    def _unsteady(self, one: SuiteReuse) -> Iterator[int]:
        """The rows whose case lines are not to be found where their rows would have them."""
        each = one.cases_per_row
        for row in range(len(one.lines.numbers)):
            if one.steady is None or one.kept.get(row) != one.steady + row * each:
                yield row

    def _steady_lines(self, one: SuiteReuse, first: int, after: int) -> Iterable[Piece]:
        """The case lines of rows that kept their places, from one row up to another."""
        if first >= after or one.steady is None:
            return ()
        each, start = one.cases_per_row, one.steady
        return self.earlier.lines.blocks(start + first * each, start + after * each)

    @property
    def compares(self) -> bool:
        """Whether the screen compares prompts or targets, for which it needs all cases."""
        return any(one.cases_per_row != one.draws for one in self.suites)

    def whole(self, report: RunReport) -> RunReport:
        """The report with all cases."""
        document = report.document or b"".join(self.document(report))
        return replace(from_json(document, name=report.run.id), document=report.document)

    @property
    def digests(self) -> dict[str, tuple[Sequence[str], bool]]:
        """What the lines of each suite are known by now, and whether each of them is a row."""
        return {one.loaded.suite.name: (one.digests, one.lines.dense) for one in self.suites}

    def row_ids(self, one: SuiteReuse) -> Iterator[str]:
        """The ids of draw 0 of the kept rows."""
        for first in one.kept.values():
            for number in range(first, first + one.cases_per_row, one.draws):
                yield line_id(self.earlier.lines[number])

    def _has_id(self, case_id: str) -> bool:
        return self.earlier.may_know(case_id) and case_id in self.ids

    @property
    def left(self) -> CaseLines:
        """The earlier run's lines without those that are taken over."""
        rest = bytearray(b"\1") * len(self.earlier.lines)
        for one in self.suites:
            for first in one.kept.values():
                rest[first : first + one.cases_per_row] = bytes(one.cases_per_row)
        left = compress(range(len(rest)), rest)
        return self.earlier.only(left)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of the cases that are taken over."""
        return frozenset(line_id(line) for one in self.suites for line in self._lines(one))

    def _lines(self, one: SuiteReuse) -> Iterator[bytes]:
        for first in one.kept.values():
            yield from self.earlier.lines[first : first + one.cases_per_row]

    def _asked_before(self, cases: Sequence[EvalCase]) -> bool:
        asked = (one for case in cases for one in (case.target, case.proxy) if one is not None)
        return any(fingerprint(request) in self.answers for request in asked)


def find_reuse(
    command: Command,
    project: Project,
    loaded: Sequence[LoadedSuite],
    found: Mapping[str, Any] | None = None,
) -> Reuse | None:
    """What this run can take over from the last one; ``None`` where nothing is certain.

    *found* is the record of the last one, where it has been read already.
    """
    key = record_key(command, project)
    if key is None or command.no_cache or command.asked_again or command.verify_sample:
        return None
    state = project.root / NAME
    found = read_record(str(state / "cache"), key) if found is None else found
    record = None if found is None else RowsRecord.of(found)
    if record is None or record.settings != settings_of(command, project, loaded):
        return None
    mark = mark_of(project, os.environ)
    folder = str(state / "cache")
    if mark is None or record.store != identity_of(project, mark, folder, os.environ):
        return None
    try:
        document = (state / "runs" / f"{record.run_id}.json").read_bytes()
    except OSError:
        return None
    digest = DigestMeanwhile(document)
    earlier = case_lines(document, paid=record.paid)
    suites = _suites(command, project, loaded, record, len(earlier.lines)) if earlier else None
    if earlier is None or suites is None or digest.hexdigest() != record.sha256:
        return None  # the document is not what was recorded
    return Reuse(record, earlier, suites)


@dataclass(frozen=True, slots=True)
class RowIds(Collection[str]):
    """The ids of a suite's kept rows: how many there are is known at once, their names on demand."""

    reuse: Reuse
    one: SuiteReuse

    def __len__(self) -> int:
        return len(self.one.kept) * (self.one.cases_per_row // self.one.draws)

    def __iter__(self) -> Iterator[str]:
        return self.reuse.row_ids(self.one)

    def __contains__(self, name: object) -> bool:
        return any(name == found for found in self)


class KeptAnswers(Container[Fingerprint]):
    """The questions of kept rows. A few are looked for in the document, for many a set is made.

    Args:
        earlier: The document that the rows were taken from.
        lines: The kept rows' lines.
    """

    _FEW: Final = 32

    def __init__(self, earlier: CaseLines, lines: Callable[[], Iterable[bytes]]) -> None:
        self._earlier = earlier
        self._lines = lines
        self._looks = 0
        self._found: frozenset[str] | None = None

    def __contains__(self, key: object) -> bool:
        if self._found is None:
            self._looks += 1
            if self._looks <= self._FEW and not self._earlier.may_know(str(key)):
                return False
            self._found = fingerprints_in(self._lines())
        return key in self._found


def _suites(
    command: Command,
    project: Project,
    loaded: Sequence[LoadedSuite],
    record: RowsRecord,
    line_count: int,
) -> list[SuiteReuse] | None:
    first = 0
    suites: list[SuiteReuse] = []
    for one in loaded:
        known = record.suites.get(one.suite.name)
        lines = row_lines(one.goldens, project.root)
        if known is None or lines is None:
            return None
        reuse = _suite(command, one, lines, known, first)
        if reuse is None:
            return None
        suites.append(reuse)
        first += len(known.digests) * reuse.cases_per_row
    rows = sum(len(one.digests) for one in suites)
    changed = sum(len(one.changed) for one in suites)
    return suites if first == line_count and changed <= MOST_CHANGED * rows else None


def _suite(
    command: Command, loaded: LoadedSuite, lines: RowLines, known: SuiteRows, first: int
) -> SuiteReuse | None:
    draws = command.repeat or loaded.suite.repeat.n
    cases_per_row = len(loaded.suite.prompts) * len(loaded.suite.targets) * draws
    digests = lines.digests()
    if len(set(digests)) != len(digests):
        return None  # rows that are alike are numbered among each other
    before = {
        digest: first + row * cases_per_row
        for row, digest in enumerate(known.digests)
        if row not in known.open
    }
    kept = {row: before[digest] for row, digest in enumerate(digests) if digest in before}
    changed = parsed(
        loaded.goldens, [lines.row(row) for row in range(len(digests)) if row not in kept]
    )
    if changed is None:
        return None
    starts = set(before.values()) - set(kept.values())
    gone = [number for start in sorted(starts) for number in range(start, start + cases_per_row)]
    steady = first if lines.dense and known.dense else None
    return SuiteReuse(loaded, lines, steady, digests, kept, gone, changed, cases_per_row, draws)
