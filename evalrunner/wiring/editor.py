"""Makes a run's results fit to be kept, each case as soon as it has ended, while others are waited for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from evalrunner.reports.document import Piece, head, pieces_of
from evalrunner.reports.document_cases import case_line
from evalrunner.reports.redact import Redaction
from evalrunner.values.result import CaseRef, CaseResult, RunInfo, RunReport
from evalrunner.values.summary import Summary, Tally
from evalrunner.verdict.causes import Circumstances, is_miss
from evalrunner.wiring.inputs import inputs_of
from evalrunner.wiring.misses import MissNotes
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.reuse import Reuse
from evalrunner.wiring.secret_values import secret_values
from evalrunner.wiring.suites import Assembly


class Editor:
    """Takes out what must not be shown, notes why each miss was one, and writes case lines.

    Args:
        opened: What the run has open.
        assembly: Its cases have been assembled: what they are made of is known.
        run: Which run it is.
        around: What decides about misses beside the questions.
        reuse: Rows that are taken over from an earlier run.
    """

    def __init__(
        self,
        opened: Opened,
        assembly: Assembly,
        run: RunInfo,
        around: Circumstances,
        *,
        reuse: Reuse | None = None,
    ) -> None:
        project = opened.project
        endpoints = (*project.models.values(), *assembly.endpoints.values())
        secrets = secret_values(endpoints, assembly.applications.values(), os.environ)
        self._redaction = Redaction(project.report_include, secrets)
        self._inputs = inputs_of(assembly, opened.loaded, opened.store)
        self._misses = MissNotes(run, self._inputs, around, opened.state, reuse)
        self._lines: dict[str, tuple[CaseResult, bytes]] = {}
        self._expects = False

    def expect(self, cases: Iterable[CaseRef], present: Collection[str]) -> None:
        """Says which cases will be edited as they end, and the ids of all cases of the run."""
        self._expects = True
        self._misses.expect(cases, present)

    def edit(self, case: CaseResult) -> CaseResult:
        """The case as it is kept, with its line written."""
        edited = self._edited(case)
        self._lines[edited.case.id] = edited, case_line(edited)
        return edited

    def report(self, report: RunReport) -> RunReport:
        """The report as it is kept. Cases that have not been edited yet are."""
        left = [case for case in report.cases if not self._is_edited(case)]
        if not self._expects:
            self.expect([case.case for case in left], {case.case.id for case in report.cases})
        edited = {id(case): self._edited(case) for case in left}
        frame = self._redaction.frame(replace(report, inputs=self._inputs))
        return replace(
            frame,
            cases=tuple(edited.get(id(case), case) for case in report.cases),
            misses=self._misses.groups,
            summary=report.summary and report.summary - _causes(left) + _causes(edited.values()),
        )

    def document(self, report: RunReport) -> Iterator[Piece]:
        """The run document of a report of :meth:`report`, in pieces."""
        return pieces_of(head(report), map(self.line, report.cases))

    def line(self, case: CaseResult) -> bytes:
        """The case's line in the document."""
        return self._lines[case.case.id][1] if self._is_edited(case) else case_line(case)

    def _is_edited(self, case: CaseResult) -> bool:
        known = self._lines.get(case.case.id)
        return known is not None and known[0] is case

    def _edited(self, case: CaseResult) -> CaseResult:
        return self._misses.noted(self._redaction.case(case))


def _causes(cases: Iterable[CaseResult]) -> Summary:
    """The causes that are noted in these cases, added up."""
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        causes = (one.record.miss_cause for one in case.records if is_miss(one.record))
        counts.setdefault(case.case.suite, Counter()).update(filter(None, causes))
    return Summary(by_suite={name: Tally(misses_by_cause=dict(of)) for name, of in counts.items()})
