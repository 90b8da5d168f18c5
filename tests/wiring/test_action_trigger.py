from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalrunner.errors import UsageError
from evalrunner.wiring.action_trigger import Trust, read_trigger, trigger_of

SHA, BASE, OTHER = "a" * 40, "b" * 40, "c" * 40
ENVIRON = {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": SHA}
MAIN = {"repository": {"default_branch": "main"}}


def pull_request(head: Any = "o/r") -> dict[str, Any]:
    repo = None if head is None else {"full_name": head}
    return {
        "pull_request": {
            "number": 7,
            "head": {"sha": SHA, "repo": repo},
            "base": {"sha": BASE, "repo": {"full_name": "o/r"}},
        }
    }


@pytest.mark.parametrize(
    ("event", "payload", "environ", "approved", "trust"),
    [
        ("push", MAIN, ENVIRON, "", Trust.PROTECTED),
        ("push", MAIN, {**ENVIRON, "GITHUB_REF": "refs/heads/x"}, "", Trust.BRANCH),
        ("push", MAIN, {**ENVIRON, "GITHUB_REF": "refs/tags/main"}, "", Trust.BRANCH),
        (
            "push",
            MAIN,
            {"GITHUB_REF": "refs/heads/release", "GITHUB_REF_PROTECTED": "true"},
            "",
            Trust.PROTECTED,
        ),
        ("push", {}, {"GITHUB_REF": "refs/heads/"}, "", Trust.BRANCH),
        ("schedule", {}, ENVIRON, "", Trust.PROTECTED),
        ("merge_group", MAIN, ENVIRON, "", Trust.BRANCH),
        ("issue_comment", MAIN, ENVIRON, "", Trust.BRANCH),
        ("workflow_dispatch", MAIN, ENVIRON, "", Trust.PROTECTED),
        ("workflow_dispatch", MAIN, ENVIRON, OTHER, Trust.APPROVED),
        ("pull_request", pull_request(), ENVIRON, "", Trust.SAME_REPOSITORY),
        ("pull_request", pull_request("evil/r"), ENVIRON, "", Trust.FORK),
        ("pull_request", pull_request(None), ENVIRON, "", Trust.FORK),
        ("pull_request", {}, ENVIRON, "", Trust.FORK),
        ("pull_request", pull_request("evil/r"), ENVIRON, SHA, Trust.APPROVED),
        ("pull_request", pull_request("evil/r"), ENVIRON, OTHER, Trust.FORK),
        ("pull_request_target", pull_request(), ENVIRON, "", Trust.SAME_REPOSITORY),
        ("workflow_run", {"workflow_run": {"id": 9, "head_sha": SHA}}, ENVIRON, "", Trust.REPORT),
    ],
)
def test_every_event_has_its_trust(
    event: str, payload: dict[str, Any], environ: dict[str, str], approved: str, trust: Trust
) -> None:
    assert trigger_of(event, payload, "o/r", environ, approved_sha=approved).trust is trust


def test_a_pull_request_knows_its_number_and_commits() -> None:
    found = trigger_of("pull_request", pull_request(), "o/r", ENVIRON)
    assert (found.number, found.head_sha, found.base_sha) == (7, SHA, BASE)
    assert found.is_pull_request and not found.keeps_cache_for_all


@pytest.mark.parametrize("approved", ["", SHA])
def test_a_forks_head_with_this_repositorys_secrets_is_refused(approved: str) -> None:
    with pytest.raises(UsageError, match="secrets"):
        trigger_of(
            "pull_request_target", pull_request("evil/r"), "o/r", ENVIRON, approved_sha=approved
        )


@pytest.mark.parametrize("sha", ["main", "a" * 39, "A" * 40, "a" * 40 + "\n", "$(id)"])
def test_an_approval_names_a_whole_commit(sha: str) -> None:
    with pytest.raises(UsageError, match="commit id"):
        trigger_of("workflow_dispatch", MAIN, "o/r", ENVIRON, approved_sha=sha)


@pytest.mark.parametrize("content", [None, "", "[1]", "{", "[" * 100_000, '{"pull_request": 3}'])
def test_an_event_file_is_data(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_text(content)
    environ = {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_EVENT_PATH": str(path),
    }
    try:
        assert read_trigger(environ).trust is Trust.FORK
    except UsageError as error:
        assert "event file" in error.message


def test_the_event_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(pull_request()))
    environ = {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_EVENT_PATH": str(path),
    }
    assert read_trigger(environ).number == 7
    with pytest.raises(UsageError, match="no workflow"):
        read_trigger({})
