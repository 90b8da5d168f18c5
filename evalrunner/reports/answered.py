"""A run that was answered from an earlier one: its cases, fetched when a report needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evalrunner.errors import RunDocumentError
from evalrunner.values.exchange import CallRecord
from evalrunner.values.money import ZERO
from evalrunner.values.result import CaseResult, RunReport, Subject

Load = Callable[[str], RunReport]
"""Finds the report of a run by its id, or raises RunDocumentError."""


def resolve(report: RunReport, load: Load) -> RunReport:
    """The report with its cases in it, each call answered from the cache and paid for by nobody.

    A report that has its cases is returned as it is.

    Raises:
        RunDocumentError: The earlier run cannot be found, or has no cases of its own.
    """
    source = report.run.answered_from
    if source is None or report.cases:
        return report
    earlier = load(source)
    if earlier.run.answered_from is not None and not earlier.cases:
        message = f"run {report.run.id!r} refers to {source!r}, which refers to another run"
        raise RunDocumentError(message, hint="run the suite again")
    cases = tuple(from_cache(case) for case in earlier.cases)
    return replace(report, cases=cases, inputs=earlier.inputs, summary=None)


def from_cache(case: CaseResult) -> CaseResult:
    """The same case, as it looks when every request of it is answered by the store."""
    return replace(
        case,
        subject=_subject(case.subject),
        confirmed_from=_subject(case.confirmed_from),
        checks=tuple(
            check if check.record is None else replace(check, record=_kept(check.record))
            for check in case.checks
        ),
        records=tuple(
            replace(call, record=_kept(call.record))
            for call in case.records
            if call.record.verified is None
        ),
    )


def _subject(subject: Subject | None) -> Subject | None:
    return None if subject is None else replace(subject, record=_kept(subject.record))


def _kept(record: CallRecord) -> CallRecord:
    return replace(record, cached=True, attempts=0, incurred=ZERO, miss_cause=None)
