"""GitHub's API over real sockets: what is asked, what is refused, where the token goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evalrunner.adapters.github import Github
from evalrunner.errors import GithubError
from evalrunner.wiring.action_comment import comment_on_fork, say_in_comment
from evalrunner.wiring.action_trigger import Trigger, Trust
from tests.action.github_server import BOT, TOKEN, FakeGithub, fake_github, zipped

MARK = "<!-- evalrunner:report -->\n"


@pytest.fixture
def server() -> Iterator[FakeGithub]:
    with fake_github() as found:
        yield found


def client(server: FakeGithub, token: str = TOKEN) -> Github:
    return Github("o/r", token, api_url=server.url)


def test_comments_are_read_over_pages(server: FakeGithub) -> None:
    for number in range(150):
        server.comment("a", str(number))
    assert [each.body for each in client(server).comments(7)] == [str(n) for n in range(150)]


def test_the_comment_is_found_by_marker_and_author(server: FakeGithub) -> None:
    server.comment("stranger", MARK + "fake")
    server.comment(BOT, "somebody else's " + MARK)
    trigger = Trigger(trust=Trust.SAME_REPOSITORY, event="pull_request", repository="o/r", number=7)
    environ = {"GITHUB_API_URL": server.url}
    assert say_in_comment(trigger, MARK + "one", token=TOKEN, environ=environ) is None
    assert say_in_comment(trigger, MARK + "two", token=TOKEN, environ=environ) is None
    bodies = [each["body"] for each in server.comments]
    assert bodies == [MARK + "fake", "somebody else's " + MARK, MARK + "two"]


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500, 503])
def test_a_refusal_is_a_sentence(server: FakeGithub, status: int) -> None:
    server.status = status
    trigger = Trigger(trust=Trust.SAME_REPOSITORY, event="pull_request", repository="o/r", number=7)
    environ = {"GITHUB_API_URL": server.url}
    problem = say_in_comment(trigger, MARK, token=TOKEN, environ=environ)
    assert problem == f"no comment: GitHub answered with status {status}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///etc/passwd", "nonsense"])
def test_an_address_that_cannot_be_asked_is_a_sentence(url: str) -> None:
    trigger = Trigger(trust=Trust.SAME_REPOSITORY, event="pull_request", repository="o/r", number=7)
    problem = say_in_comment(trigger, MARK, token=TOKEN, environ={"GITHUB_API_URL": url})
    assert problem is not None and problem.startswith("no comment: ")


def test_an_artifact_is_fetched_from_its_store_without_the_token(server: FakeGithub) -> None:
    server.artifacts["evalrunner-report"] = data = zipped({"run.json": b"{}"})
    github = client(server)
    (found,) = github.artifacts(run_id=5)
    assert github.download(found, most_bytes=10_000) == data
    with pytest.raises(GithubError, match="larger"):
        github.download(found, most_bytes=10)


@pytest.mark.parametrize(
    "artifact",
    [
        b"no zip",
        zipped({}),
        zipped({"run.json": b"no json"}),
        zipped({"run.json": b"[" * 100_000}),
        zipped({"../../run.json": b'{"schema": "other/1"}'}),
        zipped({"run.json": b" " * 70_000_000}),
    ],
    ids=["no zip", "empty", "no json", "deep", "another schema", "bomb"],
)
def test_a_strangers_artifact_is_data(
    server: FakeGithub, artifact: bytes, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.artifacts["evalrunner-report"] = artifact
    server.pulls = [{"number": 7, "head": {"sha": "a" * 40}, "state": "open"}]
    event = tmp_path / "event.json"
    event.write_text('{"workflow_run": {"id": 5, "head_sha": "%s"}}' % ("a" * 40))
    environ = {
        "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_API_URL": server.url,
    }
    problem = comment_on_fork(environ, token=TOKEN)
    assert problem is not None and problem.startswith("no comment: ")
    assert server.comments == [] and [each.name for each in tmp_path.iterdir()] == ["event.json"]
