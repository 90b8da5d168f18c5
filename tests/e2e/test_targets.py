"""The system under test: models side by side, and the user's own application behind three doors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from evalrunner.testing import FakeProvider, FakeReply
from evalrunner.values.money import from_usd
from evalrunner.verdict.summary import summarise

from .workspace import Workspace, asked, ids, outcomes, reason

CHECKS = [{"type": "contains", "value": "number"}]

PYTHON_APP = """
from pathlib import Path
from evalrunner import Answer

LOG = Path(__file__).parent.parent / "calls.log"

def note():
    with LOG.open("a") as file:
        file.write("call\\n")

def plain(prompt, vars):
    note()
    return f"{prompt} from {vars['q']}"

async def later(prompt, vars):
    note()
    return Answer(prompt, usage={"input_tokens": 7, "output_tokens": 3}, usd="0.25", calls=2)

class Bot:
    def __call__(self, prompt, vars):
        note()
        return prompt

bot = Bot()

def crash(prompt, vars):
    note()
    if vars["q"] == "number 1":
        raise ValueError("the database is down")
    return prompt

def leave(prompt, vars):
    raise SystemExit(3)
"""


@pytest.fixture
def application(workspace: Workspace) -> Workspace:
    workspace.write("app/__init__.py", "")
    workspace.write("app/bot.py", PYTHON_APP)
    workspace.write("pyproject.toml", "")
    return workspace


def calls(workspace: Workspace) -> int:
    log = workspace.root / "calls.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def forget_modules(workspace: Workspace) -> None:
    """As a new process would."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "app"]:
        del sys.modules[name]


# ---------------------------------------------------------------- side by side


def test_two_models_and_two_prompts_stand_side_by_side(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(
        n=3,
        checks=CHECKS,
        target=["small", "large"],
        prompts=[{"label": "short", "text": "{{q}}"}, {"label": "long", "text": "Please: {{q}}"}],
    )
    report = workspace.run()
    assert ids(report) == [
        f"s/r{row}@{prompt}@{target}"
        for row in range(3)
        for prompt in ("short", "long")
        for target in ("small", "large")
    ]
    assert outcomes(report) == {"passed": 12}
    assert asked(provider) == (6, 6)
    assert summarise(report.cases).total.calls_by_tier == {"proxy": 6, "frontier": 6}
    assert {case.subject.model for case in report.cases if case.subject} == {"small", "large"}


def test_one_of_two_models_may_fail_alone(workspace: Workspace) -> None:
    def script(body: Any) -> str:
        return "number" if str(body["model"]).startswith("huge") else "nothing"

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=4, checks=CHECKS, target=["small", "large"])
        report = workspace.run()
    assert report.run.exit_code == 1
    assert ids(report, "passed") == [f"s/r{row}@large" for row in range(4)]
    assert ids(report, "failed") == [f"s/r{row}@small" for row in range(4)]


def test_chat_prompts_tools_and_response_formats_reach_the_wire(
    workspace: Workspace, provider: FakeProvider
) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{{q}}"}]
    workspace.suite(
        n=1,
        prompts=[chat],
        checks=CHECKS,
        tools=tools,
        response_format={"type": "json_object"},
    )
    assert outcomes(workspace.run()) == {"passed": 1}
    (body,) = provider.requests
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "number 0"},
    ]
    assert (body["tools"], body["response_format"]) == (tools, {"type": "json_object"})
    assert body["max_tokens"] == 1024
    assert "stream" not in body or body["stream"] is False


# ---------------------------------------------------------------- what an application costs


@pytest.mark.parametrize(("fixed", "code"), [(None, 0), ("fail", 4), ("warn", 0)])
def test_an_application_that_does_not_say_what_it_costs_is_never_counted_as_free(
    application: Workspace, fixed: str | None, code: int
) -> None:
    if fixed:
        application.config["cost"] = {
            "production": [{"source": "fixed", "usd_per_month": 5000}],
            "gate": {"on_inconclusive": fixed},
        }
        application.write("evalrunner.yaml", application.config)
    application.suite(n=2, checks=CHECKS, target={"python": "app.bot:plain"})
    plan = application.program("plan", "--json")
    cost = json.loads(plan.stdout)["summary"]["cost"]
    assert cost["unmetered"] == ["s:app.bot:plain"]
    assert cost["estimate"] == {"expected_usd": "0", "maximum_usd": None, "unmetered": True}
    assert plan.returncode == 0, "it may still say so"

    done = application.program("run", "-o", "a.json", "-o", "a.md", "--max-usd", "1")
    assert done.returncode == code
    assert "paid $0 or more, nominal $0 or more" in done.stdout
    assert "did not say what its answers cost" in (application.root / "a.md").read_text()
    document = json.loads((application.root / "a.json").read_bytes())
    assert document["summary"]["cost"]["unmetered"] == ["s:app.bot:plain"]
    assert "in flight may pass the ceiling" in str(document["gates"])

    again = application.program("run")
    assert again.returncode == 0
    assert "paid $0, nominal $0 or more, saved by the cache $0 or more" in again.stdout


