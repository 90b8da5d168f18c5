from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt

from evalrunner.reports.comparison import as_markdown, as_text
from evalrunner.reports.comparison_document import to_json
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseResult, Outcome, RunReport
from evalrunner.verdict.changes import compare_runs
from tests.reports import samples
from tests.verdict.test_changes import asked, report

P, F = Outcome.PASSED, Outcome.FAILED


def pair(number: int, worse: int) -> tuple[RunReport, RunReport]:
    base = [asked(f"s/{n}", P) for n in range(number)]
    head = [asked(f"s/{n}", F if n < worse else P, question="r") for n in range(number)]
    return report(base), report(head)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(samples.reports, samples.reports)
def test_any_two_reports_can_be_compared_and_said(base: RunReport, head: RunReport) -> None:
    found = compare_runs(base, head)
    text, page = as_text(found, base, head, verbose=True), as_markdown(found, base, head)
    assert "\x1b" not in text and text.encode() and page.encode()
    assert json.loads(to_json(found, base, head))["unchanged"] == found.unchanged


def test_the_verdict_names_its_probability_and_level() -> None:
    base, head = pair(100, 20)
    text = as_text(compare_runs(base, head), base, head)
    assert "significantly worse than the base (p = 9.5e-07, level 0.05)" in text
    assert "pass rate 100.00% to 80.00% of 100 rows in both (95 % interval" in text
    assert "20 regressed, 0 improved, 80 unchanged, 0 added, 0 removed" in text
    assert "…and 10 more" in text and "  regressed s/0  llm-rubric: too short" in text
    assert "…and" not in as_text(compare_runs(base, head), base, head, verbose=True)
    base, head = pair(100, 1)
    assert "not told from the base (p = 1, level 0.05)" in as_text(
        compare_runs(base, head), base, head
    )
    assert "significantly better" in as_text(
        compare_runs(*reversed(pair(100, 20))), *reversed(pair(100, 20))
    )


def test_markdown_holds_what_strangers_wrote_in_code_only() -> None:
    evil = "@everyone <b>x</b> `` ``` \n# done | [x](http://e.test) #12"
    base = report([asked("s/@all <i>", P)])
    head = report([_with_reason(asked("s/@all <i>", F, question="r"), evil)])
    page = as_markdown(compare_runs(base, head), base, head)
    outside = "".join(
        child.content
        for token in MarkdownIt().parse(page)
        for child in token.children or ()
        if child.type != "code_inline"
    )
    assert "regressed" in outside
    assert not set("@<[#`") & set(outside)
    hidden = as_markdown(compare_runs(base, head), base, head, contents=False)
    assert "everyone" in page and "everyone" not in hidden


def _with_reason(case: CaseResult, reason: str) -> CaseResult:
    from dataclasses import replace

    (check,) = case.checks
    return replace(case, checks=(replace(check, reason=ModelText(reason)),))
