"""A lean HTTP/1.1 transport: one call is one request on the wire, and ends within one deadline."""

from __future__ import annotations

import asyncio
import os
import select
import ssl
import time
import zlib
from collections.abc import Mapping
from typing import Final, cast

import httptools

from evalrunner.adapters.http_address import Address, Origin, Proxy, address_of
from evalrunner.adapters.http_tunnel import Tunnel
from evalrunner.errors import (
    CallTimeout,
    MalformedReply,
    ModelCallError,
    ProviderUnavailable,
    ReplyTooLarge,
)
from evalrunner.values.dataclass import dataclass

DEFAULT_MAX_BYTES: Final = 4 * 1024 * 1024
KEEP_ALIVE_SECONDS: Final = 4.0
"""How long an idle connection is kept: below the five seconds after which common servers hang up."""

_HEAD_BYTES: Final = 64 * 1024
_INTERIM_REPLIES: Final = 8


@dataclass(frozen=True, slots=True)
class WireResponse:
    """One complete reply: ``headers`` in lower case, ``body`` inflated, ``seconds`` on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Wire:
    """Sends requests over kept connections of one event loop.

    It never sends a request twice, never follows a redirect, keeps no cookies, and always verifies
    TLS (against ``SSL_CERT_FILE`` where that is set). ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``
    are honoured.

    Args:
        environ: Where proxies are looked up.
        max_bytes: The most that a body may hold, as sent and as inflated.
    """

    def __init__(
        self, *, environ: Mapping[str, str] | None = None, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._max_bytes = max_bytes
        self._idle: dict[tuple[Origin, Proxy | None], list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    def address(self, url: str, headers: Mapping[str, str], *, method: str = "POST") -> Address:
        """Prepares a URL and its headers for :meth:`send`.

        Raises:
            ConfigError: The URL, a header or the proxy cannot be used.
        """
        return address_of(url, headers, method=method, environ=self._environ)

    async def send(
        self,
        address: Address,
        body: bytes,
        deadline_seconds: float,
        *,
        max_bytes: int | None = None,
    ) -> WireResponse:
        """Sends one request and reads its whole reply, whatever its status.

        The deadline covers connecting, sending and receiving: a reply that drips ends with it.

        Raises:
            ProviderUnavailable: No connection, or it broke. ``possibly_paid`` once bytes were sent.
            CallTimeout: The deadline passed.
            ReplyTooLarge: The headers or the body passed a cap.
            MalformedReply: What came is not HTTP.
        """
        started = time.monotonic()
        limit = self._max_bytes if max_bytes is None else max_bytes
        connection = self._kept(address)
        if connection is None:
            connection = await self._new(address, deadline_seconds)
        left = started + deadline_seconds - time.monotonic()
        try:
            await connection.exchange(address.head, body, limit, left)
        except TimeoutError as error:
            raise _too_late(deadline_seconds, possibly_paid=True) from error
        finally:
            self._put_back(address, connection)
        seconds = time.monotonic() - started
        content = _inflated(connection.headers, connection.body, limit)
        return WireResponse(connection.status, connection.headers, content, seconds)

    async def aclose(self) -> None:
        """Closes what is idle. Never raises."""
        kept = [connection for group in self._idle.values() for connection in group]
        self._idle.clear()
        for connection in kept:
            connection.abort()
        await asyncio.sleep(0)

    def _kept(self, address: Address) -> _Connection | None:
        """The connection used last, unless it is old or the other side has hung up."""
        group = self._idle.get((address.origin, address.proxy))
        oldest = time.monotonic() - KEEP_ALIVE_SECONDS
        while group:
            connection = group.pop()
            if connection.idle_since >= oldest and connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def _new(self, address: Address, deadline_seconds: float) -> _Connection:
        """A new connection, or why there is none; nothing was sent yet."""
        scope = asyncio.timeout(deadline_seconds)
        try:
            async with scope:
                return await self._connect(address)
        except TimeoutError as error:
            if scope.expired():
                raise _too_late(deadline_seconds, possibly_paid=False) from error
            raise _unreachable(address, error) from error

    def _put_back(self, address: Address, connection: _Connection) -> None:
        if connection.reusable():
            connection.idle_since = time.monotonic()
            self._idle.setdefault((address.origin, address.proxy), []).append(connection)
        else:
            connection.abort()

    async def _connect(self, address: Address) -> _Connection:
        origin, proxy = address.origin, address.proxy
        try:
            if proxy is not None and origin.tls:
                return await self._connect_through(origin, proxy)
            host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
            loop = asyncio.get_running_loop()
            context = self._tls_context() if origin.tls else None
            _, connection = await loop.create_connection(_Connection, host, port, ssl=context)
        except OSError as error:  # refused, DNS, TLS: each is an OSError
            if isinstance(error, TimeoutError):
                raise
            raise _unreachable(address, error) from error
        return connection

    async def _connect_through(self, origin: Origin, proxy: Proxy) -> _Connection:
        """Opens a tunnel and speaks TLS with the origin inside it; the proxy sees no key."""
        loop = asyncio.get_running_loop()
        transport, tunnel = await loop.create_connection(Tunnel, proxy.host, proxy.port)
        connection = _Connection()
        try:
            await tunnel.open(f"{origin.host}:{origin.port}", proxy.authorization)
            inside = await loop.start_tls(
                transport, connection, self._tls_context(), server_hostname=origin.host
            )
        except BaseException:
            transport.abort()
            raise
        if inside is None:
            raise ConnectionResetError("the proxy closed the tunnel")
        connection.connection_made(inside)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Connection(asyncio.Protocol):
    """One connection: at most one request at a time, and the parser of its reply."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._watch: select.poll | None = None
        self._done: asyncio.Future[None] | None = None
        self._clean = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        socket = transport.get_extra_info("socket")
        if socket is not None and hasattr(select, "poll"):
            self._watch = select.poll()
            self._watch.register(socket.fileno(), select.POLLIN)

    def is_quiet(self) -> bool:
        """Whether the other side has neither hung up nor sent a byte that nobody asked for."""
        if self._transport is None or self._transport.is_closing():
            return False
        return self._watch is None or not self._watch.poll(0)

    def reusable(self) -> bool:
        """Whether the last reply ended where it said, and the next may follow."""
        done = self._done
        self._done = None
        return self._clean and done is not None and done.done() and not done.cancelled()

    def abort(self) -> None:
        """Drops the connection at once."""
        self._clean = False
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, head: bytes, body: bytes, limit: int, seconds: float) -> None:
        """Writes one request and waits until its reply is complete in ``status``, ``headers``, ``body``.

        Raises:
            TimeoutError: It was not complete within ``seconds``.
        """
        if self._transport is None or self._transport.is_closing():
            raise ProviderUnavailable("the connection was closed before the request was sent")
        self._begin(limit)
        loop = asyncio.get_running_loop()
        done = self._done = loop.create_future()
        late = loop.call_later(max(seconds, 0.0), self._fail, TimeoutError())
        if body or head.startswith(b"POST"):
            self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        else:
            self._transport.write(head + b"\r\n")
        try:
            await done
        finally:
            late.cancel()

    def _begin(self, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._interim = 0
        self._parser = httptools.HttpResponseParser(self)
        self._start_message()

    def _start_message(self) -> None:
        self.status = 0
        self.headers = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._head_done = False

    # What the event loop says.

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._done.done():
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(MalformedReply(f"the reply is not HTTP: {error}", possibly_paid=True))
        except httptools.HttpParserUpgrade:
            self._fail(MalformedReply("the reply switches protocols", possibly_paid=True))
        allowed = _HEAD_BYTES if not self._head_done else _HEAD_BYTES + 2 * self._limit
        if self._received > allowed:
            self._fail(_too_large(self._limit) if self._head_done else _long_head())

    def connection_lost(self, exc: Exception | None) -> None:
        self._clean = False
        if self._done is None or self._done.done():
            return
        if self._ends_with_connection() and exc is None:
            self._finish()
            return
        part = "inside" if self._received else "before"
        self._fail(
            ProviderUnavailable(f"the connection broke {part} the reply", possibly_paid=True)
        )

    # What the parser says.

    def on_message_begin(self) -> None:
        if self._done is None or self._done.done():
            self._clean = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_done = True
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length[:19]) > self._limit:
            self._fail(_too_large(self._limit))

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._fail(_too_large(self._limit))
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        if 100 <= self.status < 200:
            self._interim += 1
            self._start_message()
            if self._interim > _INTERIM_REPLIES:
                self._fail(MalformedReply("the reply never began", possibly_paid=True))
            return
        if not self._parser.should_keep_alive():
            self._clean = False
        self._finish()

    def _ends_with_connection(self) -> bool:
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        return self._head_done and not framed

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._done.set_result(None)

    def _fail(self, error: ModelCallError | TimeoutError) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)
            self.abort()