def test_what_an_application_said_is_what_it_is_expected_to_cost(application: Workspace) -> None:
    application.suite(n=2, checks=CHECKS, target={"python": "app.bot:later"})
    assert application.program("run").returncode == 0
    cost = json.loads(application.program("plan", "--json", "--no-cache").stdout)["summary"]["cost"]
    assert (cost["unmetered"], cost["estimate"]) == (
        [],
        {"expected_usd": "0.5", "maximum_usd": None},
    )


# ---------------------------------------------------------------- python


@pytest.mark.parametrize("name", ["plain", "later", "bot"])
def test_a_python_application_is_asked_once_per_question(
    application: Workspace, provider: FakeProvider, name: str
) -> None:
    application.suite(n=4, checks=CHECKS, target={"python": f"app.bot:{name}"})
    report = application.run()
    assert (outcomes(report), calls(application)) == ({"passed": 4}, 4)
    assert outcomes(application.run()) == {"passed": 4}
    assert calls(application) == 4, "unchanged code and unchanged questions"
    assert not provider.requests
    total = summarise(report.cases).total
    reported = {"later": from_usd("1")}.get(name, 0)
    assert total.incurred.amount == reported


@pytest.mark.parametrize(
    ("path", "content", "again"),
    [
        ("app/bot.py", PYTHON_APP + "\n# another thought\n", True),
        ("app/prompts/system.txt", "Be brief.", True),
        ("requirements.txt", "openai==2.0\n", True),
        ("notes.txt", "nothing to do with it", False),
        ("other/module.py", "X = 1", False),
    ],
)
def test_editing_the_application_asks_it_again(
    application: Workspace, path: str, content: str, again: bool
) -> None:
    application.suite(n=3, checks=CHECKS, target={"python": "app.bot:plain"})
    application.run()
    application.write(path, content)
    forget_modules(application)
    assert outcomes(application.run()) == {"passed": 3}
    assert calls(application) == (6 if again else 3)


def test_watched_files_are_the_identity(application: Workspace) -> None:
    application.write("data/facts.txt", "one")
    target = {"python": "app.bot:plain", "watch": ["data/*.txt"]}
    application.suite(n=2, checks=CHECKS, target=target)
    application.run()
    application.write("app/__init__.py", "# not watched\n")
    application.run()
    assert calls(application) == 2
    application.write("data/facts.txt", "two")
    application.run()
    assert calls(application) == 4


def test_an_application_that_crashes_errors_its_case_alone(application: Workspace) -> None:
    application.suite(n=3, checks=CHECKS, target={"python": "app.bot:crash"})
    report = application.run()
    assert (report.run.exit_code, outcomes(report)) == (6, {"passed": 2, "errored": 1})
    (crashed,) = [case for case in report.cases if case.outcome == "errored"]
    assert crashed.case.id == "s/r1"
    assert "ValueError" in reason(crashed)
    assert "the database is down" in reason(crashed)
    application.run()
    assert calls(application) == 4, "a failure is not kept; the two answers are"


def test_an_application_cannot_end_the_run(application: Workspace) -> None:
    application.suite(n=2, checks=CHECKS, target={"python": "app.bot:leave"})
    report = application.run()
    assert (report.run.exit_code, outcomes(report)) == (6, {"errored": 2})


# ---------------------------------------------------------------- http and command


@pytest.fixture
def web() -> Iterator[FakeProvider]:
    def script(body: Any) -> FakeReply:
        if "number 1" in body["question"]:
            return FakeReply(status=400, text="no such question")
        said = {"reply": {"text": body["question"]}, "usage": {"input_tokens": 3}}
        return FakeReply(body=json.dumps(said).encode())

    with FakeProvider(script) as running:
        yield running


