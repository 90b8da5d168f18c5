"""Where HTTP clients hand a request to the network, and how somebody gets in between for a while.

The OpenAI and Anthropic SDKs and litellm speak through httpx, or its successor httpx2: what they send
passes a transport of theirs. Only transports that reach the network are touched, so that a test which
puts one of its own in their place keeps it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Final, Protocol

_LIBRARIES: Final = ("httpx", "httpx2")
_FOREIGN_TRANSPORTS: Final = ("litellm.llms.custom_httpx.aiohttp_transport", "httpx_aiohttp")
"""Modules with asynchronous transports of their own that reach the network through aiohttp."""

_SYNC: Final = "handle_request"
_ASYNC: Final = "handle_async_request"


class Between(Protocol):
    """Who gets in between. ``library`` is httpx or httpx2, whichever the request is from."""

    def now(self, library: ModuleType, request: Any, send: Callable[[], Any]) -> Any:
        """The response to a request that ``send()`` would send."""
        ...

    async def later(
        self, library: ModuleType, request: Any, send: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The same in an event loop."""
        ...


@contextmanager
def open_seams(between: Between) -> Generator[None, None, None]:
    """Has every request of this process pass *between* while the block runs; then all is as before."""
    with ExitStack() as stack:
        for library in _libraries():
            _put(stack, library.HTTPTransport, _SYNC, _sync(between, library))
            _put(stack, library.AsyncHTTPTransport, _ASYNC, _async(between, library))
            for kind in _subclasses(library.AsyncBaseTransport):
                _put_foreign(stack, kind, between, library)
            _watch_for_more(stack, library.AsyncBaseTransport, between, library)
        yield


def _libraries() -> Iterator[ModuleType]:
    """Those that are installed: code under test may import one at any time."""
    for name in _LIBRARIES:
        try:
            yield importlib.import_module(name)
        except ImportError:
            continue


def _sync(between: Between, library: ModuleType) -> Callable[[Any], Any]:
    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def handle_request(transport: Any, request: Any) -> Any:
            if _is_mocked(transport, _SYNC):
                return original(transport, request)
            return between.now(library, request, lambda: original(transport, request))

        return handle_request

    return wrap


def _async(between: Between, library: ModuleType) -> Callable[[Any], Any]:
    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        async def handle_async_request(transport: Any, request: Any) -> Any:
            if _is_mocked(transport, _ASYNC):
                return await original(transport, request)
            return await between.later(library, request, lambda: original(transport, request))

        return handle_async_request

    return wrap


def _is_mocked(transport: Any, name: str) -> bool:
    """Whether somebody answers below the transport: what a test made up is not to be kept."""
    pool = getattr(transport, "_pool", None)
    handle = getattr(type(pool), name, None)
    return handle is not None and not str(handle.__module__).startswith("httpcore")


def _put(stack: ExitStack, kind: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    original = kind.__dict__[name]
    setattr(kind, name, wrap(original))
    stack.callback(setattr, kind, name, original)


def _put_foreign(stack: ExitStack, kind: Any, between: Between, library: ModuleType) -> None:
    if kind.__module__.startswith(_FOREIGN_TRANSPORTS) and _ASYNC in kind.__dict__:
        _put(stack, kind, _ASYNC, _async(between, library))


def _watch_for_more(stack: ExitStack, base: Any, between: Between, library: ModuleType) -> None:
    """Reaches the transports of modules that are imported later."""

    def __init_subclass__(kind: Any, /, **further: Any) -> None:  # noqa: N807  # Python's own name
        super(base, kind).__init_subclass__(**further)
        _put_foreign(stack, kind, between, library)

    base.__init_subclass__ = classmethod(__init_subclass__)
    stack.callback(delattr, base, "__init_subclass__")


def _subclasses(kind: Any) -> Iterator[Any]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def response(library: ModuleType, status: int, content_type: str, body: bytes) -> Any:
    """A response that is read like one from the network, whole or as a stream."""
    headers = [("content-type", content_type)] if content_type else []
    return library.Response(status, headers=headers, stream=library.ByteStream(body))


def plain_body(library: ModuleType, coding: str, body: bytes) -> bytes:
    """A body without its content coding.

    Raises:
        Exception: It is not coded like that; httpx has errors of its own.
    """
    if not coding or coding == "identity":
        return body
    coded = library.Response(200, headers=[("content-encoding", coding)], content=body)
    content: bytes = coded.content
    return content


def tee(library: ModuleType, stream: Any, ended: Ended) -> Any:
    """The stream, and at its end the whole of it to *ended*."""
    return _tee_class(library.SyncByteStream, _Tee)(stream, ended)


def async_tee(library: ModuleType, stream: Any, ended: AsyncEnded) -> Any:
    """The same in an event loop."""
    return _tee_class(library.AsyncByteStream, _AsyncTee)(stream, ended)


Ended = Callable[[bytes], None]
AsyncEnded = Callable[[bytes], Awaitable[None]]


class _Tee:
    """Passes a stream through. It has ended when it is read or closed, whichever is first."""

    def __init__(self, stream: Any, ended: Ended) -> None:
        self._stream = stream
        self._ended: Ended | None = ended
        self._parts: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            self._parts.append(part)
            yield part
        self._end()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._end()

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(b"".join(self._parts))


class _AsyncTee:
    """The same in an event loop."""

    def __init__(self, stream: Any, ended: AsyncEnded) -> None:
        self._stream = stream
        self._ended: AsyncEnded | None = ended
        self._parts: list[bytes] = []

    async def __aiter__(self) -> Any:
        async for part in self._stream:
            self._parts.append(part)
            yield part
        await self._end()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._end()

    async def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            await ended(b"".join(self._parts))


@functools.cache
def _tee_class(stream: Any, tee_: Any) -> Any:
    """Clients insist on a stream class of their own library."""
    return type(tee_.__name__, (tee_, stream), {})
