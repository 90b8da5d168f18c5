"""What changed is asked, what did not is not: requests counted over two runs of an edited project."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from evalrunner.testing import FakeProvider

from .workspace import RUBRIC, Workspace, asked, ids, outcomes, prompt_of, questions

RUBRIC_CHECK = {"type": "llm-rubric", "value": RUBRIC, "threshold": 0.5}
CHECKS = [{"type": "contains", "value": "ok"}, RUBRIC_CHECK]
ROWS = 6

SUITE = """\
name: s
prompts: ["Question {{q}}"]
golden: "file://../golden/s.jsonl"
checks:
  - {type: contains, value: ok}
  - {type: llm-rubric, value: "RUBRIC: it is an answer", threshold: 0.5}
"""


def counted(provider: FakeProvider) -> tuple[int, int]:
    """How many requests asked for an answer, and how many for a verdict."""
    judges = sum("RUBRIC" in prompt_of(body) for body in provider.requests)
    return len(provider.requests) - judges, judges


@pytest.fixture
def warm(workspace: Workspace, provider: FakeProvider) -> Workspace:
    """A project whose every question was answered and judged."""
    workspace.golden("s", questions(ROWS))
    workspace.write("suites/s.yaml", SUITE)
    workspace.write("suites/checks.py", "def holds(output, context):\n    return True\n")
    assert workspace.run().run.exit_code == 0
    assert asked(provider) == (0, 2 * ROWS)
    provider.calls.clear()
    provider.requests.clear()
    return workspace


def rewrite(old: str, new: str) -> Callable[[Workspace], None]:
    def edit(workspace: Workspace) -> None:
        assert old in SUITE
        workspace.write("suites/s.yaml", SUITE.replace(old, new))

    return edit


def reformat(workspace: Workspace) -> None:
    import yaml

    workspace.write("suites/s.yaml", yaml.safe_dump(yaml.safe_load(SUITE), sort_keys=True))


def reorder(workspace: Workspace) -> None:
    workspace.golden("s", reversed(questions(ROWS)))


def rewrite_golden_as_csv(workspace: Workspace) -> None:
    lines = ["id,q", *(f"{row['id']},{row['q']}" for row in questions(ROWS))]
    workspace.write("golden/s.csv", "\n".join(lines) + "\n")
    rewrite("golden/s.jsonl", "golden/s.csv")(workspace)


def rename_file(workspace: Workspace) -> None:
    (workspace.root / "suites/s.yaml").rename(workspace.root / "suites/other.yaml")


def price_and_limits(workspace: Workspace) -> None:
    models = workspace.config["models"]
    models["large"] |= {"price": "free", "rpm": 10, "timeout_seconds": 3, "max_concurrency": 1}
    workspace.write("evalrunner.yaml", workspace.config)


def rename_model(workspace: Workspace) -> None:
    config = workspace.config
    config["models"]["big"] = config["models"].pop("large")
    config["tiers"]["frontier"] = "big"
    workspace.write("evalrunner.yaml", config)


def through_litellm(workspace: Workspace) -> None:
    workspace.config["models"]["large"]["client"] = "litellm"
    workspace.write("evalrunner.yaml", workspace.config)


def schema(workspace: Workspace) -> None:
    """A schema that every answer holds, and then one that none does: both for nothing."""
    for kind in ("object", "array"):
        workspace.write("schemas/reply.json", {"type": kind})
        add_check('{type: is-json, value: "file://../schemas/reply.json"}')(workspace)
        report = workspace.run()
        assert set(outcomes(report)) == {"passed" if kind == "object" else "failed"}


def add_check(text: str) -> Callable[[Workspace], None]:
    return rewrite("checks:\n", f"checks:\n  - {text}\n")


@pytest.mark.parametrize(
    "edit",
    [
        lambda _: None,
        rewrite("name: s\n", "# a comment\nname: s\n"),
        reformat,
        reorder,
        rewrite_golden_as_csv,
        rewrite("name: s\n", "name: renamed\n"),
        rename_file,
        rewrite("Question {{q}}", "Question {# said to the reader #}{{q}}"),
        rewrite("Question {{q}}", "Question {{ q }}"),
        add_check("{type: word-count, value: 3}"),
        add_check("{type: regex, value: number}"),
        add_check("{type: python, value: 'file://checks.py:holds'}"),
        schema,
        rewrite("  - {type: contains, value: ok}\n", ""),
        rewrite("value: ok}", "value: ok, metric: wording}"),
        rewrite("threshold: 0.5", "threshold: 0.9"),
        rewrite("threshold: 0.5", "threshold: 0.5, weight: 3, metric: quality"),
        rewrite("checks:", "gate: {min_pass_rate: 0.5}\ntags: {team: a}\nchecks:"),
        rewrite("checks:", "description: what it is about\nchecks:"),
        price_and_limits,
        rename_model,
        through_litellm,
    ],
    ids="nothing comment format order csv name file jinja-comment jinja-space check-fails "
    "check code schema check-removed check-named threshold weight gate description price "
    "model-name client".split(),
)
def test_an_edit_that_changes_no_question_asks_nobody(
    warm: Workspace, provider: FakeProvider, edit: Callable[[Workspace], None]
) -> None:
    edit(warm)
    report = warm.run()
    assert asked(provider) == (0, 0)
    assert report.run.exit_code in (0, 1)
    assert sum(outcomes(report).values()) == ROWS
    assert set(outcomes(report)) <= {"passed", "failed"}
    assert not warm.attempts(report.run.id)


def test_a_renamed_suite_renames_its_cases(warm: Workspace, provider: FakeProvider) -> None:
    rewrite("name: s\n", "name: renamed\n")(warm)
    report = warm.run()
    assert ids(report) == [f"renamed/r{row}" for row in range(ROWS)]
    assert outcomes(report) == {"passed": ROWS}


def test_how_a_run_is_driven_changes_no_question(warm: Workspace, provider: FakeProvider) -> None:
    for flags in ({"max_concurrency": 1}, {"pattern": "r2"}, {"shard": "1/2"}, {"max_usd": 10**12}):
        assert warm.run(**flags).run.exit_code == 0
    assert asked(provider) == (0, 0)


@pytest.mark.parametrize(
    ("edit", "generated", "judged"),
    [
        (lambda w: w.golden("s", [*questions(ROWS)[:-1], {"id": "r5", "q": "new"}]), 1, 1),
        (lambda w: w.golden("s", questions(ROWS + 1)), 1, 1),
        (lambda w: w.golden("s", questions(ROWS - 1)), 0, 0),
        (rewrite("RUBRIC: it is an answer", "RUBRIC: it is a good answer"), 0, ROWS),
        (rewrite("Question {{q}}", "Question: {{q}}"), ROWS, ROWS),
        (rewrite("checks:", "response_format: {type: json_object}\nchecks:"), ROWS, 0),
        (rewrite("checks:", "repeat: 2\nchecks:"), ROWS, 0),
    ],
    ids="row-changed row-added row-removed rubric prompt response-format repeat".split(),
)
def test_an_edit_asks_for_what_it_changed_and_nothing_else(
    warm: Workspace,
    provider: FakeProvider,
    edit: Callable[[Workspace], None],
    generated: int,
    judged: int,
) -> None:
    edit(warm)
    report = warm.run()
    assert counted(provider) == (generated, judged)
    assert report.run.exit_code == 0
    assert len(warm.attempts(report.run.id)) == generated + judged
    provider.requests.clear()
    warm.run()
    assert not provider.requests


@pytest.mark.parametrize(
    "change",
    [{"params": {"temperature": 0.5}}, {"revision": "2"}, {"model": "openai/huge-2026-02-02"}],
    ids=lambda change: next(iter(change)),
)
def test_another_model_is_asked_and_judges_again(
    warm: Workspace, provider: FakeProvider, change: dict[str, Any]
) -> None:
    warm.config["models"]["large"] |= change
    warm.write("evalrunner.yaml", warm.config)
    warm.run()
    assert len(provider.requests) == 2 * ROWS


def test_equal_questions_are_asked_once(workspace: Workspace, provider: FakeProvider) -> None:
    rows = [{"q": f"number {number % 4}", "of": number} for number in range(20)]
    workspace.golden("s", rows)
    workspace.write("suites/s.yaml", SUITE)
    report = workspace.run()
    assert outcomes(report) == {"passed": 20}
    assert len(provider.requests) == 4 + 4
    assert len({json.dumps(body, sort_keys=True) for body in provider.requests}) == 8
    assert len(workspace.attempts(report.run.id)) == 8


def test_equal_answers_are_judged_once(workspace: Workspace) -> None:
    def script(body: Any) -> str:
        return (
            '{"pass": true, "score": 1}' if "RUBRIC" in prompt_of(body) else "ok, always the same"
        )

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=20, checks=[RUBRIC_CHECK])
        assert outcomes(workspace.run()) == {"passed": 20}
        judged = sum("RUBRIC" in prompt_of(body) for body in provider.requests)
        assert (len(provider.requests), judged) == (21, 1)


# ---------------------------------------------------------------- frozen, off, again


def entries(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """What the store holds, row by row."""
    held: dict[str, list[tuple[Any, ...]]] = {}
    for path in sorted((workspace.state / "cache").rglob("*.db")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            query = "SELECT key, value, store_time FROM Cache ORDER BY key"
            held[str(path)] = connection.execute(query).fetchall()
    assert held
    return held


def test_frozen_and_warm_is_answered_without_a_connection(
    warm: Workspace, provider: FakeProvider
) -> None:
    before = entries(warm)
    report = warm.run(frozen=True)
    assert (report.run.exit_code, outcomes(report)) == (0, {"passed": ROWS})
    assert not provider.requests
    assert entries(warm) == before


def test_frozen_asks_nobody_for_what_is_missing(warm: Workspace, provider: FakeProvider) -> None:
    before = entries(warm)
    warm.golden("s", [*questions(ROWS), {"id": "new", "q": "new"}])
    report = warm.run(frozen=True)
    assert report.run.exit_code == 7
    assert outcomes(report) == {"passed": ROWS, "not_run": 1}
    (missed,) = [case for case in report.cases if case.outcome == "not_run"]
    assert (missed.case.id, missed.reason) == ("s/new", "frozen_miss")
    assert not provider.requests
    assert not warm.attempts(report.run.id)
    assert entries(warm) == before


def test_frozen_with_a_missing_verdict_keeps_the_answer(
    warm: Workspace, provider: FakeProvider
) -> None:
    rewrite("RUBRIC: it is", "RUBRIC: it is not")(warm)
    report = warm.run(frozen=True)
    assert report.run.exit_code == 7
    assert outcomes(report) == {"not_run": ROWS}
    assert all(case.reason == "frozen_miss" and case.subject for case in report.cases)
    assert not provider.requests


def test_frozen_in_a_new_project_starts_nothing(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=3, checks=[{"type": "contains", "value": "ok"}])
    report = workspace.run(frozen=True)
    assert (report.run.exit_code, outcomes(report)) == (7, {"not_run": 3})
    assert not provider.requests
    stores = list((workspace.state / "cache").rglob("*.db"))
    assert not stores or not any(entries(workspace).values())


def test_without_a_cache_nothing_is_read_or_written(
    warm: Workspace, provider: FakeProvider
) -> None:
    before = entries(warm)
    report = warm.run(no_cache=True)
    assert outcomes(report) == {"passed": ROWS}
    assert len(provider.requests) == 2 * ROWS
    assert entries(warm) == before


@pytest.mark.parametrize(
    ("flags", "generated", "judged", "mode"),
    [
        ({"recache": True}, ROWS, 0, "write-only for answers"),
        ({"rejudge": True}, 0, ROWS, "write-only for verdicts"),
        ({"recache": True, "rejudge": True}, ROWS, ROWS, "write-only"),
    ],
    ids=["answers", "verdicts", "both"],
)
def test_asking_again_judges_no_text_twice_that_came_out_the_same(
    warm: Workspace,
    provider: FakeProvider,
    flags: dict[str, bool],
    generated: int,
    judged: int,
    mode: str,
) -> None:
    report = warm.run(**flags)
    assert outcomes(report) == {"passed": ROWS}
    assert counted(provider) == (generated, judged)
    assert report.cache.mode == mode


def test_recache_judges_the_texts_that_came_out_otherwise(workspace: Workspace) -> None:
    said = {"number 1": "first"}

    def script(body: Any) -> str:
        if "RUBRIC" in prompt_of(body):
            return '{"pass": true, "score": 1}'
        return "ok " + next((new for old, new in said.items() if old in prompt_of(body)), "same")

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=4, checks=[RUBRIC_CHECK])
        workspace.run()
        said["number 1"] = "second"
        provider.requests.clear()
        workspace.run(recache=True)
        assert counted(provider) == (4, 1)


def test_another_model_that_says_the_same_is_not_judged(
    warm: Workspace, provider: FakeProvider
) -> None:
    """Early cutoff: the generation runs again, its text is what it was, and nobody judges it."""
    warm.config["models"]["judge"] = dict(warm.config["models"]["large"])
    warm.config["models"]["large"] |= {"revision": "2"}
    warm.write("evalrunner.yaml", warm.config)
    rewrite("threshold: 0.5", "threshold: 0.5, provider: judge")(warm)
    assert outcomes(warm.run()) == {"passed": ROWS}
    assert counted(provider) == (ROWS, 0)


def test_recache_replaces_what_was_kept(workspace: Workspace) -> None:
    said = ["old"]
    with FakeProvider(lambda body: said[0]) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=2, checks=[{"type": "contains", "value": "new"}])
        assert outcomes(workspace.run()) == {"failed": 2}
        said[0] = "new"
        assert outcomes(workspace.run()) == {"failed": 2}
        assert outcomes(workspace.run(recache=True)) == {"passed": 2}
        assert outcomes(workspace.run()) == {"passed": 2}
        assert len(provider.requests) == 4


def test_an_answer_beyond_its_age_is_asked_again(
    workspace: Workspace, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.configure(provider.base_url, cache={"max_age": "1h"})
    workspace.suite(n=2, checks=[{"type": "contains", "value": "ok"}])
    workspace.run()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3000)
    workspace.run()
    assert len(provider.requests) == 2
    monkeypatch.setattr(time, "time", lambda: now() + 4000)
    workspace.run()
    assert len(provider.requests) == 4


def test_an_answer_that_was_cut_off_is_not_kept(workspace: Workspace) -> None:
    from evalrunner.testing import FakeReply

    with FakeProvider(FakeReply(text="ok and", finish_reason="length")) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=2, checks=[{"type": "contains", "value": "ok"}])
        workspace.run()
        workspace.run()
        assert len(provider.requests) == 4


def test_the_cache_may_be_deleted_at_any_time(warm: Workspace, provider: FakeProvider) -> None:
    import shutil

    shutil.rmtree(warm.state / "cache")
    assert outcomes(warm.run()) == {"passed": ROWS}
    assert len(provider.requests) == 2 * ROWS


def test_a_damaged_cache_costs_questions_never_verdicts(
    warm: Workspace, provider: FakeProvider
) -> None:
    (path,) = (warm.state / "cache").rglob("*.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE Cache SET value = substr(value, 1, 40)")
    report = warm.run()
    assert outcomes(report) == {"passed": ROWS}
    assert len(provider.requests) == 2 * ROWS
    assert report.cache.damaged >= ROWS
