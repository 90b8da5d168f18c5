from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evalrunner.reports.comment import MARKER, Against, comment
from evalrunner.reports.markdown import MAX_BYTES
from evalrunner.reports.workflow_commands import commands_for, error, notice
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CostRatio, RunReport
from evalrunner.verdict.changes import compare_runs
from tests.reports import samples

REPORT = samples.sample()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(samples.reports, samples.reports, samples.any_text)
def test_a_comment_begins_with_its_marker_and_is_never_too_long(
    base: RunReport, head: RunReport, text: str
) -> None:
    against = Against(base=base, changes=compare_runs(base, head))
    body = comment(head, against, notice=text * 1000)
    assert body.startswith(MARKER)
    assert len(body.encode()) <= MAX_BYTES


def test_a_comment_of_many_variants_and_failures_is_cut_at_a_line() -> None:
    gate = REPORT.gates[0]
    gates = tuple(replace(gate, detail="€" * 5000, suite="€" * 500) for _ in range(400))
    report = replace(REPORT, gates=gates, warnings=tuple("€" * 5000 for _ in range(400)))
    body = comment(report)
    assert len(body.encode()) <= MAX_BYTES


def test_nothing_of_a_model_stands_in_a_comment() -> None:
    secret = "words that only the model wrote"
    cases = []
    for case in REPORT.cases:
        subject = case.subject
        if subject is not None:
            answer = replace(subject.response, text=ModelText(secret))
            subject = replace(subject, response=answer)
        checks = tuple(replace(each, reason=ModelText(secret)) for each in case.checks)
        cases.append(replace(case, subject=subject, checks=checks, reason=ModelText(secret)))
    report = replace(REPORT, cases=cases)
    against = Against(base=REPORT, changes=compare_runs(REPORT, report))
    assert "only the model" not in comment(report, against)


def test_the_ratios_change_is_said_in_points() -> None:
    base = replace(REPORT, cost_ratio=CostRatio(status="healthy", ratio_total="0.041"))
    head = replace(REPORT, cost_ratio=CostRatio(status="healthy", ratio_total="0.0495"))
    against = Against(base=base, changes=compare_runs(base, head))
    assert "+0.85 points" in comment(head, against)


def test_a_link_and_a_notice_stand_where_they_are_read() -> None:
    body = comment(REPORT, link="https://github.test/o/r/actions/runs/5", notice="3 @x <b>")
    tokens = MarkdownIt().parse(body)
    outside = "".join(
        child.content for token in tokens for child in token.children or () if child.type == "text"
    )
    assert "@x" not in outside and "<b>" not in outside
    assert "https://github.test/o/r/actions/runs/5" in body


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(samples.reports)
def test_a_workflow_command_is_one_line_of_ours(report: RunReport) -> None:
    for line in commands_for(report):
        assert line.startswith(("::error ", "::notice ")) and line.endswith("\n")
        assert line.count("\n") == 1 and "\r" not in line and "\x1b" not in line


@given(st.text())
def test_no_text_ends_a_command_or_sets_a_property(text: str) -> None:
    for line in (notice(text), error(text)):
        head, _, _ = line[2:].partition("::")
        assert head in {"notice title=evalrunner", "error title=evalrunner"}
        assert line.count("\n") == 1
