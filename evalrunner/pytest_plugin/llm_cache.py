"""The fixture ``llm_cache``: what code under test asks models goes through the session's cache."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, Final, Generic, NoReturn, TypeVar

import pytest

from evalrunner.engine.intercepted import (
    WireAnswer,
    answer_from_json,
    answer_to_json,
    netloc_of,
)
from evalrunner.pytest_plugin.seams import async_tee, open_seams, plain_body, response, tee
from evalrunner.pytest_plugin.service import AsyncTalk, ServiceError, Talk
from evalrunner.pytest_plugin.session import CACHE, Evals, evals_of

T = TypeVar("T")

_MODEL_PATHS: Final = (
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/messages",
)
_NAMING: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE")
"""Variables in which SDKs look for the address of a provider."""

_HEADERS: Final = ("anthropic-version", "anthropic-beta", "openai-beta")
"""Headers that change the answer."""

_NOT_SENT: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}
)


class InterceptAll:
    """What ``--eval-intercept`` registers: the fixture's work, for every test."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fixtures of a test belong to it."""
        with intercepting(item):
            return (yield)


@contextmanager
def intercepting(item: pytest.Item) -> Generator[LlmCache, None, None]:
    """Has the model calls of this process be the test's while the block runs."""
    if (known := item.stash.get(CACHE, None)) is not None:
        yield known
        return
    made = item.stash[CACHE] = LlmCache(item)
    try:
        with open_seams(made):
            yield made
    finally:
        del item.stash[CACHE]


