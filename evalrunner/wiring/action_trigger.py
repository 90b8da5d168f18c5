"""What started a workflow, and how far it is trusted: pure, from the event's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from evalrunner.errors import UsageError
from evalrunner.values.dataclass import dataclass

_MAX_EVENT_BYTES: Final = 25 * 1024 * 1024
_SHA: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+\Z")


class Trust(StrEnum):
    """How far a workflow's trigger is trusted; each has one way to run."""

    PROTECTED = "protected"
    """The default or a protected branch: pays, and its cache is kept for all."""
    BRANCH = "branch"
    """Another ref of this repository: pays, and its cache is its own."""
    SAME_REPOSITORY = "pull-request"
    """A pull request of this repository: pays under the base's policy, its cache is its own."""
    FORK = "fork"
    """A pull request of a stranger: nobody is asked, and none of its code is run."""
    APPROVED = "approved-fork"
    """The same, where a maintainer approved this very commit: pays, and none of its code is run."""
    REPORT = "report"
    """The run after a fork's: says in a comment what that one found; checks nothing out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What started the workflow.

    Attributes:
        trust: How far it is trusted.
        event: The event's name.
        repository: ``OWNER/NAME``.
        number: The pull request's number, where there is one.
        head_sha: The commit that is tested, as the event names it.
        base_sha: The base's commit, whose policy rules; ``None`` where there is no base.
        run_id: For a report: the run that it speaks of.
    """

    trust: Trust
    event: str
    repository: str
    number: int | None = None
    head_sha: str | None = None
    base_sha: str | None = None
    run_id: int | None = None

    @property
    def is_pull_request(self) -> bool:
        """Whether a base's policy rules."""
        return self.trust in (Trust.SAME_REPOSITORY, Trust.FORK, Trust.APPROVED)

    @property
    def keeps_cache_for_all(self) -> bool:
        """Whether what this run stores may be read by other refs."""
        return self.trust is Trust.PROTECTED


def read_trigger(environ: Mapping[str, str], *, approved_sha: str = "") -> Trigger:
    """What the runner's environment and event file say.

    Args:
        environ: The runner's variables.
        approved_sha: The commit of a fork that a maintainer approved; empty for none.

    Raises:
        UsageError: There is no event to read, or it would run a stranger's code with this
            repository's secrets.
    """
    event = environ.get("GITHUB_EVENT_NAME", "")
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not event or not _REPOSITORY.match(repository):
        raise UsageError(
            "this is no workflow: GITHUB_EVENT_NAME and GITHUB_REPOSITORY are not set",
            hint="outside of GitHub use `evalrunner run`",
        )
    payload = _payload(environ.get("GITHUB_EVENT_PATH", ""))
    return trigger_of(event, payload, repository, environ, approved_sha=approved_sha)


def trigger_of(
    event: str,
    payload: Mapping[str, Any],
    repository: str,
    environ: Mapping[str, str],
    *,
    approved_sha: str = "",
) -> Trigger:
    """The trigger of an event; see :func:`read_trigger`."""
    if approved_sha and not _SHA.match(approved_sha):
        raise UsageError(f"approved-sha {approved_sha[:80]!r} is no full commit id")
    if event in ("pull_request", "pull_request_target"):
        return _pull_request(event, payload, repository, approved_sha)
    if event == "workflow_run":
        return _report(payload, repository)
    if event == "workflow_dispatch" and approved_sha:
        base = environ.get("GITHUB_SHA") or None
        return Trigger(
            trust=Trust.APPROVED,
            event=event,
            repository=repository,
            head_sha=approved_sha,
            base_sha=base,
        )
    default = _text(payload, "repository", "default_branch")
    is_default = bool(default) and environ.get("GITHUB_REF") == f"refs/heads/{default}"
    protected = event in ("push", "schedule", "workflow_dispatch") and (
        is_default or environ.get("GITHUB_REF_PROTECTED") == "true" or event == "schedule"
    )
    return Trigger(
        trust=Trust.PROTECTED if protected else Trust.BRANCH,
        event=event,
        repository=repository,
        head_sha=environ.get("GITHUB_SHA") or None,
    )


def _pull_request(
    event: str, payload: Mapping[str, Any], repository: str, approved_sha: str
) -> Trigger:
    head = _text(payload, "pull_request", "head", "sha")
    foreign = _text(payload, "pull_request", "head", "repo", "full_name") != repository
    if foreign and event == "pull_request_target":
        raise UsageError(
            "pull_request_target runs with this repository's secrets, and the head is a fork's",
            hint="use `on: pull_request`; to pay for a fork's commit, approve it (docs/action.md)",
        )
    trust = Trust.FORK if foreign else Trust.SAME_REPOSITORY
    if foreign and approved_sha and approved_sha == head:
        trust = Trust.APPROVED
    return Trigger(
        trust=trust,
        event=event,
        repository=repository,
        number=_number(payload, "pull_request", "number"),
        head_sha=head or None,
        base_sha=_text(payload, "pull_request", "base", "sha") or None,
    )


def _report(payload: Mapping[str, Any], repository: str) -> Trigger:
    return Trigger(
        trust=Trust.REPORT,
        event="workflow_run",
        repository=repository,
        head_sha=_text(payload, "workflow_run", "head_sha") or None,
        run_id=_number(payload, "workflow_run", "id"),
    )


def _payload(path: str) -> Mapping[str, Any]:
    try:
        data = Path(path).read_bytes()[: _MAX_EVENT_BYTES + 1]
        found = json.loads(data)
    except (OSError, ValueError, RecursionError):
        raise UsageError(
            "the event file that GITHUB_EVENT_PATH names cannot be read",
            hint="outside of GitHub use `evalrunner run`",
        ) from None
    return found if isinstance(found, dict) else {}


def _at(payload: Mapping[str, Any], *path: str) -> object:
    found: object = payload
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(payload: Mapping[str, Any], *path: str) -> str:
    found = _at(dict(payload), *path)
    return found if isinstance(found, str) else ""


def _number(payload: Mapping[str, Any], *path: str) -> int | None:
    found = _at(dict(payload), *path)
    return found if type(found) is int and found > 0 else None
