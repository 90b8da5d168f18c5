"""A share of the hits asked again: counted, priced, under the ceiling, and nothing overwritten."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalrunner.errors import UsageError
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.markdown import render as markdown
from evalrunner.reports.terminal import render_report
from evalrunner.testing import FakeProvider
from evalrunner.values.result import RunReport
from evalrunner.verdict.summary import summary_of

from .workspace import RUBRIC, Workspace, outcomes, prompt_of, questions

ROWS = 20


class Drifting:
    """A provider's script: judges approve, and answers carry a version that a test may change."""

    def __init__(self) -> None:
        self.version = 1
        self.score = 1.0
        self.drifted: set[str] = set()

    def __call__(self, body: Any) -> str:
        prompt = prompt_of(body)
        if "RUBRIC" in prompt:
            return json.dumps({"reason": str(self.version), "pass": True, "score": self.score})
        drifts = any(f"number {name}" in prompt for name in self.drifted)
        return f"ok {self.version if drifts else 1} {prompt}"


@pytest.fixture
def script() -> Drifting:
    return Drifting()


@pytest.fixture
def warm(workspace: Workspace, script: Drifting) -> Any:
    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=ROWS, checks=[{"type": "llm-rubric", "value": RUBRIC}])
        workspace.run()
        provider.requests.clear()
        yield workspace, provider


def total(report: RunReport) -> Any:
    return summary_of(report).total


def test_what_agrees_is_counted_and_paid_and_no_miss(warm: Any, script: Drifting) -> None:
    workspace, provider = warm
    script.version = 2  # a judge's reason may differ, its verdict may not
    report = workspace.run(verify_sample=1.0)
    assert outcomes(report) == {"passed": ROWS}
    assert len(provider.requests) == 2 * ROWS
    found = total(report)
    assert (found.hits, found.verified, found.differed) == (2 * ROWS, 2 * ROWS, 0)
    assert (found.misses, found.hit_rate, found.misses_by_cause) == (2 * ROWS, 1.0, {})
    assert found.incurred.amount > 0
    assert len(workspace.attempts(report.run.id)) == 2 * ROWS
    document = json.loads(to_json(report))["summary"]
    assert document["cache"]["misses"] == 0
    assert document["cache"]["verified"] == {"asked": 2 * ROWS, "differed": 0}
    assert document["calls"]["total"] == 2 * ROWS


def test_what_differs_is_told_by_model_and_case_and_stays(warm: Any, script: Drifting) -> None:
    workspace, provider = warm
    script.version, script.drifted = 2, {"7"}
    report = workspace.run(verify_sample=1.0)
    assert (total(report).verified, total(report).differed) == (2 * ROWS, 1)
    for page in (render_report(report, width=200), markdown(report)):
        assert f"{2 * ROWS} hits asked again, 1 differ (large 1 of {2 * ROWS})" in page
        assert "s/r7" in page
    again = from_json(to_json(report), name="document")
    assert total(again).differed == 1
    provider.requests.clear()
    kept = workspace.run()
    assert not provider.requests
    assert all("ok 1" in case.subject.response.text.raw for case in kept.cases if case.subject)


def test_a_judge_that_says_otherwise_differs(warm: Any, script: Drifting) -> None:
    workspace, _ = warm
    script.score = 0.25
    report = workspace.run(verify_sample=1.0)
    assert total(report).differed == ROWS
    assert outcomes(report) == {"passed": ROWS}


def test_a_share_is_a_share(warm: Any) -> None:
    workspace, provider = warm
    workspace.run(verify_sample=0.3)
    assert 0 < len(provider.requests) < 2 * ROWS


def test_a_ceiling_holds_for_the_sample(warm: Any) -> None:
    workspace, provider = warm
    report = workspace.run(verify_sample=1.0, max_usd=2_000_000, no_preflight=True)
    assert len(provider.requests) < 2 * ROWS
    assert (total(report).incurred.amount or 0) <= 2_000_000
    assert any("could not be asked again" in line for line in report.warnings)
    assert outcomes(report) == {"passed": ROWS}
    refused = workspace.run(verify_sample=1.0, max_usd=1)
    assert refused.run.exit_code == 3


def test_misses_are_asked_once_beside_the_sample(warm: Any) -> None:
    workspace, provider = warm
    workspace.golden("s", questions(ROWS + 1))
    report = workspace.run(verify_sample=1.0)
    assert len(provider.requests) == 2 * ROWS + 2
    assert total(report).misses_by_cause == {"new_case": 2}
    provider.requests.clear()
    workspace.run()
    assert not provider.requests


@pytest.mark.parametrize("flag", ["frozen", "no_cache"])
def test_what_contradicts_it_is_refused(workspace: Workspace, flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        workspace.run(verify_sample=0.5, **{flag: True})
    assert caught.value.hint


def test_the_flag(warm: Any) -> None:
    workspace, _ = warm
    done = workspace.program("run", "--verify-sample", "1")
    assert done.returncode == 0
    assert f"{2 * ROWS} hits asked again, 0 differ" in " ".join(done.stdout.split())
    assert workspace.program("run", "--verify-sample", "2").returncode == 2
