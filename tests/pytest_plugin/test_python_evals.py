from __future__ import annotations

import json

from evalrunner.testing import FakeProvider
from tests.e2e.workspace import RUBRIC, Workspace, prompt_of
from tests.pytest_plugin.session import documents, pytest_session

HEAD = "import pytest\nfrom evalrunner.pytest import golden\n"


def test_asking_checking_and_asserting(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.write(
        "tests/test_bot.py",
        HEAD
        + """
def shouts(output):
    return output.isupper()

def test_held(llm_eval):
    checks = ["is-json", {"type": "contains", "value": "{{word}}"}]
    result = llm_eval("Say {{word}}", {"word": "{{hi}}"}, checks=checks)
    assert result and result.passed and "{{hi}}" in result.output
    assert result.cost_usd >= 0

def test_literal(llm_eval):
    assert "{{braces}}" in llm_eval("Say {{braces}}").output

def test_a_check_fails(llm_eval):
    llm_eval("Say a", {}, checks=[shouts])

def test_an_assertion_fails(llm_eval):
    result = llm_eval("Say b")
    assert "nothing like it" in result.output

def test_it_raises(llm_eval):
    llm_eval("Say c")
    raise KeyError("x")

def test_output_at_hand(llm_eval):
    assert llm_eval.check("LOUD", shouts).cost_usd == 0
    assert not llm_eval.check("quiet", shouts, must_pass=False)
    assert llm_eval.check("an answer", {"type": "llm-rubric", "value": "RUBRIC: fine"})

@pytest.mark.evalcase(suite="bots", lang="de")
def test_marked():
    assert 1 + 1 == 2

@pytest.mark.evalcase(suite="bots", checks=["is-json"], target="small")
def test_marked_with_defaults(llm_eval):
    assert llm_eval("Say d").case.subject.model == "small"

@pytest.mark.xfail
def test_excused(llm_eval):
    llm_eval("Say d", checks=[shouts])

def test_unusable(llm_eval):
    llm_eval("Say e", checks=["no-such-check"])
""",
    )
    ended = pytest_session(workspace, "-v")
    assert ended.counts == {"failed": 4, "passed": 5, "xfailed": 1}, ended.out
    page = ended.out
    assert "E       evalrunner.pytest.CheckFailed: tests/test_bot.py/test_a_check_fails" in page
    assert "prompt    Say a" in page
    assert "FAILED    python python_test:shouts: the function says no" in page
    assert "tests/test_bot.py:" in page
    assert "'no-such-check' is not a type of check" in page
    assert "wiring/" not in page

    (kept,) = documents(workspace)
    cases = {case.case.id: case for case in kept.cases}
    outcomes = {name.rpartition("test_")[2]: case.outcome.value for name, case in cases.items()}
    assert outcomes == {
        "held": "passed",
        "literal": "passed",
        "a_check_fails": "failed",
        "an_assertion_fails": "failed",
        "it_raises": "errored",
        "output_at_hand": "passed",
        "output_at_hand-2": "failed",
        "output_at_hand-3": "passed",
        "marked": "passed",
        "marked_with_defaults": "passed",
        "excused": "skipped",
        "unusable": "errored",
    }
    failed = cases["tests/test_bot.py/test_an_assertion_fails"]
    assert [check.type for check in failed.checks] == ["assert"]
    assert "nothing like it" in failed.checks[0].reason.raw
    assert cases["bots/test_marked"].case.tags == {"lang": "de"}
    assert [
        call.tier.value for call in cases["tests/test_bot.py/test_output_at_hand-3"].records
    ] == ["frontier"]
    paid = sum(provider.calls.values())
    assert paid == 8
    assert "cases   12: 6 passed, 3 failed, 2 errored, 1 skipped" in page
    assert "FAILED  pass_rate" not in page

    warm = pytest_session(workspace, "-q")
    assert (warm.counts, sum(provider.calls.values())) == (ended.counts, paid)


def test_golden_rows_are_parameters_with_their_checks(
    workspace: Workspace, provider: FakeProvider
) -> None:
    rows = [
        {"id": "one", "q": "1", "checks": [{"type": "contains", "value": "{{q}}"}]},
        {
            "id": "two",
            "q": "2",
            "tags": {"lang": "de"},
            "checks": [{"type": "equals", "value": "x"}],
        },
    ]
    workspace.golden("rows", rows)
    workspace.write(
        "tests/test_rows.py",
        HEAD
        + """
@pytest.mark.parametrize("row", golden("golden/rows.jsonl"))
def test_row(llm_eval, row):
    llm_eval("Question {{q}}", row)
    assert row["q"] and row.id
""",
    )
    ended = pytest_session(workspace, "-v")
    assert ended.reported == {f"tests/test_rows.py::test_row[{name}]": 1 for name in ("one", "two")}
    assert ended.counts == {"failed": 1, "passed": 1}
    assert "row       golden/rows.jsonl:2" in ended.out
    one, two = documents(workspace)[0].cases
    assert (one.case.source.line, two.case.tags) == (1, {"lang": "de"})


def test_a_golden_file_that_is_not_there_is_said_at_collection(workspace: Workspace) -> None:
    workspace.write("tests/test_rows.py", HEAD + 'ROWS = golden("golden/none.jsonl")\n')
    ended = pytest_session(workspace)
    assert ended.code == 2
    assert "there is no golden file 'golden/none.jsonl'" in ended.out


def test_coroutines_await_it(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.write(
        "tests/test_async.py",
        """
import asyncio, pytest

async def test_together(llm_eval):
    one, two = await asyncio.gather(llm_eval("Say one"), llm_eval("Say two", checks=["is-json"]))
    assert "one" in one.output and "two" in two.output

def test_awaited_without_a_loop(llm_eval):
    async def ask():
        return (await llm_eval("Say one")).output
    assert "one" in asyncio.run(ask())

async def test_forgotten(llm_eval):
    llm_eval("Say three")

async def test_misused(llm_eval):
    assert llm_eval("Say four").output
""",
    )
    ended = pytest_session(
        workspace, "-o", "asyncio_mode=auto", "-W", "ignore", plugins=("pytest_asyncio.plugin",)
    )
    assert ended.counts == {"failed": 1, "passed": 3, "errors": 2}, ended.out
    assert "called in a coroutine and not awaited" in ended.out
    assert "await llm_eval(…)" in ended.out
    asked = sorted(prompt_of(body) for body in provider.requests)
    assert len(asked) == 2


def test_misses_of_a_frozen_session_skip_or_fail(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.write("tests/test_one.py", 'def test_one(llm_eval):\n    llm_eval("Say one")\n')
    skipped = pytest_session(workspace, "--eval-frozen", "--eval-on-miss=skip")
    assert (skipped.code, skipped.counts) == (0, {"skipped": 1}), skipped.out
    failed = pytest_session(workspace, "--eval-frozen")
    assert (failed.code, failed.counts) == (1, {"failed": 1})
    assert "not run" in failed.out
    assert sum(provider.calls.values()) == 0


def test_judges_see_the_prompt_as_a_variable(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.write(
        "tests/test_one.py",
        "def test_one(llm_eval):\n"
        '    llm_eval("Say one", checks=[{"type": "llm-rubric", "value": "RUBRIC: answers {{prompt}}"}])\n',
    )
    assert pytest_session(workspace).code == 0
    judged = [json.dumps(body) for body in provider.requests if "RUBRIC" in prompt_of(body)]
    assert len(judged) == 1
    assert "answers Say one" in judged[0]
    assert RUBRIC.startswith("RUBRIC")
