"""A server that speaks the routes of GitHub's API that comments and artifacts need."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "made-up-token-of-the-workflow"
BOT = "github-actions[bot]"


@dataclass(slots=True)
class FakeGithub:
    """What the server holds, and what was asked of it."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200

    def comment(self, author: str, body: str) -> dict[str, Any]:
        """Adds a comment, as somebody."""
        found = {"id": 100 + len(self.comments), "user": {"login": author}, "body": body}
        self.comments.append(found)
        return found

    def _artifact(self, number: int, name: str) -> dict[str, Any]:
        run = {"id": 5, "repository_id": 1, "head_repository_id": 1}
        created = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return {"id": number + 1, "name": name, "created_at": created, "workflow_run": run}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """What a route answers."""
        path, _, query = path.partition("?")
        page = int((re.search(r"page=(\d+)\b(?!.*page=)", query) or [0, "1"])[1])
        if re.fullmatch(r"/repos/o/r/issues/\d+/comments", path):
            if method == "POST":
                return self.comment(BOT, body["body"])
            return self.comments[100 * (page - 1) : 100 * page]
        if match := re.fullmatch(r"/repos/o/r/issues/comments/(\d+)", path):
            (found,) = (each for each in self.comments if each["id"] == int(match[1]))
            found["body"] = body["body"]
            return found
        if path == "/repos/o/r/pulls":
            return self.pulls if page == 1 else []
        if re.fullmatch(r"/repos/o/r/actions(/runs/\d+)?/artifacts", path):
            return {"artifacts": [self._artifact(*each) for each in enumerate(self.artifacts)]}
        if match := re.fullmatch(r"/repos/o/r/actions/artifacts/(\d+)/zip", path):
            return list(self.artifacts.values())[int(match[1]) - 1]
        return None


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP file of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@contextmanager
def fake_github() -> Iterator[FakeGithub]:
    """The server, on loopback; the store of artifacts listens under another path without a token."""
    github = FakeGithub()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            github.asked.append(f"{self.command} {self.path.partition('?')[0]}")
            token = self.headers.get("Authorization")
            if self.path.startswith("/store/"):
                assert token is None, "the token went to the store"
                return self._send(200, github.answer("GET", self.path[6:], {}))
            if github.status != 200 or token != f"Bearer {TOKEN}":
                return self._send(github.status if github.status != 200 else 401, b"{}")
            if self.path.endswith("/zip"):
                return self._send(302, b"", Location=f"{github.url}/store{self.path}")
            found = github.answer(self.command, self.path, json.loads(data or b"{}"))
            return self._send(404 if found is None else 200, json.dumps(found).encode())

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815  # the names that the base class calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its signature
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
