"""A tunnel through an HTTP proxy: the proxy learns host and port, and neither key nor question."""

from __future__ import annotations

import asyncio
from typing import cast


class Tunnel(asyncio.Protocol):
    """The few bytes that are said to a proxy before TLS begins."""

    def __init__(self) -> None:
        self._heard = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The proxy listens."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Part of what the proxy says."""
        self._heard += data
        if not self._answer.done() and (b"\r\n\r\n" in self._heard or len(self._heard) > 16384):
            self._answer.set_result(self._heard)

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy hung up."""
        if not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the proxy closed the connection"))

    async def open(self, authority: str, authorization: bytes) -> None:
        """Asks for the tunnel.

        Raises:
            ConnectionError: The proxy refused.
        """
        extra = authorization + b"\r\n" if authorization else b""
        name = authority.encode("ascii")
        self._transport.write(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (name, name, extra))
        words = (await self._answer).split(b"\r\n", 1)[0].split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1] != b"200":
            status = words[1][:3].decode("latin-1") if len(words) > 1 else "?"
            raise ConnectionRefusedError(f"the proxy refused the tunnel (status {status!r})")
