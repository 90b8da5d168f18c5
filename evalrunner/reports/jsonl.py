"""One case a line, as JSON: the cases of the run document without its head."""

from __future__ import annotations

from evalrunner.reports.document_cases import case_line
from evalrunner.values.result import RunReport


def render(report: RunReport) -> str:
    """The cases in order, each as in the run document."""
    return "".join(case_line(case).decode("ascii") + "\n" for case in report.cases)
