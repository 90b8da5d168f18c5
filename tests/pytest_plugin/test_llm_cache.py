"""Code under test that calls models itself, as users have it: an application, its tests, and SDKs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from evalrunner.testing import FakeProvider
from tests.e2e.workspace import PACKAGE, Workspace
from tests.pytest_plugin.session import Ended, documents, pytest_session

APPLICATION = """
import openai

client = openai.OpenAI(api_key="k-of-the-application")

def classify(text):
    done = client.chat.completions.create(
        model="tiny-2026-01-01", max_tokens=50, messages=[{"role": "user", "content": text}]
    )
    return done.choices[0].message.content
"""

SMALL_APPLICATION = """
import os
import httpx

def classify(text):
    body = {"model": "tiny-2026-01-01", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    with httpx.Client(base_url=os.environ["OPENAI_BASE_URL"], verify=False) as client:
        return client.post("/chat/completions", json=body).json()["choices"][0]["message"]["content"]
"""

TESTS = """
import pytest
from application import classify

TICKETS = [f"ticket {n}" for n in range(40)]

@pytest.mark.parametrize("ticket", TICKETS)
def test_ticket(ticket):
    assert ticket in classify(ticket)
"""


def _session(workspace: Workspace, url: str, *arguments: str, **further: str) -> Ended:
    return pytest_session(
        workspace,
        "--eval-intercept",
        *arguments,
        PYTHONPATH=f"{workspace.root}:{PACKAGE}",
        OPENAI_BASE_URL=url,
        **further,
    )


@pytest.mark.parametrize("workers", [(), ("-n", "4")], ids=["alone", "xdist"])
def test_an_application_with_tests_of_its_own_is_paid_for_once(
    workspace: Workspace, provider: FakeProvider, workers: tuple[str, ...]
) -> None:
    workspace.write("application.py", APPLICATION)
    tests = workspace.write("tests/test_application.py", TESTS)
    first = _session(workspace, provider.base_url, *workers)
    assert (first.code, first.counts) == (0, {"passed": 40}), first.out
    assert len(provider.requests) == 40
    assert "0 from the cache, 40 asked; $" in first.out
    assert "unknown" not in first.out
    second = _session(workspace, provider.base_url, *workers)
    assert (second.code, len(provider.requests)) == (0, 40), second.out
    assert "40 from the cache, 0 asked; $0 paid, $" in second.out
    tests.write_text(TESTS.replace('"ticket {n}"', '"ticket {n}" if n != 7 else "changed"'))
    third = _session(workspace, provider.base_url, *workers)
    assert (third.code, len(provider.requests)) == (0, 41), third.out
    assert documents(workspace) == []  # there was no eval to report on


CLIENTS = """
import asyncio
import os

import anthropic, httpx, openai, pytest

URL = os.environ["OPENAI_BASE_URL"]
ASKED = {"model": "tiny-2026-01-01", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
pytestmark = pytest.mark.usefixtures("llm_cache")

def test_async():
    async def ask():
        async with openai.AsyncOpenAI(api_key="k") as client:
            done = await asyncio.gather(*(client.chat.completions.create(**ASKED) for _ in range(5)))
        return [one.choices[0].message.content for one in done]
    assert asyncio.run(ask()) == ["hello"] * 5

def test_stream():
    stream = openai.OpenAI(api_key="k").chat.completions.create(stream=True, **ASKED)
    assert "".join(part.choices[0].delta.content for part in stream if part.choices) == "hello"

def test_async_stream():
    async def ask():
        async with openai.AsyncOpenAI(api_key="k") as client:
            stream = await client.chat.completions.create(stream=True, temperature=0.5, **ASKED)
            return [part.choices[0].delta.content async for part in stream if part.choices]
    assert "".join(asyncio.run(ask())) == "hello"

def test_anthropic():
    message = anthropic.Anthropic(api_key="k").messages.create(**ASKED)
    assert message.content[0].text == "hello"

def test_anthropic_stream():
    with anthropic.Anthropic(api_key="k").messages.stream(**ASKED) as stream:
        assert "".join(stream.text_stream) == "hello"

def test_httpx(llm_cache):
    with httpx.Client(headers={"authorization": "Bearer " + os.urandom(4).hex()}) as client:
        for _ in range(2):
            assert client.post(f"{URL}/chat/completions", json=ASKED | {"seed": 1}).json()["id"]
    assert llm_cache.hits + llm_cache.calls == 2 and llm_cache.hits >= 1

def test_two_unread_streams_do_not_wait_for_each_other():
    client = openai.OpenAI(api_key="k")
    streams = [client.chat.completions.create(stream=True, seed=7, **ASKED) for _ in range(2)]
    for stream in streams:
        assert len(list(stream)) > 0
"""


class _Model(BaseHTTPRequestHandler):
    """A small server that speaks both formats, and streams in both."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, dict[str, Any]]]]

    def do_POST(self) -> None:  # http.server's name
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, body))
        anthropic = self.path.endswith("/messages")
        answer = _MESSAGE if anthropic else _COMPLETION
        if not body.get("stream"):
            return self._reply("application/json", json.dumps(answer))
        events = _MESSAGE_EVENTS if anthropic else _COMPLETION_EVENTS
        named = (f"event: {one['type']}\n" if "type" in one else "" for one in events)
        lines = [
            f"{name}data: {json.dumps(one)}\n\n" for name, one in zip(named, events, strict=True)
        ]
        return self._reply(
            "text/event-stream", "".join([*lines, "" if anthropic else "data: [DONE]\n\n"])
        )

    def _reply(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Says nothing."""


_COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "tiny-2026-01-01",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hello"},
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "tiny-2026-01-01"}
_COMPLETION_EVENTS: list[dict[str, Any]] = [
    {**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}}]},
    {**_CHUNK, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
    {**_CHUNK, "choices": [], "usage": _COMPLETION["usage"]},
]
_MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "tiny-2026-01-01",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
_MESSAGE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            **_MESSAGE,
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 10, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "hello"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]


@pytest.fixture
def model() -> Iterator[ThreadingHTTPServer]:
    _Model.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def _url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_every_client_is_cached_whole_or_streamed(
    workspace: Workspace, model: ThreadingHTTPServer
) -> None:
    url = _url(model)
    workspace.configure(f"{url}/v1")
    workspace.write("tests/test_clients.py", CLIENTS)
    addresses = {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url}
    first = pytest_session(workspace, **addresses)
    assert (first.code, first.counts) == (0, {"passed": 7}), first.out
    assert len(_Model.asked) == 8, [body for _, body in _Model.asked]
    assert "8 asked, 4 shared; $0.00016 paid" in first.out  # 10 and 5 tokens each, 8 times
    again = pytest_session(workspace, "--eval-frozen", **addresses)
    assert (again.code, again.counts) == (0, {"passed": 7}), again.out
    assert len(_Model.asked) == 8


def test_a_host_that_nobody_named_is_left_alone(
    workspace: Workspace, provider: FakeProvider, model: ThreadingHTTPServer
) -> None:
    """And so is everything on a provider's host that is no call of a model."""
    workspace.write(
        "tests/test_other.py",
        f"""
import httpx, pytest

BODY = {{"model": "m", "messages": []}}

def test_unnamed(llm_cache):
    for path in ("/v1/chat/completions", "/other"):
        assert httpx.post("{_url(model)}" + path, json=BODY).status_code == 200
    assert (llm_cache.hits, llm_cache.calls) == (0, 0)

@pytest.mark.llm_cache(hosts=["{_url(model).removeprefix("http://")}"])
def test_named_by_the_marker(llm_cache):
    for path in ("/v1/chat/completions", "/other"):
        assert httpx.post("{_url(model)}" + path, json=BODY).status_code == 200
    assert llm_cache.hits + llm_cache.calls == 1

def test_mocked_below_the_transport(llm_cache, monkeypatch):
    import httpcore
    answered = httpcore.Response(418, content=b"{{}}")
    monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", lambda pool, request: answered)
    assert httpx.post("https://api.openai.com/v1/responses", json=BODY).status_code == 418
    assert (llm_cache.hits, llm_cache.calls) == (0, 0)

def test_without_the_fixture():
    before = httpx.HTTPTransport.handle_request
    assert before.__module__.startswith("httpx")
    assert httpx.post("{_url(model)}/v1/chat/completions", json=BODY).status_code == 200
""",
    )
    for asked in (5, 9):  # of the five the second session saves one
        assert (ended := pytest_session(workspace)).counts == {"passed": 4}, ended.out
        assert len(_Model.asked) == asked


def test_a_frozen_session_sends_nothing_and_says_which_call_is_missing(
    workspace: Workspace, provider: FakeProvider
) -> None:
    """Not even an application that catches every exception goes on, and in a thread none passes."""
    workspace.write("application.py", SMALL_APPLICATION)
    workspace.write(
        "tests/test_application.py",
        """
import threading
from application import classify

def test_it():
    try:
        classify("new")
    except Exception:
        pass

def test_in_a_thread():
    thread = threading.Thread(target=classify, args=["other"])
    thread.start()
    thread.join()
""",
    )
    quiet = "-Wignore::pytest.PytestUnhandledThreadExceptionWarning"
    failed = _session(workspace, provider.base_url, "--eval-frozen", quiet)
    assert (failed.code, failed.counts) == (1, {"failed": 2}), failed.out
    assert "frozen, and the cache has no answer to POST 127.0.0.1:" in failed.out
    skipped = _session(workspace, provider.base_url, "--eval-frozen", "--eval-on-miss=skip", quiet)
    assert (skipped.code, skipped.counts) == (0, {"skipped": 2}), skipped.out
    assert provider.requests == []
    _session(workspace, provider.base_url)
    _session(workspace, provider.base_url, "--eval-recache")
    assert len(provider.requests) == 4


def test_a_ceiling_holds_for_all_workers_together(
    workspace: Workspace, provider: FakeProvider
) -> None:
    """A call costs 20 millionths of a dollar and may cost up to some 200."""
    workspace.write("application.py", SMALL_APPLICATION)
    workspace.write("tests/test_application.py", TESTS)
    ended = _session(workspace, provider.base_url, "--eval-max-usd=0.0005", "-n", "2")
    assert ended.code == 1
    assert "the ceiling leaves no room for POST 127.0.0.1:" in ended.out
    assert ended.counts["failed"] + ended.counts["passed"] == 40
    assert len(provider.requests) == ended.counts["passed"]
    spent = 20 * len(provider.requests)
    assert 500 - 200 < spent <= 500
