"""Who is asked for what: requests counted per model, at a real server."""

from __future__ import annotations

from typing import Any

import pytest

from evalrunner.testing import FakeProvider

from .workspace import RUBRIC, Workspace, asked, model, outcomes, prompt_of

RUBRIC_CHECK = {"type": "llm-rubric", "value": RUBRIC}
CONTAINS = {"type": "contains", "value": "ok"}
IS_JSON = {"type": "is-json"}


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([IS_JSON], (40, 0)),
        ([IS_JSON, {"type": "regex", "value": "ok"}], (40, 0)),
        ([IS_JSON, RUBRIC_CHECK], (0, 80)),
        ([RUBRIC_CHECK], (0, 80)),
        ([CONTAINS], (0, 40)),
        ([IS_JSON, CONTAINS], (0, 40)),
        ([], (0, 40)),
        # the user's own word on a check
        ([{**CONTAINS, "class": "format"}], (40, 0)),
        ([{**IS_JSON, "class": "semantic"}], (0, 40)),
        ([{**RUBRIC_CHECK, "tier": "proxy"}], (40, 40)),
        ([{**RUBRIC_CHECK, "class": "format"}], (80, 0)),
        ([{**RUBRIC_CHECK, "class": "format", "tier": "frontier"}], (40, 40)),
        ([{**RUBRIC_CHECK, "provider": "small"}], (40, 40)),
        # a failure in code settles the verdict, and no judge is paid
        ([{"type": "contains", "value": "absent"}, RUBRIC_CHECK], (0, 40)),
    ],
    ids=lambda value: None if isinstance(value, tuple) else "+".join(c["type"] for c in value),
)
def test_the_class_of_checks_decides_who_is_asked(
    workspace: Workspace, provider: FakeProvider, checks: list[Any], expected: tuple[int, int]
) -> None:
    workspace.suite(n=40, checks=checks)
    report = workspace.run()
    assert asked(provider) == expected
    absent = any(check.get("value") == "absent" for check in checks)
    assert outcomes(report) == {"failed" if absent else "passed": 40}
    assert report.run.exit_code == int(absent)


def counted(script: Any, workspace: Workspace, **suite: Any) -> tuple[Any, tuple[int, int]]:
    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=40, **suite)
        report = workspace.run()
    return report, asked(provider)


def test_a_failure_on_both_is_confirmed_once(workspace: Workspace) -> None:
    def script(body: Any) -> str:
        return "no json" if "number 7" in prompt_of(body) else "{}"

    report, requests = counted(script, workspace, checks=[IS_JSON])
    assert requests == (40, 1)
    assert report.run.exit_code == 1
    assert outcomes(report) == {"passed": 39, "failed": 1}
    (failed,) = [case for case in report.cases if case.outcome == "failed"]
    assert failed.case.id == "s/r7"
    assert failed.confirmed_from is not None
    assert failed.confirmed_from.model == "small"
    assert failed.subject.model == "large"


def test_a_failure_on_the_proxy_alone_passes(workspace: Workspace) -> None:
    def script(body: Any) -> str:
        tiny = str(body["model"]).startswith("tiny")
        return "no json" if tiny and "number 7" in prompt_of(body) else "{}"

    report, requests = counted(script, workspace, checks=[IS_JSON])
    assert requests == (40, 1)
    assert (report.run.exit_code, outcomes(report)) == (0, {"passed": 40})


def test_without_confirmation_the_proxy_has_the_last_word(workspace: Workspace) -> None:
    report, requests = counted(
        lambda body: "no json" if str(body["model"]).startswith("tiny") else "{}",
        workspace,
        checks=[IS_JSON],
        routing={"format": {"confirm": False}},
    )
    assert requests == (40, 0)
    assert outcomes(report) == {"failed": 40}


def test_without_a_proxy_tier_the_target_answers_everything(
    workspace: Workspace, provider: FakeProvider
) -> None:
    url = provider.base_url
    workspace.configure(url, tiers={"frontier": "large"})
    workspace.suite(n=5, checks=[IS_JSON, {**RUBRIC_CHECK, "class": "format"}])
    assert workspace.run().run.exit_code == 0
    assert asked(provider) == (0, 10)


@pytest.mark.parametrize(("further", "tier"), [({}, "frontier"), ({"class": "format"}, "proxy")])
def test_a_judge_of_no_tier_counts_as_the_tier_that_judges_its_class(
    workspace: Workspace, provider: FakeProvider, further: dict[str, Any], tier: str
) -> None:
    workspace.configure(provider.base_url)
    models = {**workspace.config["models"], "third": model(provider.base_url, "third-2026-01-01")}
    workspace.configure(provider.base_url, models=models)
    workspace.suite(n=2, checks=[CONTAINS, {**RUBRIC_CHECK, "provider": "third", **further}])
    report = workspace.run()
    assert outcomes(report) == {"passed": 2}
    assert {case.checks[1].tier for case in report.cases} == {tier}
    assert provider.calls["third-2026-01-01"] == 2


@pytest.mark.parametrize("target", ["proxy", "small"])
def test_a_target_that_is_the_proxy_needs_no_confirmation(
    workspace: Workspace, target: str
) -> None:
    report, requests = counted("no json", workspace, checks=[IS_JSON], target=target)
    assert requests == (40, 0)
    assert outcomes(report) == {"failed": 40}


def test_an_application_answers_for_itself(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.write("app/__init__.py", "")
    workspace.write("app/bot.py", "def answer(prompt, vars):\n    return '{\"app\": 1}'\n")
    workspace.suite(n=5, checks=[IS_JSON], target={"python": "app.bot:answer"})
    assert outcomes(workspace.run()) == {"passed": 5}
    assert asked(provider) == (0, 0)
    workspace.suite("judged", n=5, checks=[RUBRIC_CHECK], target={"python": "app.bot:answer"})
    assert outcomes(workspace.run(suites=("suites/judged.yaml",))) == {"passed": 5}
    assert asked(provider)[0] == 0
    assert asked(provider)[1] == 1, "the same answer under the same rubric is judged once"


def test_a_suite_carries_its_own_routing(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=4, checks=[IS_JSON], routing={"format": {"subject": "target"}})
    workspace.run()
    assert asked(provider) == (0, 4)
    workspace.suite("b", n=4, checks=[RUBRIC_CHECK], routing={"semantic": {"judge": "proxy"}})
    workspace.run(suites=("suites/b.yaml",))
    assert asked(provider) == (4, 4), "the target's answers are known, the judge is the proxy"


def test_the_report_counts_what_the_server_saw(
    workspace: Workspace, provider: FakeProvider
) -> None:
    from evalrunner.verdict.summary import summarise

    workspace.suite("cheap", n=6, checks=[IS_JSON])
    workspace.suite("dear", n=6, checks=[RUBRIC_CHECK], prompts=["Dear {{q}}"])
    report = workspace.run()
    total = summarise(report.cases).total
    assert total.calls_by_tier == {"proxy": 6, "frontier": 12}
    assert {name: part.calls for name, part in total.by_model.items()} == {"small": 6, "large": 12}
    assert asked(provider) == (6, 12)
    assert len(workspace.attempts(report.run.id)) == 18


def test_the_only_model_serves_as_target(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.write("evalrunner.yaml", {"models": {"one": model(provider.base_url)}})
    workspace.suite(n=3, checks=[IS_JSON])
    assert workspace.run().run.exit_code == 0
    assert asked(provider) == (3, 0)
