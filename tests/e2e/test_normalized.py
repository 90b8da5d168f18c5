"""Prompts that differ in white space alone: asked again by default, and not where the user accepts that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalrunner.engine.normalized import NORMALIZATIONS, Likeness, pointed_at
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.explain import render_explanation
from evalrunner.reports.markdown import render as markdown
from evalrunner.reports.terminal import render_report
from evalrunner.testing import FakeProvider
from evalrunner.values.result import RunReport
from evalrunner.verdict.summary import summary_of
from evalrunner.wiring.explaining import explain_run

from .workspace import RUBRIC, Workspace, outcomes, questions

ROWS = 3
CHECKS = [{"type": "contains", "value": "ok"}, {"type": "llm-rubric", "value": RUBRIC}]


def project(workspace: Workspace, provider: FakeProvider, reuse: Any, prompt: str) -> RunReport:
    cache = {} if reuse is None else {"cache": {"reuse": reuse}}
    workspace.configure(provider.base_url, **cache)
    workspace.suite(n=ROWS, prompts=[prompt], checks=CHECKS)
    provider.requests.clear()
    return workspace.run()


def normalized(report: RunReport) -> int:
    return summary_of(report).total.normalized


@pytest.mark.parametrize(
    ("reuse", "prompt", "asked"),
    [
        (None, "Question {{q}} ", 2 * ROWS),
        ("exact", "Question {{q}} ", 2 * ROWS),
        ("normalized", "  Question \t {{q}}\n\n", 0),
        (["outer-white-space"], "\nQuestion {{q}} ", 0),
        (["outer-white-space"], "Question  {{q}}", 2 * ROWS),
        (["runs-of-blanks"], "Question  {{q}}", 0),
        (["runs-of-blanks"], "Question {{q}}\n", 2 * ROWS),
        ("normalized", "question {{q}}", 2 * ROWS),
        ("normalized", "Question\n{{q}}", 2 * ROWS),
    ],
)
def test_only_what_is_accepted_by_name_is_alike(
    workspace: Workspace, provider: FakeProvider, reuse: Any, prompt: str, asked: int
) -> None:
    project(workspace, provider, reuse, "Question {{q}}")
    report = project(workspace, provider, reuse, prompt)
    assert outcomes(report) == {"passed": ROWS}
    assert len(provider.requests) == asked
    assert normalized(report) == (0 if asked else ROWS)


def test_line_endings(workspace: Workspace, provider: FakeProvider) -> None:
    """Those of templates are one already when they are read; those of a row's texts are the user's."""
    project(workspace, provider, ["line-endings"], "Question {{q}}")
    for ending, alike in (("\n", 0), ("\r\n", 1), ("\r", 1)):
        workspace.golden("s", [{"id": "a", "q": f"one{ending}two"}])
        assert normalized(workspace.run()) == alike
    assert len(provider.requests) == 2 * ROWS + 2


def test_the_report_marks_the_cases(workspace: Workspace, provider: FakeProvider) -> None:
    project(workspace, provider, "normalized", "Question {{q}}")
    report = project(workspace, provider, "normalized", "Question {{q}} ")
    document = json.loads(to_json(report))
    assert document["summary"]["cache"]["normalized"] == ROWS
    assert [case["subject"]["normalized"] for case in document["cases"]] == [True] * ROWS
    assert normalized(from_json(to_json(report), name="document")) == ROWS
    for page in (render_report(report, width=200), markdown(report)):
        assert f"{ROWS} hits match but for white space: s/r0, s/r1, s/r2" in page
    told = render_explanation(explain_run("s/r1", "last", start=workspace.root))
    assert "hit, by a question that is alike but for white space" in told


def test_a_verdict_is_about_the_text_as_it_stands(
    workspace: Workspace, provider: FakeProvider
) -> None:
    project(workspace, provider, "normalized", "Question {{q}}")
    workspace.suite(n=ROWS, checks=[CHECKS[0], {"type": "llm-rubric", "value": RUBRIC + " "}])
    provider.requests.clear()
    workspace.run()
    assert len(provider.requests) == ROWS


def test_a_cleared_answer_is_asked_again_and_found_afterwards(
    workspace: Workspace, provider: FakeProvider
) -> None:
    import shutil

    project(workspace, provider, "normalized", "Question {{q}}")
    shutil.rmtree(workspace.state / "cache")
    assert normalized(project(workspace, provider, "normalized", "Question {{q}} ")) == 0
    assert len(provider.requests) == 2 * ROWS
    assert normalized(project(workspace, provider, "normalized", "Question {{q}}  ")) == ROWS


def test_a_changed_row_among_rows_that_are_taken_over(
    workspace: Workspace, provider: FakeProvider
) -> None:
    project(workspace, provider, "normalized", "Question {{q}}")
    rows = questions(ROWS)
    workspace.golden("s", [*rows[:-1], {**rows[-1], "q": f"{rows[-1]['q']} "}])
    provider.requests.clear()
    assert normalized(workspace.run()) == 1
    assert not provider.requests


def test_an_unknown_name_is_an_error_with_its_place(
    workspace: Workspace, provider: FakeProvider
) -> None:
    with pytest.raises(Exception, match=r"evalrunner\.yaml:1"):
        project(workspace, provider, ["lower-case"], "Question {{q}}")


def test_the_names_are_those_of_the_configuration() -> None:
    from evalrunner.values.project import NORMALIZATION_NAMES

    assert set(NORMALIZATIONS) == set(NORMALIZATION_NAMES)
    text = "\r\n a \t b\r\n"
    once = Likeness(NORMALIZATION_NAMES).normal(text)
    assert Likeness(NORMALIZATION_NAMES).normal(once) == once == "a b"
    assert pointed_at(b"../../etc/passwd") is None
    assert pointed_at(b"ab" * 32) == "ab" * 32
