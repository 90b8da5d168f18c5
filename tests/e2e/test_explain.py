"""Why did it run again? Every kind of edit, the calls that it causes, and the cause that is told."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from evalrunner.errors import EvalRunnerError
from evalrunner.reports.explain import explanation_json, render_explanation
from evalrunner.testing import FakeProvider, FakeReply
from evalrunner.values.explanation import Explanation
from evalrunner.values.result import RunReport
from evalrunner.wiring.explaining import explain_run

from .workspace import Workspace, ids, prompt_of, questions

ROWS = 4
SUITE = """\
name: s
prompts: ["Question {{q}}"]
golden: "file://../golden/s.jsonl"
checks:
  - {type: contains, value: ok}
  - {type: llm-rubric, value: "RUBRIC: it is an answer", threshold: 0.5}
"""


@pytest.fixture
def warm(workspace: Workspace, provider: FakeProvider) -> Workspace:
    """A project whose every question was answered and judged."""
    workspace.golden("s", questions(ROWS))
    workspace.write("suites/s.yaml", SUITE)
    assert workspace.run().summary.total.misses_by_cause == {"first_run": 2 * ROWS}  # type: ignore[union-attr]
    provider.requests.clear()
    return workspace


def suite(old: str, new: str) -> Callable[[Workspace], None]:
    def edit(workspace: Workspace) -> None:
        assert old in SUITE
        workspace.write("suites/s.yaml", SUITE.replace(old, new))

    return edit


def large(**further: Any) -> Callable[[Workspace], None]:
    def edit(workspace: Workspace) -> None:
        workspace.config["models"]["large"] |= further
        workspace.write("evalrunner.yaml", workspace.config)

    return edit


def rows(*golden: dict[str, object]) -> Callable[[Workspace], None]:
    return lambda workspace: (workspace.golden("s", golden), None)[1]


def damage(workspace: Workspace) -> None:
    (path,) = (workspace.state / "cache").rglob("*.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE Cache SET value = substr(value, 1, 40)")


def clear(workspace: Workspace) -> None:
    shutil.rmtree(workspace.state / "cache")


def namespace(workspace: Workspace) -> None:
    workspace.write("evalrunner.yaml", {**workspace.config, "cache": {"namespace": "other"}})


def causes(report: RunReport) -> dict[str, int]:
    """What the document says, and that the accounts of the cases say the same."""
    assert report.summary is not None
    told = dict(report.summary.total.misses_by_cause)
    counted: dict[str, int] = {}
    for group in report.misses:
        counted[group.cause] = counted.get(group.cause, 0) + group.count
    assert counted == told
    return told


@pytest.mark.parametrize(
    ("edit", "flags", "expected"),
    [
        (suite("Question {{q}}", "Say: {{q}}"), {}, {"template": ROWS, "answer": ROWS}),
        (suite("an answer", "a good answer"), {}, {"rubric": ROWS}),
        (suite("checks:", "response_format: {type: text}\nchecks:"), {}, {"response_format": ROWS}),
        (suite("checks:", "repeat: 2\nchecks:"), {}, {"new_draw": ROWS}),
        (
            suite("0.5}\n", '0.5}\n  - {type: llm-rubric, value: "RUBRIC: two"}\n'),
            {},
            {"new_check": ROWS},
        ),
        (
            suite("threshold: 0.5", 'rubricPrompt: "RUBRIC {{rubric}} {{output}}"'),
            {},
            {"frame": ROWS},
        ),
        (rows(*questions(ROWS - 1), {"id": "r3", "q": "new"}), {}, {"variables": 1, "answer": 1}),
        (rows(*questions(ROWS + 1)), {}, {"new_case": 2}),
        (large(params={"temperature": 0.5}), {}, {"params": 2 * ROWS}),
        (large(revision="2"), {}, {"model": 2 * ROWS}),
        (lambda _: None, {"recache": True}, {"recache": ROWS}),
        (lambda _: None, {"rejudge": True}, {"recache": ROWS}),
        (lambda _: None, {"no_cache": True}, {"no_cache": 2 * ROWS}),
        (damage, {}, {"damaged": 2 * ROWS}),
        (clear, {}, {"evicted": 2 * ROWS}),
        (namespace, {}, {"namespace": 2 * ROWS}),
        (suite("name: s\n", "name: s\n# a comment\n"), {}, {}),
        (suite("{{q}}", "{{ q }}{# for the reader #}"), {}, {}),
    ],
    ids="template rubric response-format draws check frame row-changed row-added params model recache "
    "rejudge no-cache damaged cleared namespace comment jinja".split(),
)
@pytest.mark.parametrize("include", ["outputs", "redacted"])
def test_every_miss_has_its_cause(
    warm: Workspace,
    provider: FakeProvider,
    edit: Callable[[Workspace], None],
    flags: dict[str, Any],
    expected: dict[str, int],
    include: str,
) -> None:
    if include != "outputs":
        warm.config["report"] = {"include": include}
        warm.write("evalrunner.yaml", warm.config)
        warm.run()
        warm.run()
    edit(warm)
    report = warm.run(**flags)
    assert causes(report) == expected
    assert len(provider.requests) == sum(expected.values())


def explained(workspace: Workspace, case_id: str | None = None, run: str = "last") -> Explanation:
    return explain_run(case_id, run, start=workspace.root)


def test_a_template_is_shown_as_a_difference(warm: Workspace) -> None:
    template = (
        "Here is a question to be answered by you:\n{{q}}\nAnswer in one short sentence only."
    )
    warm.write("suites/s.yaml", SUITE.replace('"Question {{q}}"', json.dumps(template)))
    warm.run()
    warm.write(
        "suites/s.yaml", SUITE.replace('"Question {{q}}"', json.dumps(template + "\nBe brief."))
    )
    warm.run()
    text = render_explanation(explained(warm, "s/r1"))
    assert "miss, prompt template changed" in text
    assert "      + Be brief." in text
    assert "      - " not in text.split("llm-rubric")[0]
    assert "since run " in text
    assert "suites/s.yaml:2" in text


def test_a_variable_is_named_with_what_it_was(warm: Workspace) -> None:
    rows(*questions(ROWS - 1), {"id": "r3", "q": "new"})(warm)
    warm.run()
    text = render_explanation(explained(warm, "s/r3"))
    assert "variable q (golden/s.jsonl:4): 'number 3' -> 'new'" in text


def test_contents_that_may_not_be_kept_are_not_shown(warm: Workspace) -> None:
    warm.config["report"] = {"include": "none"}
    warm.write("evalrunner.yaml", warm.config)
    warm.run()
    rows(*questions(ROWS - 1), {"id": "r3", "q": "SECRET"})(warm)
    suite("{{q}}", "{{q}}!")(warm)
    assert causes(warm.run()) == {"template": ROWS, "answer": ROWS}
    text = render_explanation(explained(warm, "s/r3"))
    assert "SECRET" not in text
    assert "Question" not in text
    assert "another, whose text is not kept" in text


def test_a_row_without_an_id_is_found_by_its_place(workspace: Workspace) -> None:
    workspace.suite(n=0, checks=[{"type": "contains", "value": "ok"}])
    workspace.golden("s", [{"q": "first"}, {"q": "second"}])
    workspace.run()
    workspace.golden("s", [{"q": "first"}, {"q": "changed"}, {"q": "third"}])
    report = workspace.run()
    assert causes(report) == {"variables": 1, "new_case": 1}
    changed = ids(report)[1]
    assert "'second' -> 'changed'" in render_explanation(explained(workspace, changed))


def test_a_hit_names_the_run_that_has_asked(warm: Workspace) -> None:
    first = explained(warm).run.id
    warm.run()
    text = render_explanation(explained(warm, "s/r0"))
    assert text.count(f"hit, the same question as in run {first}") == 2
    assert not explained(warm).cases


def test_an_older_run_can_be_explained_and_a_case_is_looked_for(warm: Workspace) -> None:
    suite("Question", "Ask")(warm)
    second = warm.run()
    suite("Question", "Say")(warm)
    warm.run(pattern="r0")
    about = explained(warm, "s/r1")
    assert about.run.id == second.run.id
    assert [one.cause for one in about.cases[0].requests] == ["template", "answer"]
    assert "'Ask {{q}}' -> 'Say {{q}}'" in render_explanation(explained(warm, "s/r0"))
    assert "'Question {{q}}' -> 'Ask {{q}}'" in render_explanation(
        explained(warm, "s/r0", second.run.id)
    )


def test_a_frozen_miss_has_a_cause_although_nobody_was_asked(
    warm: Workspace, provider: FakeProvider
) -> None:
    suite("RUBRIC: it is", "RUBRIC: is it")(warm)
    report = warm.run(frozen=True)
    assert {group.cause: group.count for group in report.misses} == {"rubric": ROWS}
    assert [one.cause for one in explained(warm, "s/r0").cases[0].requests] == [None, "rubric"]
    suite("Question", "Say")(warm)
    report = warm.run(frozen=True)
    assert {group.cause: group.count for group in report.misses} == {"template": ROWS}
    assert not provider.requests


def test_an_answer_that_was_not_kept_or_grew_old_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeProvider(FakeReply(text="ok and", finish_reason="length")) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=2, checks=[{"type": "contains", "value": "ok"}])
        workspace.run()
        assert causes(workspace.run()) == {"not_kept": 2}
    with FakeProvider("ok") as provider:
        workspace.configure(provider.base_url, cache={"max_age": "1h"})
        workspace.run()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 4000)
        assert causes(workspace.run()) == {"expired": 2}


def test_code_of_an_application_is_named(workspace: Workspace) -> None:
    source = "def answer(prompt, vars):\n    return 'ok'\n"
    workspace.write("bot.py", source)
    workspace.suite(
        n=2, target={"python": "bot:answer"}, checks=[{"type": "contains", "value": "ok"}]
    )
    workspace.write("evalrunner.yaml", {})
    workspace.run()
    workspace.write("bot.py", source + "# changed\n")
    assert causes(workspace.run()) == {"target_code": 2}
    assert "application files" in render_explanation(explained(workspace, "s/r0"))


def test_an_error_before_is_told(workspace: Workspace) -> None:
    status = [500]

    def script(body: Any) -> FakeReply:
        return FakeReply(text="ok", status=status[0])

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=1, checks=[{"type": "contains", "value": "ok"}])
        status[0] = 400
        workspace.run()
        status[0] = 200
        assert causes(workspace.run()) == {"unanswered": 1}


def test_the_explanation_is_json_as_well(warm: Workspace) -> None:
    suite("Question", "Say")(warm)
    warm.run()
    document = json.loads(explanation_json(explained(warm)))
    assert document["schema"] == "evalrunner.explain/1"
    assert len(document["cases"]) == ROWS
    (subject, judge) = document["cases"][0]["requests"]
    assert (subject["cause"], judge["cause"]) == ("template", "answer")
    assert subject["changes"][0] == {
        "component": "template",
        "name": "prompt-1",
        "before": "Question {{q}}",
        "after": "Say {{q}}",
        "source": {"file": "suites/s.yaml", "line": 2},
    }


def test_hostile_text_in_an_answer_does_not_reach_the_terminal(workspace: Workspace) -> None:
    said = ["\x1b[2Jone", "\x1b]0;owned\x07two\n::error::three"]

    def script(body: Any) -> str:
        return '{"pass": true, "score": 1}' if "RUBRIC" in prompt_of(body) else said[0]

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=1, checks=[{"type": "llm-rubric", "value": "RUBRIC: it is"}])
        workspace.run()
        said.pop(0)
        workspace.run(recache=True)
    text = render_explanation(explained(workspace, "s/r0"))
    assert "two" in text
    assert not {"\x1b", "\x07"} & set(text)
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())


def test_what_is_not_there_is_said_with_a_hint(warm: Workspace) -> None:
    with pytest.raises(EvalRunnerError) as caught:
        explained(warm, "s/r11")
    assert caught.value.hint
    with pytest.raises(EvalRunnerError):
        explained(warm, "s/r1", "no-such-run")


def test_the_command(warm: Workspace) -> None:
    suite("Question", "Say")(warm)
    ran = warm.program("run")
    assert f"{2 * ROWS} misses: {ROWS} prompt template changed (suites/s.yaml:2)" in ran.stdout
    told = warm.program("explain", "--misses")
    assert told.returncode == 0
    assert "'Question {{q}}' -> 'Say {{q}}'" in told.stdout
    assert warm.program("explain").returncode == 2
    assert "did you mean" in warm.program("explain", "s/r11").stderr
    warm.program("run")
    assert "no misses" in warm.program("explain", "--misses").stdout
