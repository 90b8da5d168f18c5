"""What a workflow's step ends with: its outcome, its outputs, its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalrunner.values.exit_code import ExitCode
from evalrunner.values.money import Picodollars, usd_text
from evalrunner.values.result import RunReport
from evalrunner.verdict.summary import summary_of

_UNFINISHED: Final = frozenset({ExitCode.FROZEN_MISS, ExitCode.INCONCLUSIVE})
"""What a run that asked nobody may end with, although nothing that it saw was wrong."""

_BROKEN: Final = frozenset(
    {
        ExitCode.USAGE,
        ExitCode.INFRASTRUCTURE,
        ExitCode.INTERNAL,
        ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    }
)


def outcome_of(report: RunReport) -> str:
    """``passed``, ``failed``, ``incomplete`` or ``error``. What was not looked at never passed."""
    code = ExitCode(report.run.exit_code)
    if code is ExitCode.OK:
        return "incomplete" if summary_of(report).total.not_run else "passed"
    if is_only_incomplete(report):
        return "incomplete"
    return "error" if code in _BROKEN else "failed"


def is_only_incomplete(report: RunReport) -> bool:
    """Whether cases that nobody was asked about are all that stands against the run."""
    codes = {failure.code for failure in report.failures}
    return ExitCode.FROZEN_MISS in codes and codes <= _UNFINISHED


def step_code(report: RunReport, *, fail_on: str, expected_misses: bool) -> int:
    """The exit code of the step.

    Args:
        report: The run.
        fail_on: ``failure``, ``incomplete`` (cases that were not run fail too) or ``never``.
        expected_misses: Whether nobody was to be asked, so that misses are no failure of the head.
    """
    code = int(report.run.exit_code)
    if fail_on == "never" and ExitCode(code) not in _BROKEN:
        return 0
    if expected_misses and fail_on == "failure" and is_only_incomplete(report):
        return 0
    return code


def outputs_of(report: RunReport, outcome: str, *, report_path: str) -> dict[str, str]:
    """Every declared output: numbers, words of ours and a path; nothing that a model wrote."""
    total = summary_of(report).total
    decided = total.passed + total.failed
    return {
        **no_outputs(),
        "outcome": outcome,
        "exit-code": str(int(report.run.exit_code)),
        "pass-rate": f"{total.passed / decided:.6f}" if decided else "",
        "cases": str(total.cases),
        "failed": str(total.failed),
        "not-run": str(total.not_run),
        "cache-hit-rate": "" if total.hit_rate is None else f"{total.hit_rate:.6f}",
        "incurred-usd": _usd(total.incurred.amount),
        "avoided-usd": _usd(total.avoided_by_cache),
        "ratio": report.cost_ratio.ratio_total or "",
        "ratio-status": report.cost_ratio.status,
        "report-path": report_path,
    }


def no_outputs() -> dict[str, str]:
    """The outputs of a step that ran nothing."""
    names = (
        *("outcome", "exit-code", "pass-rate", "cases", "failed", "not-run", "cache-hit-rate"),
        *("incurred-usd", "avoided-usd", "ratio", "ratio-status", "report-path"),
    )
    empty: Mapping[str, str] = dict.fromkeys(names, "")
    return {**empty, "outcome": "error", "exit-code": str(int(ExitCode.USAGE))}


def _usd(amount: Picodollars | None) -> str:
    return usd_text(amount) or ""