def http_target(web: FakeProvider, **further: Any) -> dict[str, Any]:
    http = {
        "url": f"{web.base_url}/ask",
        "body": {"question": "{{prompt}}", "raw": "{{q}}"},
        "output": "reply.text",
    }
    return {"http": http, "label": "web", **further}


@pytest.mark.parametrize(("further", "kept"), [({}, False), ({"version": "7"}, True)])
def test_an_http_application_is_cached_only_under_a_version(
    workspace: Workspace, web: FakeProvider, further: dict[str, Any], kept: bool
) -> None:
    workspace.suite(n=3, checks=CHECKS, target=http_target(web, **further))
    report = workspace.run()
    assert (report.run.exit_code, outcomes(report)) == (6, {"passed": 2, "errored": 1})
    assert web.requests[0] == {"question": "Question number 0", "raw": "number 0"}
    assert any("not cached" in line for line in report.warnings) is not kept
    first = len(web.requests)
    workspace.run()
    assert len(web.requests) == first + (1 if kept else 3)
    if kept:
        workspace.suite(n=3, checks=CHECKS, target=http_target(web, version="8"))
        workspace.run()
        assert len(web.requests) == first + 1 + 3


def test_the_calls_behind_an_http_answer_are_counted_and_priced_with_it(
    workspace: Workspace,
) -> None:
    said = {"reply": {"text": "number", "cost": "0.03", "steps": 4}}
    with FakeProvider(lambda body: FakeReply(body=json.dumps(said).encode())) as running:
        target = http_target(running)
        target["http"] |= {"usd": "reply.cost", "calls": "reply.steps"}
        workspace.suite(n=2, checks=CHECKS, target=target)
        assert workspace.run().run.exit_code == 0
    shown = workspace.program("ledger", "show", "--by", "case")
    assert "s/r0   $0.03  1 (+4)" in shown.stdout, shown.stdout
    assert "total  $0.06  2 (+8)" in shown.stdout


COMMAND = """
import json, pathlib, sys
asked = json.load(sys.stdin)
with open("calls.log", "a") as log:
    log.write("call\\n")
if asked["vars"]["q"] == "number 1":
    sys.exit("out of order")
print(json.dumps({"output": asked["prompt"], "usd": "0.5"}))
"""


def test_a_command_may_end_before_it_was_told_anything(workspace: Workspace) -> None:
    workspace.suite(n=30, checks=CHECKS, target={"command": ["echo", "a number"], "label": "bot"})
    report = workspace.run()
    assert (report.run.exit_code, outcomes(report)) == (0, {"passed": 30})


@pytest.mark.parametrize(("further", "kept"), [({}, False), ({"version": "7"}, True)])
def test_a_command_is_cached_only_under_a_version(
    workspace: Workspace, further: dict[str, Any], kept: bool
) -> None:
    workspace.write("bot.py", COMMAND)
    target = {"command": [sys.executable, "bot.py"], "label": "bot", **further}
    workspace.suite(n=3, checks=CHECKS, target=target)
    report = workspace.run(max_concurrency=2)
    assert (report.run.exit_code, outcomes(report)) == (6, {"passed": 2, "errored": 1})
    (broken,) = [case for case in report.cases if case.outcome == "errored"]
    assert "out of order" in reason(broken)
    assert any("not cached" in line for line in report.warnings) is not kept
    assert calls(workspace) == 3
    workspace.run(max_concurrency=2)
    assert calls(workspace) == (4 if kept else 6)


def test_frozen_asks_no_application(application: Workspace) -> None:
    application.suite(n=2, checks=CHECKS, target={"python": "app.bot:plain"})
    report = application.run(frozen=True)
    assert (report.run.exit_code, outcomes(report)) == (7, {"not_run": 2})
    assert calls(application) == 0


def test_an_application_beside_a_model(application: Workspace, provider: FakeProvider) -> None:
    target = [{"python": "app.bot:plain", "label": "ours"}, "large"]
    application.suite(n=2, checks=CHECKS, target=target)
    report = application.run()
    assert ids(report) == ["s/r0@ours", "s/r0@large", "s/r1@ours", "s/r1@large"]
    assert outcomes(report) == {"passed": 4}
    assert (calls(application), asked(provider)) == (2, (0, 2))
