"""What a run takes, in how many parts, and what it may say about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evalrunner.reports.merge import merge
from evalrunner.testing import FakeProvider
from evalrunner.values.result import RunReport
from evalrunner.wiring.publish import FORMATS, write_reports

from .workspace import Workspace, codes, ids, outcomes, prompt_of

CHECKS = [{"type": "contains", "value": "number"}]


def saying(answers: Mapping[str, str]) -> Any:
    """A script that says ``number`` unless the question holds one of these words at that time."""

    def script(body: Any) -> str:
        asked = prompt_of(body)
        return next((said for word, said in answers.items() if word in asked), "number")

    return script


# ---------------------------------------------------------------- shards


@pytest.mark.parametrize(("limit", "code"), [(0.9, 1), (0.8, 0)])
def test_three_shards_come_to_the_verdict_of_the_whole(
    workspace: Workspace, limit: float, code: int
) -> None:
    with FakeProvider(saying({"bad": "wrong"})) as provider:
        workspace.configure(provider.base_url)
        rows = [{"id": f"r{n}", "q": "bad" if n % 6 == 0 else f"number {n}"} for n in range(30)]
        workspace.golden("s", rows)
        document = {
            "name": "s",
            "prompts": ["{{q}}"],
            "golden": "file://../golden/s.jsonl",
            "checks": CHECKS,
            "gate": {"min_pass_rate": limit},
        }
        workspace.write("suites/s.yaml", document)
        parts = [workspace.run(shard=f"{part}/3") for part in (1, 2, 3)]
        asked = len(provider.requests)
        whole = workspace.run()
        assert len(provider.requests) == asked, "the shards asked everything"

    merged = merge(parts)
    assert all(part.cases for part in parts)
    assert sorted(ids(merged)) == sorted(ids(whole))
    assert sum(len(part.cases) for part in parts) == 30
    assert outcomes(merged) == outcomes(whole) == {"passed": 25, "failed": 5}
    assert merged.gates == whole.gates
    assert codes(merged) == codes(whole)
    assert merged.run.exit_code == code


def test_a_missing_shard_is_no_pass(workspace: Workspace) -> None:
    workspace.suite(n=9, checks=CHECKS)
    parts = [workspace.run(shard=f"{part}/3") for part in (1, 3)]
    assert merge(parts).run.exit_code == 6


def test_all_draws_and_variants_of_a_row_fall_into_one_shard(workspace: Workspace) -> None:
    workspace.suite(n=9, checks=CHECKS, target=["small", "large"], repeat=2)
    for part in (1, 2):
        taken = ids(workspace.run(shard=f"{part}/2"))
        rows = {name.partition("@")[0] for name in taken}
        assert len(taken) == 4 * len(rows) > 0


# ---------------------------------------------------------------- what is taken


def test_selections_take_what_they_say(workspace: Workspace, provider: FakeProvider) -> None:
    rows = [
        {"id": "red-1", "q": "number 1", "tags": {"team": "a"}},
        {"id": "red-2", "q": "number 2", "description": "a hot one", "tags": {"team": "b"}},
        {"id": "blue-1", "q": "number 3", "tags": {"team": "a"}},
    ]
    workspace.golden("s", rows)
    workspace.write(
        "suites/s.yaml",
        {
            "name": "s",
            "prompts": ["{{q}}"],
            "golden": "file://../golden/s.jsonl",
            "checks": CHECKS,
            "tags": {"kind": "smoke"},
        },
    )
    for flags, taken in (
        ({"pattern": "red"}, ["s/red-1", "s/red-2"]),
        ({"pattern": "hot"}, ["s/red-2"]),
        ({"pattern": "^s/blue"}, ["s/blue-1"]),
        ({"tags": (("team", "a"),)}, ["s/red-1", "s/blue-1"]),
        ({"tags": (("team", "a"), ("kind", "smoke"))}, ["s/red-1", "s/blue-1"]),
        ({"limit": 2}, ["s/red-1", "s/red-2"]),
        ({"tags": (("team", "a"),), "limit": 1}, ["s/red-1"]),
        ({"tags": (("team", "z"),)}, []),
    ):
        report = workspace.run(**flags)
        assert ids(report) == taken, flags
        assert report.run.exit_code == (0 if taken else 5)
    assert len(provider.requests) == 3, "one for each row, however often it is selected"


def test_only_failed_takes_what_did_not_pass_last_time(workspace: Workspace) -> None:
    answers = {"number 1": "wrong", "number 3": "wrong"}
    with FakeProvider(saying(answers)) as provider:
        workspace.configure(provider.base_url)
        workspace.suite(n=5, checks=CHECKS)
        assert ids(workspace.run(), "failed") == ["s/r1", "s/r3"]
        answers.clear()
        report = workspace.run(only_failed=True, recache=True)
        assert (ids(report), outcomes(report)) == (["s/r1", "s/r3"], {"passed": 2})
        assert len(provider.requests) == 7
        assert workspace.run(only_failed=True).run.exit_code == 5


@pytest.mark.parametrize(("required", "code"), [(2, 0), (3, 1), (None, 1)])
def test_a_row_passes_when_enough_of_its_draws_do(
    workspace: Workspace, required: int | None, code: int
) -> None:
    replies = iter(["number", "wrong", "number"])
    with FakeProvider(lambda body: next(replies)) as provider:
        workspace.configure(provider.base_url)
        repeat = {"n": 3} | ({} if required is None else {"pass": required})
        workspace.suite(n=1, checks=CHECKS, repeat=repeat)
        report = workspace.run(max_concurrency=1)
        assert sorted(ids(report)) == ["s/r0", "s/r0#1", "s/r0#2"]
        assert outcomes(report) == {"passed": 2, "failed": 1}
        assert report.run.exit_code == code
        assert len(provider.requests) == 3
        assert outcomes(workspace.run()) == {"passed": 2, "failed": 1}
        assert len(provider.requests) == 3, "every draw is kept"


def test_the_flag_draws_more_often_than_the_suite(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=2, checks=CHECKS)
    workspace.run()
    assert len(workspace.run(repeat=3).cases) == 6
    assert len(provider.requests) == 6, "the first draw of each row was known"


def test_a_variable_from_the_command_line_wins(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=2, checks=CHECKS, prompts=["{{q}} in {{tone}}"], vars={"tone": "calm"})
    workspace.run(variables=(("tone", "haste"),))
    assert all("in haste" in prompt_of(body) for body in provider.requests)
    workspace.run()
    assert len(provider.requests) == 4


def test_a_baseline_finds_regressions(workspace: Workspace) -> None:
    answers: dict[str, str] = {}
    with FakeProvider(saying(answers)) as provider:
        workspace.configure(provider.base_url)
        gate = {"min_pass_rate": 0.5, "max_regressions": 0}
        workspace.suite(n=4, checks=CHECKS, gate=gate)
        first = workspace.run()
        assert first.run.exit_code == 0
        answers["number 2"] = "wrong"
        again = workspace.run(recache=True, baseline=first.run.id)
        assert again.run.exit_code == 1
        (gate_decision,) = [one for one in again.gates if one.name == "regressions"]
        assert (gate_decision.decision, gate_decision.observed) == ("fail", "1")
        assert workspace.run(baseline="last").run.exit_code == 0, "no worse than last time"


# ---------------------------------------------------------------- keys and what is written


def test_an_env_file_brings_the_key_and_nothing_shows_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "sk-very-secret-0123456789"

    with FakeProvider(f"number, and by the way {secret}") as provider:
        workspace.configure(provider.base_url)
        for one in workspace.config["models"].values():
            one["api_key_env"] = "OUR_KEY"
        workspace.write("evalrunner.yaml", workspace.config)
        workspace.suite(n=2, checks=CHECKS)
        report = workspace.run()
        assert (report.run.exit_code, len(provider.requests)) == (6, 0), "no key, no request"
        env_file = workspace.write("our.env", f"OUR_KEY={secret}\n")
        report = workspace.run(env_file=env_file)
        assert outcomes(report) == {"passed": 2}
    write_reports(report, [tmp_path / f"r{ending}" for ending in FORMATS])
    for path in [*(workspace.state / "runs").iterdir(), *tmp_path.glob("r.*")]:
        assert secret.encode() not in path.read_bytes(), path


MARK = "XYLOPHONE"


def artifacts(workspace: Workspace, report: RunReport, folder: Path) -> list[Path]:
    write_reports(report, [folder / f"report{ending}" for ending in FORMATS])
    runs = list((workspace.state / "runs").iterdir())
    assert runs
    return [*runs, *(folder / f"report{ending}" for ending in FORMATS)]


@pytest.mark.parametrize(
    ("include", "shown"), [("outputs", True), ("redacted", False), ("none", False)]
)
def test_no_artifact_carries_what_the_project_keeps_to_itself(
    workspace: Workspace, tmp_path: Path, include: str, shown: bool
) -> None:
    def script(body: Any) -> str:
        if "RUBRIC" in prompt_of(body):
            return json.dumps({"reason": f"{MARK} said the judge", "pass": False, "score": 0})
        return f"{MARK} said the model"

    with FakeProvider(script) as provider:
        workspace.configure(provider.base_url, report={"include": include})
        checks = [
            {"type": "llm-rubric", "value": "RUBRIC"},
            {"type": "contains", "value": "said", "threshold": 0},
        ]
        workspace.suite(n=2, checks=checks)
        report = workspace.run()
    assert outcomes(report) == {"failed": 2}
    found = [p for p in artifacts(workspace, report, tmp_path) if MARK.encode() in p.read_bytes()]
    assert bool(found) is shown
    if shown:
        assert len(found) >= 6