def _unreachable(address: Address, error: OSError) -> ProviderUnavailable:
    where = f"{address.origin.host}:{address.origin.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message or "not trusted"
        return ProviderUnavailable(
            f"the certificate of {where} does not verify: {reason}",
            hint="set SSL_CERT_FILE to the certificates of your network",
        )
    reason = error.strerror or str(error) or type(error).__name__
    return ProviderUnavailable(f"{where} cannot be reached: {reason[:200]}")


def _too_late(seconds: float, *, possibly_paid: bool) -> CallTimeout:
    return CallTimeout(f"no complete reply within {seconds:g} s", possibly_paid=possibly_paid)


def _too_large(limit: int) -> ReplyTooLarge:
    return ReplyTooLarge(f"the reply is larger than {limit:,} bytes", possibly_paid=True)


def _long_head() -> ReplyTooLarge:
    message = f"the headers of the reply are larger than {_HEAD_BYTES:,} bytes"
    return ReplyTooLarge(message, possibly_paid=True)


def _inflated(headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    """The body without the encoding that nobody asked for, never more than ``limit`` bytes of it."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"} or not body:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise MalformedReply(
            f"the reply came in the encoding {encoding[:40]!r}, which was not asked for",
            possibly_paid=True,
        )
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, as the head says
    try:
        content = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedReply("the compressed reply is damaged", possibly_paid=True) from error
    if len(content) > limit:
        raise _too_large(limit)
    if not inflate.eof:
        raise MalformedReply("the compressed reply is cut off", possibly_paid=True)
    return content
