"""Who is trusted, and what that means: each event through the real Action, run by `act`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from evalrunner.testing import FakeProvider
from tests.action.github_server import BOT, FakeGithub, zipped
from tests.action.runner import Repository

OUTPUTS = {
    *("outcome", "exit-code", "pass-rate", "cases", "failed", "not-run", "cache-hit-rate"),
    *("incurred-usd", "avoided-usd", "ratio", "ratio-status", "report-path"),
}


def asked(provider: FakeProvider) -> int:
    return sum(provider.calls.values())


def test_a_push_pays_and_keeps_and_a_pull_request_pays_for_what_it_changes(
    repository: Repository, provider: FakeProvider, github: FakeGithub
) -> None:
    ended = repository.run("push", repository.push())
    assert ended.code == 0, ended.log
    assert set(ended.outputs) == OUTPUTS
    assert (ended.outputs["outcome"], ended.outputs["cases"]) == ("passed", "3")
    assert asked(provider) == 3
    assert repository.caches()[0] == "restored nothing"
    assert repository.caches()[1].startswith("saved evalrunner-Linux-shared-")
    assert github.asked == [], "a push has no comment"

    base = repository.head()
    repository.git("switch", "-q", "-c", "topic")
    repository.rows("one", "two", "three", "four")
    repository.commit("one row more")
    event = repository.pull_request(base, fork=False)
    ended = repository.run("pull_request", event)
    assert ended.code == 0, ended.log
    assert (ended.outputs["outcome"], ended.outputs["cache-hit-rate"]) == ("passed", "0.750000")
    assert asked(provider) == 4
    assert repository.caches()[2].startswith("restored evalrunner-Linux-shared-")
    assert repository.caches()[3].startswith("saved evalrunner-Linux-pr7-")
    (comment,) = github.comments
    assert "1 added" in comment["body"] and "passed" in comment["body"]

    github.comment("stranger", comment["body"])
    ended = repository.run("pull_request", event)
    assert ended.code == 0 and asked(provider) == 4
    assert repository.caches()[4].startswith("restored evalrunner-Linux-pr7-")
    assert len(github.comments) == 2, "the one comment was replaced in place"
    assert [each for each in github.asked if each.startswith("PATCH")] == [
        "PATCH /repos/o/r/issues/comments/100"
    ]


def test_a_fork_asks_nobody_and_is_never_green_as_if_all_had_passed(
    repository: Repository, provider: FakeProvider, github: FakeGithub
) -> None:
    assert repository.run("push", repository.push()).code == 0
    base = repository.head()
    repository.git("switch", "-q", "-c", "topic")
    repository.rows("one", "two", "three", "four")
    repository.commit("a stranger's row")
    event = repository.pull_request(base, fork=True)
    repository.secrets["EVAL_KEY"] = ""
    ended = repository.run("pull_request", event)
    assert ended.code == 0, ended.log
    assert (ended.outputs["outcome"], ended.outputs["not-run"]) == ("incomplete", "1")
    assert ended.outputs["exit-code"] == "7"
    assert asked(provider) == 3 and github.asked == []
    assert "1 case not run" in ended.log or "frozen" in ended.log
    assert not any("saved evalrunner-Linux-pr" in line for line in repository.caches())

    repository.variables["FAIL_ON"] = "incomplete"
    assert repository.run("pull_request", event).code != 0

    github.artifacts["evalrunner-report"] = zipped({"run.json": repository.artifact("run.json")})
    github.pulls = [{"number": 7, "head": {"sha": repository.head()}, "state": "open"}]
    run = {"id": 55, "head_sha": repository.head(), "event": "pull_request"}
    payload = {"workflow_run": run, "repository": event["repository"]}
    ended = repository.run("workflow_run", payload, "comment.yml")
    assert ended.code == 0, ended.log
    (comment,) = github.comments
    assert comment["user"]["login"] == BOT
    assert "incomplete" in comment["body"] and "1 not run" in comment["body"]
    assert asked(provider) == 3


def test_a_forks_key_that_leaked_into_the_job_is_not_used(
    repository: Repository, provider: FakeProvider
) -> None:
    ended = repository.run("pull_request", repository.pull_request(repository.head(), fork=True))
    assert asked(provider) == 0
    assert ended.outputs["outcome"] == "incomplete" and ended.outputs["not-run"] == "3"


def test_an_approved_commit_of_a_fork_is_paid_for_and_no_other(
    repository: Repository, provider: FakeProvider
) -> None:
    base = repository.head()
    repository.git("switch", "-q", "-c", "topic")
    repository.rows("one")
    approved = repository.commit("a stranger's")
    repository.variables["APPROVED_SHA"] = approved
    event = repository.pull_request(base, fork=True)
    ended = repository.run("pull_request", event)
    assert ended.code == 0 and ended.outputs["outcome"] == "passed", ended.log
    assert asked(provider) == 1
    repository.rows("one", "two")
    repository.commit("and then another one")
    ended = repository.run("pull_request", repository.pull_request(base, fork=True))
    assert ended.outputs["outcome"] == "incomplete"
    assert asked(provider) == 1


def test_pull_request_target_with_a_forks_head_is_refused(
    repository: Repository, provider: FakeProvider
) -> None:
    event = repository.pull_request(repository.head(), fork=True)
    ended = repository.run("pull_request_target", event)
    assert ended.code != 0 and asked(provider) == 0
    assert "pull_request_target runs with this repository's secrets" in " ".join(ended.log.split())


def test_a_schedule_is_trusted_and_a_missing_key_there_is_an_error(
    repository: Repository, provider: FakeProvider
) -> None:
    event = {"schedule": "0 3 * * *", "repository": repository.push()["repository"]}
    ended = repository.run("schedule", event)
    assert ended.code == 0 and asked(provider) == 3, ended.log
    repository.secrets["EVAL_KEY"] = ""
    ended = repository.run("schedule", event)
    assert ended.code != 0 and ended.outputs["outcome"] == "error"
    assert set(ended.outputs) == OUTPUTS and "EVAL_KEY" in ended.log


def test_a_pull_request_neither_loosens_a_gate_nor_moves_a_key(
    repository: Repository, provider: FakeProvider, github: FakeGithub
) -> None:
    base = repository.head()
    repository.git("switch", "-q", "-c", "topic")
    with FakeProvider("no") as thief:
        config = (repository.root / "evalrunner.yaml").read_text()
        repository.write("evalrunner.yaml", config.replace(provider.base_url, thief.base_url))
        suite = (repository.root / "suites/greet.yaml").read_text()
        suite = suite.replace('contains, value: "{{word}}"', 'equals, value: "never"')
        repository.write("suites/greet.yaml", suite + "gate: {min_pass_rate: 0}\n")
        repository.commit("all is well")
        ended = repository.run("pull_request", repository.pull_request(base, fork=False))
        assert thief.calls == {}
    assert ended.code != 0 and ended.outputs["outcome"] == "failed", ended.log
    assert asked(provider) == 3
    assert "gate changed here" in github.comments[0]["body"]


def test_a_comment_that_cannot_be_made_fails_no_job(
    repository: Repository, github: FakeGithub
) -> None:
    github.status = 503
    event = repository.pull_request(repository.head(), fork=False)
    ended = repository.run("pull_request", event)
    assert ended.code == 0 and "no comment" in ended.log
    assert ended.outputs["outcome"] == "passed"


HOSTILE = (
    "$(touch {0}) `touch {0}` \"; touch {0}; ' ::set-output name=x::y %0A::error::x\n"
    "::stop-commands::t\n::error::not ours @everyone ``` </details> {1}"
)


def test_hostile_text_runs_nothing_mentions_nobody_and_commands_no_runner(
    repository: Repository, provider: FakeProvider, github: FakeGithub, tmp_path
) -> None:
    mark = tmp_path / "pwned"
    hostile = HOSTILE.format(mark, "x" * 1_000_000)
    base = repository.head()
    repository.git("switch", "-q", "-c", "topic")
    row = {"id": hostile[:150].replace("\n", " ").replace("/", "-"), "word": hostile}
    repository.write("golden/greet.jsonl", json.dumps(row) + "\n" + json.dumps({"word": "z"}))
    suite = (repository.root / "suites/greet.yaml").read_text()
    repository.write("suites/greet.yaml", suite.replace('{{word}}"}', 'no such text"}'))
    repository.commit("hostile")
    event = repository.pull_request(base, fork=False, title=hostile)
    event["pull_request"]["head"]["ref"] = hostile[:200]
    ended = repository.run("pull_request", event)
    assert not mark.exists()
    assert set(ended.outputs) == OUTPUTS
    assert ended.outputs["outcome"] in {"failed", "error"}, ended.log[-3000:]
    assert "set-output:: x=" not in ended.log
    for comment in github.comments:
        assert len(comment["body"].encode()) < 60_000


@pytest.mark.parametrize("name", ["suites", "max-usd", "fail-on"])
def test_hostile_inputs_are_refused_in_one_line(
    repository: Repository, provider: FakeProvider, tmp_path, name: str
) -> None:
    mark = tmp_path / "pwned"
    repository.variables[name.upper().replace("-", "_")] = f"$(touch {mark})`touch {mark}`; -x"
    ended = repository.run("push", repository.push())
    assert ended.code != 0 and not mark.exists() and asked(provider) == 0
    assert ended.outputs["outcome"] == "error", ended.log
    assert set(ended.outputs) == OUTPUTS


def test_a_runner_that_starts_empty_knows_what_earlier_runs_paid(
    repository: Repository, provider: FakeProvider, github: FakeGithub
) -> None:
    config = (repository.root / "evalrunner.yaml").read_text()
    production = "cost: {production: [{source: fixed, usd_per_month: 10000}]}\n"
    repository.write("evalrunner.yaml", config + production)
    repository.commit("production is known")
    assert repository.run("push", repository.push()).code == 0
    first = repository.artifact("ledger.json", of="evalrunner-ledger")
    shutil.rmtree(repository.state / "caches")
    github.artifacts = {"evalrunner-ledger": zipped({"ledger.json": first})}
    repository.rows("four")
    repository.commit("another row")
    ended = repository.run("push", repository.push())
    assert ended.code == 0 and "are not here" not in ended.log, ended.log
    report = json.loads(repository.artifact("run.json"))
    both = report["cost_ratio"]["testing_usd"]
    assert float(both) > float(report["summary"]["cost"]["incurred_usd"]) > 0
    assert asked(provider) == 4


def test_answers_that_are_committed_are_taken_in_from_the_base(
    repository: Repository, provider: FakeProvider
) -> None:
    assert repository.run("push", repository.push()).code == 0
    (kept,) = (repository.state / "caches").glob("evalrunner-Linux-shared-*")
    shutil.copytree(kept, repository.root / ".evalrunner")
    evalrunner = [sys.executable, "-m", "evalrunner", "cache", "export", "answers.cache"]
    subprocess.run(evalrunner, cwd=repository.root, check=True, capture_output=True)
    shutil.rmtree(repository.root / ".evalrunner")
    shutil.rmtree(repository.state / "caches")
    base = repository.commit("answers")
    repository.variables["CACHE_FILE"] = "answers.cache"
    repository.git("switch", "-q", "-c", "topic")
    repository.write("answers.cache", "a stranger's")
    repository.commit("poison")
    ended = repository.run("pull_request", repository.pull_request(base, fork=True))
    assert ended.code == 0 and ended.outputs["outcome"] == "passed", ended.log
    assert "3 of 3 answers" in ended.log and asked(provider) == 3
