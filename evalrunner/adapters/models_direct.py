"""Asks endpoints that speak the OpenAI wire format, without a client library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalrunner.adapters.chat_format import chat_body, chat_headers, read_reply
from evalrunner.adapters.credentials import HOSTED, KeyRing
from evalrunner.adapters.http_address import Address
from evalrunner.adapters.http_wire import Wire
from evalrunner.engine.ports import WireReply
from evalrunner.errors import ConfigError, RequestRejected
from evalrunner.values.exchange import ModelRequest
from evalrunner.values.spec import Endpoint

_OPENAI_NAMES: Final = {"max_tokens": "max_completion_tokens"}
"""OpenAI's own newer models refuse the old name; its older ones know the new one too."""


class DirectClient:
    """A :class:`~evalrunner.engine.ports.ModelClient` for one endpoint.

    Args:
        endpoint: Whom to ask: its ``base_url``, else the provider's own host.
        wire: The transport, which may be shared by endpoints.
        keys: Where the key comes from; by default the environment of the process.
    """

    def __init__(
        self, endpoint: Endpoint, *, wire: Wire | None = None, keys: KeyRing | None = None
    ) -> None:
        self._endpoint = endpoint
        self._wire = wire or Wire()
        self._keys = keys or KeyRing()
        self._address: Address | None = None
        self._rename = None if endpoint.base_url else _renamed(endpoint.provider)

    async def complete(self, request: ModelRequest, deadline_seconds: float) -> WireReply:
        """Asks once; see :class:`~evalrunner.engine.ports.ModelClient`."""
        if self._address is None:
            self._address = self._prepared()
        try:
            body = chat_body(request, model=self._endpoint.model, rename=self._rename)
        except (TypeError, ValueError, RecursionError) as error:
            raise RequestRejected(f"the request has no JSON form: {error}") from error
        reply = await self._wire.send(self._address, body, deadline_seconds)
        return read_reply(reply, keys=self._keys)

    async def aclose(self) -> None:
        """Closes the connections of its transport. Never raises."""
        await self._wire.aclose()

    def _prepared(self) -> Address:
        known = HOSTED.get(self._endpoint.provider)
        base = self._endpoint.base_url or (known.base_url if known else "")
        if not base:
            raise RequestRejected(
                f"nobody knows where model {self._endpoint.name!r} listens",
                hint="give it a base_url, or use client: litellm",
            )
        headers = chat_headers(self._keys.key_for(self._endpoint))
        try:
            return self._wire.address(f"{base.rstrip('/')}/chat/completions", headers)
        except ConfigError as error:
            raise RequestRejected(self._keys.redact(error.message), hint=error.hint) from error


def _renamed(provider: str) -> Mapping[str, str] | None:
    return _OPENAI_NAMES if provider == "openai" else None
