"""A run's tags say where it comes from, and nothing that a branch's name could smuggle in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalrunner.adapters.run_tags import run_tags

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "merge",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REF_NAME": "main",
    "GITHUB_RUN_ID": "99",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REPOSITORY": "acme/app",
}
PULL = GITHUB | {"GITHUB_EVENT_NAME": "pull_request_target"}


def test_outside_of_a_ci_git_alone_is_asked() -> None:
    assert run_tags({"sha": "12ab", "branch": "main", "dirty": True}, {}) == {
        "sha": "12ab",
        "branch": "main",
    }
    assert run_tags(None, {"GITHUB_SHA": "12ab"}) == {}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            GITHUB,
            {
                "ci": "github",
                "sha": "merge",
                "branch": "main",
                "ci_run": "99",
                "event": "push",
                "repo": "acme/app",
            },
        ),
        (
            {
                "GITLAB_CI": "true",
                "CI_COMMIT_SHA": "1",
                "CI_MERGE_REQUEST_IID": "4",
                "CI_PIPELINE_ID": "5",
            },
            {"ci": "gitlab", "sha": "1", "pr": "4", "ci_run": "5"},
        ),
        (
            {"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_BRANCH": "b"},
            {"ci": "buildkite", "branch": "b"},
        ),
        (
            {"TF_BUILD": "True", "SYSTEM_PULLREQUEST_PULLREQUESTID": "8", "BUILD_BUILDID": "9"},
            {"ci": "azure", "pr": "8", "ci_run": "9"},
        ),
        ({"CIRCLECI": "true", "CIRCLE_PR_NUMBER": "3"}, {"ci": "circleci", "pr": "3"}),
        ({"JENKINS_URL": "http://ci", "CHANGE_ID": "2"}, {"ci": "jenkins", "pr": "2"}),
    ],
)
def test_each_ci_names_its_run(environ: dict[str, str], expected: dict[str, str]) -> None:
    assert run_tags(None, environ) == expected


def test_the_checkout_wins_over_the_ci() -> None:
    tags = run_tags({"sha": "head", "branch": None}, GITHUB)
    assert (tags["sha"], tags["branch"]) == ("head", "main")


def test_the_number_of_a_pull_request_comes_from_the_ref() -> None:
    assert run_tags(None, GITHUB | {"GITHUB_REF": "refs/pull/12/merge"})["pr"] == "12"
    assert "pr" not in run_tags(None, GITHUB | {"GITHUB_REF": "refs/heads/refs/pull/12/merge"})


@pytest.mark.parametrize(
    ("event", "number"),
    [
        (json.dumps({"pull_request": {"number": 31}}), "31"),
        (json.dumps({"pull_request": {"number": "x; rm -rf"}}), None),
        (json.dumps({"pull_request": [1]}), None),
        ("{" * 10000, None),
        ("[" * 100000, None),
    ],
)
def test_or_else_from_the_event(tmp_path: Path, event: str, number: str | None) -> None:
    path = tmp_path / "event.json"
    path.write_text(event)
    environ = PULL | {"GITHUB_EVENT_PATH": str(path)}
    assert run_tags(None, environ).get("pr") == number
    assert "pr" not in run_tags(None, environ | {"GITHUB_EVENT_NAME": "push"})
    assert "pr" not in run_tags(None, PULL | {"GITHUB_EVENT_PATH": str(tmp_path / "none")})


def test_values_are_short_and_printable() -> None:
    tags = run_tags({"sha": "1", "branch": "x\x1b[31m\u202e" + "y" * 500}, {})
    assert tags["branch"] == "x?[31m?" + "y" * 193
