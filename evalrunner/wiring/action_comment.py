"""One comment, found by its marker and its author, and replaced in place. It never fails a job."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from evalrunner.adapters.github import Github
from evalrunner.errors import EvalRunnerError, GithubError, UsageError
from evalrunner.reports.comment import MARKER, comment
from evalrunner.reports.document import from_json
from evalrunner.values.result import RunReport
from evalrunner.wiring.action_trigger import Trigger, Trust, read_trigger

ARTIFACT: Final = "evalrunner-report"
DOCUMENT: Final = "run.json"

_AUTHORS: Final = frozenset({"github-actions[bot]"})
_MAX_ARTIFACT_BYTES: Final = 64 * 1024 * 1024
_MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024


def say_in_comment(
    trigger: Trigger, text: str, *, token: str, environ: Mapping[str, str]
) -> str | None:
    """Makes or replaces the comment of the trigger's pull request; what went wrong, if anything."""
    if trigger.number is None:
        return None
    if not token:
        return "no comment: the input github-token is empty"
    try:
        github = github_of(trigger, token, environ)
        _say(github, trigger.number, text, _authors(environ))
    except GithubError as error:
        return f"no comment: {error.message}"
    return None


def comment_on_fork(environ: Mapping[str, str], *, token: str) -> str | None:
    """Says in a comment what the run before this one found, which had no right to.

    That run was a stranger's, so its artifact is data: read under size limits, never written to disk,
    and said on the open pull requests whose head is the commit that the event names, whatever
    the artifact claims.

    Returns:
        What went wrong, if anything.

    Raises:
        UsageError: The event is no ``workflow_run``.
    """
    trigger = read_trigger(environ)
    if trigger.trust is not Trust.REPORT or trigger.run_id is None or not trigger.head_sha:
        raise UsageError(
            f"the event {trigger.event!r} follows no other run", hint="use `on: workflow_run`"
        )
    try:
        github = github_of(trigger, token, environ)
        report = _report_of(github, trigger.run_id)
        numbers = [
            number for number, head in github.open_pull_requests() if head == trigger.head_sha
        ]
        text = comment(report, notice="as the pull request's own run reports it")
        for number in numbers:
            _say(github, number, text, _authors(environ))
    except EvalRunnerError as error:
        return f"no comment: {error.message}"
    return None if numbers else "no comment: no open pull request has this head"


def github_of(trigger: Trigger, token: str, environ: Mapping[str, str]) -> Github:
    """The repository of the trigger, where the runner says that the API listens."""
    url = environ.get("GITHUB_API_URL") or "https://api.github.com"
    return Github(trigger.repository, token, api_url=url)


def _authors(environ: Mapping[str, str]) -> frozenset[str]:
    """Whose comments may be replaced: a comment of anybody else can carry the marker too."""
    named = environ.get("INPUT_COMMENT_AUTHOR", "").strip()
    return frozenset({named}) if named else _AUTHORS


def _say(github: Github, number: int, text: str, authors: frozenset[str]) -> None:
    for each in github.comments(number):
        if each.author in authors and each.body.startswith(MARKER):
            github.update_comment(each.id, text)
            return
    github.create_comment(number, text)


def _report_of(github: Github, run_id: int) -> RunReport:
    found = next((each for each in github.artifacts(run_id=run_id) if each.name == ARTIFACT), None)
    if found is None:
        raise GithubError("the run kept no report")
    data = github.download(found, most_bytes=_MAX_ARTIFACT_BYTES)
    return from_json(_document_in(data), name=ARTIFACT)


def _document_in(data: bytes) -> bytes:
    """The run document of a ZIP file, inflated no further than the limit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = next(
                (name for name in archive.namelist() if PurePosixPath(name).name == DOCUMENT), None
            )
            if name is None:
                raise GithubError("the artifact holds no run document")
            with archive.open(name) as file:
                document = file.read(_MAX_DOCUMENT_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        raise GithubError("the artifact cannot be read") from None
    if len(document) > _MAX_DOCUMENT_BYTES:
        raise GithubError("the artifact's run document is too large")
    return document