class LlmCache:
    """The model calls that code under test has made in one test.

    A call is one to a model path of a provider's host, of a host of the project's models, or of one that
    the marker ``llm_cache``, the setting ``eval_intercept_hosts`` or an SDK's variable names. All other
    requests pass untouched.

    Attributes:
        hits: Calls that were answered without sending anything.
        calls: Calls that were sent.
        refused: Why one was not allowed, if so.
        skips: Whether the test is skipped for that, instead of failed.
    """

    def __init__(self, item: pytest.Item) -> None:
        self.hits = 0
        self.calls = 0
        self.refused: str | None = None
        self.skips = False
        self._evals: Evals = evals_of(item.config)
        self._place = str(item.path.parent)
        suite, _, name = item.nodeid.partition("::")
        self._test = {"suite": suite, "case_id": name or item.name}
        self._hosts = set(item.config.getini("eval_intercept_hosts"))
        for marker in item.iter_markers("llm_cache"):
            self._hosts.update(marker.kwargs.get("hosts", ()))
        self._known: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"<LlmCache hits={self.hits} calls={self.calls}>"

    def now(self, library: ModuleType, request: Any, send: Callable[[], Any]) -> Any:
        """The response to a request of a synchronous client."""
        if not self._may_be_meant(request):
            return send()
        call = self._call(request, request.read())
        if call is None:
            return send()
        with self._refusals():
            talk = self._evals.service.talk()
            found = _asked(talk, self._question(call, wait=not _in_an_event_loop()))
        if "answer" in found:
            talk.close()
            return self._replayed(library, found)
        return self._sent(library, send, _Outgoing(talk, self._place, found["ticket"]))

    async def later(
        self, library: ModuleType, request: Any, send: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The response to a request of an asynchronous client."""
        if not self._may_be_meant(request):
            return await send()
        if not _in_an_event_loop():
            return await send()  # trio, which our connection does not speak
        call = self._call(request, await request.aread())
        if call is None:
            return await send()
        with self._refusals():
            talk = await self._evals.service.atalk()
            found = await _asked_later(talk, self._question(call, wait=True))
        if "answer" in found:
            talk.close()
            return self._replayed(library, found)
        return await self._sent_later(library, send, _Outgoing(talk, self._place, found["ticket"]))

    @contextmanager
    def _refusals(self) -> Generator[None, None, None]:
        """Ends the test where the service says no.

        With one of pytest's own exceptions: an SDK would try again, and wrap, whatever it takes for a
        network error.
        """
        try:
            yield
        except ServiceError as error:
            self.refused = self._evals.explained(error)
            if error.kind == "FrozenMiss" and self._evals.skips_misses:
                self.skips = True
                pytest.skip(error.message)
            pytest.fail(self.refused, pytrace=False)

    def settle(self, report: pytest.TestReport) -> None:
        """Lets no test pass that went on without the answer to one of its calls."""
        if self.refused is None or not report.passed:
            return
        if self.skips:
            report.outcome, report.longrepr = "skipped", (report.location[0], 0, self.refused)
        else:
            report.outcome, report.longrepr = "failed", self.refused

    def _may_be_meant(self, request: Any) -> bool:
        """Whether it is a call of a model, by what can be told without looking into it."""
        if request.method != "POST" or not request.url.path.rstrip("/").endswith(_MODEL_PATHS):
            return False
        url = str(request.url)
        netloc = netloc_of(url)
        if {netloc, netloc.partition(":")[0]} & (self._hosts | _named_by_environment()):
            return True
        if netloc not in self._known:
            asked = {"place": self._place, "url": url}
            with self._refusals():
                self._known[netloc] = self._evals.service.call("knows", **asked)
        return self._known[netloc]

    def _call(self, request: Any, content: bytes) -> dict[str, Any] | None:
        try:
            body = json.loads(content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict):
            return None
        headers = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        return {"url": str(request.url), "body": body, "headers": headers, **self._test}

    def _question(self, call: dict[str, Any], *, wait: bool) -> dict[str, Any]:
        return {"place": self._place, "call": call, "who": _who(), "wait": wait}

    def _replayed(self, library: ModuleType, found: dict[str, Any]) -> Any:
        answer = answer_from_json(found["answer"])
        assert answer is not None  # it was one when it was sent
        self.hits += 1
        return response(library, answer.status, answer.content_type, answer.body)

    def _sent(self, library: ModuleType, send: Callable[[], Any], out: _Outgoing[Talk]) -> Any:
        self.calls += 1
        try:
            answered = send()
        except BaseException as error:
            with suppress(ServiceError):  # the error of the call is the one to be told
                out.talk.call("intercepted", **out.failed(error))
            out.talk.close()
            raise

        def ended(body: bytes) -> None:
            try:
                out.talk.call("intercepted", **out.came(library, answered, body))
            finally:
                out.talk.close()

        answered.stream = tee(library, answered.stream, ended)
        return answered

    async def _sent_later(
        self, library: ModuleType, send: Callable[[], Awaitable[Any]], out: _Outgoing[AsyncTalk]
    ) -> Any:
        self.calls += 1
        try:
            answered = await send()
        except Exception as error:
            with suppress(ServiceError):
                await out.talk.acall("intercepted", **out.failed(error))
            out.talk.close()
            raise
        except BaseException:  # cancelled: nothing may be waited for, and the service sees the end
            out.talk.close()
            raise

        async def ended(body: bytes) -> None:
            try:
                await out.talk.acall("intercepted", **out.came(library, answered, body))
            finally:
                out.talk.close()

        answered.stream = async_tee(library, answered.stream, ended)
        return answered


class _Outgoing(Generic[T]):
    """A call that has been let out."""

    def __init__(self, talk: T, place: str, ticket: str) -> None:
        self.talk = talk
        self._said = {"place": place, "ticket": ticket}
        self._began = time.monotonic()

    def came(self, library: ModuleType, answered: Any, body: bytes) -> dict[str, Any]:
        """What is reported of a response that was read, or closed."""
        try:
            plain = plain_body(library, answered.headers.get("content-encoding", ""), body)
        except Exception as error:  # noqa: BLE001  # whatever a decoder says of half a body
            return self.failed(error)
        answer = WireAnswer(
            status=answered.status_code,
            content_type=answered.headers.get("content-type", ""),
            body=plain,
        )
        return {**self._said, "seconds": self._seconds, "answer": answer_to_json(answer)}

    def failed(self, error: BaseException) -> dict[str, Any]:
        """What is reported where no response came."""
        kind = type(error).__name__
        words = {"error": f"{kind}: {error}", "sent": kind not in _NOT_SENT}
        return {**self._said, "seconds": self._seconds, **words}

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _asked(talk: Talk, question: dict[str, Any]) -> Any:
    try:
        return talk.call("intercept", **question)
    except BaseException:
        talk.close()
        raise


async def _asked_later(talk: AsyncTalk, question: dict[str, Any]) -> Any:
    try:
        return await talk.acall("intercept", **question)
    except BaseException:
        talk.close()
        raise


def _named_by_environment() -> set[str]:
    """Hosts that SDKs are sent to; tests may change that at any time."""
    return {netloc_of(os.environ[name]) for name in _NAMING if os.environ.get(name)}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _in_an_event_loop() -> bool:
    return asyncio._get_running_loop() is not None  # noqa: SLF001  # does not raise


def _who() -> str:
    """The thread, and the task in it, that ask: they cannot wait for themselves."""
    task = asyncio.current_task() if _in_an_event_loop() else None
    return f"{os.getpid()}/{threading.get_ident()}/{id(task) if task else ''}"
