"""What a test's own end says about its evals: a plain ``assert`` is a check too."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from evalrunner.pytest_plugin.llm_eval import (
    CASES,
    case_name,
    report,
    root_of,
    source_of,
    suite_name,
)
from evalrunner.pytest_plugin.result import CheckFailed, EvalErrored, EvalNotRun
from evalrunner.pytest_plugin.session import evals_of
from evalrunner.reports.case_text import case_text
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseRef, CaseResult, CheckResult, Outcome
from evalrunner.values.spec import CheckClass, SourceRef

SECTION: Final = "evals"
_OURS: Final = (CheckFailed, EvalErrored, EvalNotRun)


def settle(item: pytest.Item, call: pytest.CallInfo[None], tested: pytest.TestReport) -> None:
    """Adds to a test's last eval what the test itself has found, and shows its evals if it failed.

    A marked test that made no eval is one itself: it has passed or failed, whatever it asked. The
    evals of a test that was expected to fail count as skipped.
    """
    cases = item.stash.get(CASES, [])
    error = call.excinfo.value if call.excinfo else None
    if tested.skipped:
        if hasattr(tested, "wasxfail"):
            _count(item, *(replace(case, outcome=Outcome.SKIPPED) for case in cases))
        return
    if isinstance(error, _OURS):
        shown = cases[:-1]  # its message shows the last one
    elif cases and error is None:
        return
    else:
        last = cases[-1] if cases else CaseResult(case=_ref(item), outcome=Outcome.PASSED)
        last = last if error is None else _contradicted(last, error)
        _count(item, last)
        shown = [*cases[:-1], last]
    if tested.failed and shown:
        tested.sections.append((SECTION, "\n\n".join(map(case_text, shown))))


def _count(item: pytest.Item, *cases: CaseResult) -> None:
    evals = evals_of(item.config)
    root = str(root_of(evals, item))
    for case in cases:
        report(evals, root, case)


def _contradicted(case: CaseResult, error: BaseException) -> CaseResult:
    """The case, failed by an assertion of its test, or errored by what else the test raised."""
    asserted = isinstance(error, AssertionError)
    kind, outcome = ("assert", Outcome.FAILED) if asserted else ("test", Outcome.ERRORED)
    said = ModelText(str(error) if asserted else f"{type(error).__name__}: {error}")
    check = CheckResult(
        type=kind,
        check_class=CheckClass.SEMANTIC,
        outcome=outcome,
        score=0.0 if asserted else None,
        reason=said,
    )
    reason = ModelText(f"{kind}: {said.raw}")
    return replace(case, outcome=outcome, reason=reason, checks=(*case.checks, check))


def _ref(item: pytest.Item) -> CaseRef:
    """A marked test as a case of its own."""
    marker = item.get_closest_marker("evalcase")
    said = dict(marker.kwargs) if marker else {}
    suite = said.pop("suite", None) or suite_name(item)
    for name in ("target", "checks"):
        said.pop(name, None)
    return CaseRef(
        id=f"{suite}/{case_name(item)}",
        suite=suite,
        prompt="",
        target="",
        row=0,
        repeat=0,
        rendered="",
        vars={},
        tags={name: str(value) for name, value in said.items()},
        source=SourceRef(
            file=source_of(evals_of(item.config), item), line=(item.reportinfo()[1] or 0) + 1
        ),
    )
