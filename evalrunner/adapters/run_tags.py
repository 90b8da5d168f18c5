"""Where a run comes from: the commit, the pull request and the CI job that it belongs to."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:  # the fastest run reads this module, and wants nothing heavier than it needs
    from collections.abc import Mapping

    from evalrunner.values.exchange import Json

_LARGEST_EVENT = 4 * 1024 * 1024
_LONGEST = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

# For each CI the variable that shows it, and where it says what. Of several the first that is set.
_CI: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "github": (
        "GITHUB_ACTIONS",
        {
            "sha": ("GITHUB_SHA",),
            "branch": ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
            "ci_run": ("GITHUB_RUN_ID",),
            "event": ("GITHUB_EVENT_NAME",),
            "repo": ("GITHUB_REPOSITORY",),
        },
    ),
    "gitlab": (
        "GITLAB_CI",
        {
            "sha": ("CI_COMMIT_SHA",),
            "branch": ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
            "pr": ("CI_MERGE_REQUEST_IID",),
            "ci_run": ("CI_PIPELINE_ID",),
            "event": ("CI_PIPELINE_SOURCE",),
            "repo": ("CI_PROJECT_PATH",),
        },
    ),
    "azure": (
        "TF_BUILD",
        {
            "sha": ("BUILD_SOURCEVERSION",),
            "branch": ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"),
            "pr": ("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "SYSTEM_PULLREQUEST_PULLREQUESTID"),
            "ci_run": ("BUILD_BUILDID",),
            "event": ("BUILD_REASON",),
            "repo": ("BUILD_REPOSITORY_NAME",),
        },
    ),
    "buildkite": (
        "BUILDKITE",
        {
            "sha": ("BUILDKITE_COMMIT",),
            "branch": ("BUILDKITE_BRANCH",),
            "pr": ("BUILDKITE_PULL_REQUEST",),
            "ci_run": ("BUILDKITE_BUILD_ID",),
            "event": ("BUILDKITE_SOURCE",),
        },
    ),
    "circleci": (
        "CIRCLECI",
        {
            "sha": ("CIRCLE_SHA1",),
            "branch": ("CIRCLE_BRANCH",),
            "pr": ("CIRCLE_PR_NUMBER",),
            "ci_run": ("CIRCLE_WORKFLOW_ID",),
        },
    ),
    "jenkins": (
        "JENKINS_URL",
        {
            "sha": ("GIT_COMMIT",),
            "branch": ("CHANGE_BRANCH", "GIT_BRANCH"),
            "pr": ("CHANGE_ID",),
            "ci_run": ("BUILD_TAG",),
        },
    ),
}


def run_tags(git: Mapping[str, Json] | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run: ``sha``, ``branch``, ``pr``, ``ci``, ``ci_run``, ``event``, ``repo``.

    What the checkout says of its commit wins over the CI, which may name a merge that nobody checked
    out. A tag that nobody knows is left out. Values are printable ASCII of at most 200 characters,
    since anybody who can open a pull request can choose a branch's name.

    Example:
        >>> ci = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_SHA": "12ab"}
        >>> run_tags({"sha": "34cd", "branch": None}, ci)
        {'ci': 'github', 'sha': '34cd', 'pr': '7'}
    """
    known = {name: str(git[name]) for name in ("sha", "branch") if git and git.get(name)}
    for ci, (sign, variables) in _CI.items():
        if not environ.get(sign):
            continue
        said = {"ci": ci} | {
            tag: value for tag, names in variables.items() if (value := _first(names, environ))
        }
        if ci == "github" and (number := _github_pull(environ)):
            said["pr"] = number
        known = said | known
        break
    return {tag: _UNPRINTABLE.sub("?", value)[:_LONGEST] for tag, value in known.items()}


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    """The first variable that is set; some CIs write ``false`` where there is no pull request."""
    values = (environ.get(name, "") for name in names)
    return next((value for value in values if value and value != "false"), None)


def _github_pull(environ: Mapping[str, str]) -> str | None:
    """The number of the pull request that started the job, from its ref or else from its event."""
    found = re.fullmatch(r"refs/pull/(\d+)/\w+", environ.get("GITHUB_REF", ""))
    if found:
        return found[1]
    if not environ.get("GITHUB_EVENT_NAME", "").startswith(("pull_request", "merge_group")):
        return None
    try:
        with open(environ.get("GITHUB_EVENT_PATH", ""), encoding="utf-8") as file:
            event = json.loads(file.read(_LARGEST_EVENT))
        return str(int(event["pull_request"]["number"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
