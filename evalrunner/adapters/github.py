"""GitHub's API, as far as a comment, artifacts and their downloads need it. Standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from evalrunner.errors import GithubError
from evalrunner.values.dataclass import dataclass

_TIMEOUT_SECONDS: Final = 15.0
_MAX_PAGE_BYTES: Final = 16 * 1024 * 1024
_MAX_PAGES: Final = 30
_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment of a pull request."""

    id: int
    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file that a workflow's run kept; ``from_fork`` where a stranger's branch made it."""

    id: int
    name: str
    run_id: int | None
    head_sha: str
    created_at: str
    from_fork: bool


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the token goes to one host only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Github:
    """One repository, asked with one token.

    Args:
        repository: ``OWNER/NAME``.
        token: Goes to the host of *api_url* and nowhere else.
        api_url: Where the API listens.
    """

    def __init__(self, repository: str, token: str, *, api_url: str) -> None:
        if urlsplit(api_url).scheme not in ("https", "http"):
            raise GithubError(f"{api_url[:100]!r} is no address of an API")
        self._base = f"{api_url.rstrip('/')}/repos/{quote(repository)}"
        self._token = token
        self._opener = urllib.request.build_opener(_NoRedirects)

    def comments(self, number: int) -> Iterator[Comment]:
        """The comments of a pull request, oldest first."""
        for item in self._pages(f"/issues/{number}/comments", ""):
            user, body = item.get("user"), item.get("body")
            author = user.get("login") if isinstance(user, dict) else None
            if isinstance(item.get("id"), int) and isinstance(body, str):
                yield Comment(id=item["id"], author=str(author or ""), body=body)

    def create_comment(self, number: int, body: str) -> int:
        """Adds a comment and returns its id."""
        return _id(self._json("POST", f"/issues/{number}/comments", {"body": body}))

    def update_comment(self, comment_id: int, body: str) -> int:
        """Replaces the text of a comment."""
        return _id(self._json("PATCH", f"/issues/comments/{comment_id}", {"body": body}))

    def pull_requests_of(self, sha: str) -> Iterator[int]:
        """The numbers of the open pull requests whose head is this commit."""
        for item in self._pages(f"/commits/{quote(sha)}/pulls", ""):
            head = item.get("head")
            is_head = isinstance(head, dict) and head.get("sha") == sha
            if is_head and item.get("state") == "open" and isinstance(item.get("number"), int):
                yield item["number"]

    def open_pull_requests(self) -> Iterator[tuple[int, str]]:
        """Number and head commit of every open pull request, those of forks too."""
        for item in self._pages("/pulls", "", state="open"):
            head, number = item.get("head"), item.get("number")
            if isinstance(head, dict) and isinstance(number, int):
                yield number, str(head.get("sha", ""))

    def artifacts(self, *, run_id: int | None = None) -> Iterator[Artifact]:
        """The artifacts of a run, or of the repository, newest first; expired ones are left out."""
        where = f"/actions/runs/{run_id}/artifacts" if run_id else "/actions/artifacts"
        for item in self._pages(where, "artifacts"):
            run = item.get("workflow_run")
            run = run if isinstance(run, dict) else {}
            if item.get("expired") or not isinstance(item.get("id"), int):
                continue
            yield Artifact(
                id=item["id"],
                name=str(item.get("name", "")),
                run_id=run.get("id") if isinstance(run.get("id"), int) else None,
                head_sha=str(run.get("head_sha", "")),
                created_at=str(item.get("created_at", "")),
                from_fork=run.get("repository_id") != run.get("head_repository_id"),
            )

    def download(self, artifact: Artifact, *, most_bytes: int) -> bytes:
        """The artifact's ZIP file.

        GitHub answers with the address of a store. That one is asked without the token.

        Raises:
            GithubError: It is larger than *most_bytes*, or cannot be had.
        """
        reply = self._send("GET", f"/actions/artifacts/{artifact.id}/zip", None, most_bytes)
        if isinstance(reply, bytes):
            return reply
        if urlsplit(reply).scheme not in ("https", urlsplit(self._base).scheme):
            raise GithubError("an artifact's address is not secure")
        request = urllib.request.Request(reply, headers={"User-Agent": "evalrunner"})  # noqa: S310  # checked above
        found = self._read(request, most_bytes)
        if isinstance(found, bytes):
            return found
        raise GithubError("an artifact's address leads to another one")

    def _pages(self, path: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
        for page in range(1, _MAX_PAGES + 1):
            words = urlencode({**query, "per_page": _PER_PAGE, "page": page})
            found = self._json("GET", f"{path}?{words}")
            items = found.get(key) if key and isinstance(found, dict) else found
            if not isinstance(items, list):
                return
            yield from (item for item in items if isinstance(item, dict))
            if len(items) < _PER_PAGE:
                return

    def _json(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        reply = self._send(method, path, data, _MAX_PAGE_BYTES)
        try:
            return json.loads(reply)
        except (ValueError, RecursionError):
            raise GithubError("GitHub answered with something that is no JSON") from None

    def _send(self, method: str, path: str, data: bytes | None, most_bytes: int) -> bytes | str:
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked in __init__
            self._base + path,
            data=data,
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "User-Agent": "evalrunner",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        return self._read(request, most_bytes)

    def _read(self, request: urllib.request.Request, most_bytes: int) -> bytes | str:
        """The body, or the address that a redirect names."""
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
                return _body(reply, most_bytes)
        except urllib.error.HTTPError as error:
            with error:
                place = error.headers.get("Location")
                if error.code in (302, 307) and place:
                    return place
                raise GithubError(f"GitHub answered with status {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise GithubError(f"GitHub cannot be reached: {type(reason).__name__}") from None


def _body(reply: IO[bytes], most_bytes: int) -> bytes:
    data = reply.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise GithubError(f"GitHub's answer is larger than {most_bytes:,} bytes")
    return data


def _id(found: object) -> int:
    number = found.get("id") if isinstance(found, dict) else None
    return number if isinstance(number, int) else 0
