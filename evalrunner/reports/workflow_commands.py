"""Workflow commands: failed cases beside their golden rows in a pull request's diff, and remarks.

A case is named by its id and the type of its check. Text of a model is never in a command, and nothing
in one can end it or begin another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from evalrunner.reports.phrases import TROUBLE, failed_check
from evalrunner.reports.safe_text import one_line
from evalrunner.values.result import CaseResult, Outcome, RunReport

MOST: Final = 10
"""What a runner shows of one step and kind."""

_WORDS: Final = {Outcome.FAILED: "error", Outcome.ERRORED: "error", Outcome.NOT_RUN: "notice"}
_LIMIT: Final = 200


def commands_for(report: RunReport) -> Iterator[str]:
    """A command for each case that did not pass, failed ones first, then for each failure's rule."""
    found = [case for kind in TROUBLE for case in report.cases if case.outcome is kind]
    yield from map(_case, found[:MOST])
    for failure in report.failures[:MOST]:
        yield _command("error", f"{failure.rule}: {failure.message}")


def notice(message: str) -> str:
    """A remark that is no failure."""
    return _command("notice", message)


def error(message: str) -> str:
    r"""What kept the step from running.

    Example:
        >>> error("50 % of\n::set-output")
        '::error title=evalrunner::50 %25 of ::set-output\n'
    """
    return _command("error", message)


def _case(case: CaseResult) -> str:
    check, _ = failed_check(case)
    outcome = case.outcome.value.replace("_", " ")
    message = f"{case.case.id} {outcome}" + (f": {check}" if check else "")
    source = case.case.source
    place = {"file": source.file, "line": str(max(1, source.line))} if source.file else {}
    return _command(_WORDS[case.outcome], message, **place)


def _command(word: str, message: str, **properties: str) -> str:
    """One command on one line of its own."""
    properties["title"] = "evalrunner"
    settings = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{word} {settings}::{_data(message)}\n"


def _data(text: str) -> str:
    return one_line(text, _LIMIT).replace("%", "%25")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
