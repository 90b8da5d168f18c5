"""The transport that litellm is given: ours, so that one call is one request to a known host."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

import httpx

from evalrunner.adapters.http_wire import Wire, WireResponse
from evalrunner.errors import ConfigError, ModelCallError, RedirectRefused, RequestRejected

_REFRAMED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(slots=True)
class Attempt:
    """What one call may do on the wire, and what it did there.

    Attributes:
        wire: The transport that sends.
        ends_at: The deadline on the monotonic clock.
        hosts: The hosts, domains or ``host:port`` pairs that may be asked.
        sent: The method and URL of each request that left.
        reply: The last reply.
        error: Why there is none.
    """

    wire: Wire
    ends_at: float
    hosts: frozenset[str]
    sent: list[tuple[str, str]] = field(default_factory=list)
    reply: WireResponse | None = None
    error: ModelCallError | None = None


current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends for the attempt of the running call, and for nothing else.

    A request outside an attempt, to a host that the attempt does not name, or for the second time, is
    refused before a byte leaves. So no key travels to a stranger and nothing is paid twice, whatever
    the library above does on a redirect or a broken connection.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request of the running attempt."""
        attempt = current_attempt.get()
        if attempt is None:
            raise httpx.UnsupportedProtocol("evalrunner allows no request outside a model call")
        try:
            return await _send(attempt, request)
        except ConfigError as error:
            attempt.error = RequestRejected(error.message, hint=error.hint)
            raise attempt.error from error
        except ModelCallError as error:
            attempt.error = attempt.error or error
            raise

    async def aclose(self) -> None:
        """Nothing is held here: the attempt's wire keeps the connections."""


async def _send(attempt: Attempt, request: httpx.Request) -> httpx.Response:
    _refuse_strangers(attempt, request.url)
    this = (request.method, str(request.url))
    if this in attempt.sent:
        raise attempt.error or RequestRejected("the client library tried to send a request twice")
    headers = dict(request.headers.items())
    address = attempt.wire.address(str(request.url), headers, method=request.method)
    body = await request.aread()
    attempt.sent.append(this)
    left = max(0.0, attempt.ends_at - time.monotonic())
    reply = attempt.reply = await attempt.wire.send(address, body, left)
    if 300 <= reply.status < 400:
        raise RedirectRefused(
            f"the provider answered {reply.status}",
            hint="write the address that it redirects to as base_url, if you trust it",
            status=reply.status,
        )
    return httpx.Response(
        reply.status, headers=_framed(reply.headers), content=reply.body, request=request
    )


def _refuse_strangers(attempt: Attempt, url: httpx.URL) -> None:
    host = url.host.lower()
    port = url.port or (443 if url.scheme == "https" else 80)
    known = attempt.hosts
    domains = {host[cut + 1 :] for cut, char in enumerate(host) if char == "."}
    if host in known or f"{host}:{port}" in known or not domains.isdisjoint(known):
        return
    raise RequestRejected(
        f"the client library wanted to ask {host!r}, which is no host of this provider",
        hint="write the address as the model's base_url, beside its api_key_env",
    )


def _framed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _REFRAMED}
