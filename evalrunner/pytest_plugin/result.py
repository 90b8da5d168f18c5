"""What ``llm_eval`` returns: one answer with its verdict, and what is raised where it did not pass."""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal

import pytest

from evalrunner.reports.case_text import case_text
from evalrunner.reports.safe_text import one_line
from evalrunner.values.exchange import Json, Usage
from evalrunner.values.money import total, usd_text
from evalrunner.values.result import CaseResult, CheckResult, Outcome
from evalrunner.verdict.summary import reason_word


class CheckFailed(AssertionError):
    """A check of an eval did not hold; the message shows the question, the answer and the checks."""

    __module__ = "evalrunner.pytest"  # where users import it from, and so what pytest calls it


class EvalErrored(Exception):
    """An eval got no verdict: a call or a check went wrong."""

    __module__ = "evalrunner.pytest"


class EvalNotRun(Exception):
    """An eval was not run: the ceiling left no room, or a frozen session has no answer."""

    __module__ = "evalrunner.pytest"


class EvalResult:
    """One answer, checked.

    It is true where every check held, so that ``assert result`` reads well, and it may be awaited,
    which returns it at once.

    Attributes:
        case: Everything about it, as it stands in the run document.
    """

    __slots__ = ("case",)

    def __init__(self, case: CaseResult) -> None:
        self.case = case

    @property
    def output(self) -> str:
        """What the model said, or the output that was checked. It is the model's text as it is."""
        return self.case.subject.response.text.raw if self.case.subject else ""

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.case.outcome is Outcome.PASSED

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The verdict of each check, in the order written."""
        return self.case.checks

    @property
    def tool_calls(self) -> Json:
        """The tools that the model called, as the provider spelled them."""
        return self.case.subject.response.tool_calls if self.case.subject else None

    @property
    def usage(self) -> Usage:
        """The tokens of the answer; with ``None`` where nobody counted."""
        return self.case.subject.response.usage if self.case.subject else Usage()

    @property
    def cached(self) -> bool:
        """Whether nobody had to be asked for any part of it."""
        return all(call.record.cached or call.record.shared for call in self.case.records)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it has cost in this session, judges included, in dollars; ``None`` is unknown."""
        text = usd_text(total(call.record.incurred for call in self.case.records))
        return None if text is None else Decimal(text)

    def __bool__(self) -> bool:
        return self.passed

    def __await__(self) -> Generator[None, None, EvalResult]:
        yield from ()
        return self

    def __repr__(self) -> str:
        return f"<EvalResult {self.case.outcome.value} {one_line(self.output, 200)!r}>"


def require_verdict(case: CaseResult, *, must_pass: bool, skips_misses: bool) -> EvalResult:
    """The result of a case that has a verdict and, where it must, has passed.

    Raises:
        CheckFailed: A check did not hold.
        EvalErrored: There is no verdict.
        EvalNotRun: It was not run; where misses are skipped, the test is skipped instead.
    """
    __tracebackhide__ = True
    if case.outcome is Outcome.FAILED and must_pass:
        raise CheckFailed(case_text(case))
    if case.outcome is Outcome.NOT_RUN:
        if skips_misses and reason_word(case) == "frozen_miss":
            pytest.skip("frozen, and the cache has no answer")
        raise EvalNotRun(case_text(case))
    if case.outcome is Outcome.ERRORED:
        raise EvalErrored(case_text(case))
    return EvalResult(case)
