"""One case a row, as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from typing import Final

from evalrunner.reports.phrases import failed_check, prompt_head
from evalrunner.reports.safe_text import Text, for_csv_cell
from evalrunner.values.money import total, usd_text
from evalrunner.values.result import CaseResult, RunReport

COLUMNS: Final = (
    "id",
    "suite",
    "row",
    "repeat",
    "prompt",
    "target",
    "outcome",
    "check",
    "reason",
    "asked",
    "output",
    "tier",
    "model",
    "cached",
    "latency_seconds",
    "incurred_usd",
    "nominal_usd",
    "file",
    "line",
)


def render(report: RunReport) -> str:
    """A header and a row for each case; numbers are numbers, unknown money is an empty cell."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for case in report.cases:
        writer.writerow([_cell(value) for value in _row(case)])
    return page.getvalue()


def _row(case: CaseResult) -> tuple[Text | int | float | None, ...]:
    ref, subject = case.case, case.subject
    check, reason = failed_check(case)
    records = [call.record for call in case.records]
    return (
        ref.id,
        ref.suite,
        ref.row,
        ref.repeat,
        ref.prompt,
        ref.target,
        case.outcome.value,
        check,
        reason,
        prompt_head(case),
        None if subject is None else subject.response.text,
        None if subject is None else subject.tier.value,
        None if subject is None else subject.model,
        None if subject is None else str(subject.record.cached).lower(),
        None if subject is None else subject.response.latency_seconds,
        usd_text(total(record.incurred for record in records)),
        usd_text(total(record.nominal for record in records)),
        ref.source.file,
        ref.source.line,
    )


def _cell(value: Text | float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) else for_csv_cell(value)
