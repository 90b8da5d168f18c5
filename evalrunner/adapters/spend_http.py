"""Asks an HTTP interface for spend: pages, waits, retries; a key goes to its own host and nowhere else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode

from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_faults import classify, shown_text
from evalrunner.adapters.http_wire import Wire
from evalrunner.errors import (
    CallTimeout,
    ConfigError,
    ModelCallError,
    ProviderUnavailable,
    RateLimited,
    SpendError,
)

MOST_PAGES: Final = 1000
PAGE_BYTES: Final = 16 * 1024 * 1024

_ATTEMPTS: Final = 4
_LONGEST_WAIT_SECONDS: Final = 30.0
_CALL_SECONDS: Final = 30.0
_TOTAL_SECONDS: Final = 120.0
_RETRIED: Final = (RateLimited, ProviderUnavailable, CallTimeout)

Query = Sequence[tuple[str, str]]
Sleep = Callable[[float], Awaitable[None]]


class SpendApi:
    """One interface, with its key in its headers.

    Args:
        name: What errors call the source.
        base_url: Where it is; redirects are refused.
        headers: Sent with every request.
        environ: Where proxies are looked up.
        secrets: What no error may show.
        sleep: How it waits.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        environ: Mapping[str, str],
        secrets: Sequence[str] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._headers = {"accept": "application/json", "user-agent": "evalrunner", **headers}
        self._wire = Wire(environ=environ, max_bytes=PAGE_BYTES)
        self._keys = KeyRing(environ)
        self._secrets = secrets
        self._sleep = sleep
        self._began: float | None = None

    async def get(self, path: str, query: Query) -> dict[str, Any]:
        """The JSON object at that path. Numbers with a point come as exact decimals.

        A refusal that may pass is asked again, after as long as the other side wants, but not longer
        than half a minute, and never beyond two minutes in all.

        Raises:
            SpendError: No such object came.
        """
        url = f"{self._base_url}{path}?{urlencode(query, quote_via=quote)}"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._object(await self._body(url))
            except _RETRIED as error:
                wait = _wait(error, attempt)
                if attempt == _ATTEMPTS or self._passed() + wait > _TOTAL_SECONDS:
                    self._fail(error)
                await self._sleep(wait)
            except (ModelCallError, ConfigError) as error:
                self._fail(error)
        raise AssertionError("the last attempt returns or raises")

    async def buckets(self, path: str, query: Query) -> AsyncIterator[dict[str, Any]]:
        """The ``data`` of all pages, where a page says ``has_more`` and names the ``next_page``.

        Raises:
            SpendError: A page does not come, or the pages do not come to an end.
        """
        seen: set[str] = set()
        cursor: list[tuple[str, str]] = []
        while True:
            page = await self.get(path, [*query, *cursor])
            for bucket in rows_of(page, "data", self._name):
                yield bucket
            if not page.get("has_more"):
                return
            token = page.get("next_page")
            if not isinstance(token, str) or token in seen or len(seen) >= MOST_PAGES:
                raise SpendError(f"{self._name} says that there is more, but not where")
            seen.add(token)
            cursor = [("page", token)]

    async def aclose(self) -> None:
        """Closes the connections. Never raises."""
        await self._wire.aclose()

    async def _body(self, url: str) -> bytes:
        address = self._wire.address(url, self._headers, method="GET")
        self._began = time.monotonic() if self._began is None else self._began
        reply = await self._wire.send(address, b"", _CALL_SECONDS)
        if reply.status == 200:
            return reply.body
        raise classify(
            reply.status, reply.headers, reply.body, now=time.time(), redact=self._redacted
        )

    def _object(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body, parse_float=Decimal, parse_constant=lambda _: None)
        except (ValueError, RecursionError, ArithmeticError):
            found = None
        if not isinstance(found, dict):
            raise SpendError(f"{self._name} did not answer with a JSON object")
        return found

    def _passed(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    def _fail(self, error: ModelCallError | ConfigError) -> NoReturn:
        message = shown_text(error.message, self._redacted)
        hint = error.hint
        if isinstance(error, ModelCallError) and error.status == 404:
            hint = f"is base_url right? {self._base_url!r} was asked"
        raise SpendError(f"{self._name}: {message}", hint=hint) from error

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return self._keys.redact(text)


def required_key(variable: str, name: str, environ: Mapping[str, str]) -> str:
    """The key in an environment variable.

    Raises:
        SpendError: It is not set.
    """
    key = environ.get(variable, "").strip()
    if not key:
        raise SpendError(
            f"{name}: the variable {variable!r} with its key is not set",
            hint=f"export {variable}=…; it needs read access to spend, no more",
        )
    return key


def rows_of(page: Mapping[str, Any], field: str, name: str) -> list[dict[str, Any]]:
    """The list of objects in a field of a page.

    Raises:
        SpendError: There is none, or something else is in it.
    """
    found = page.get(field)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise SpendError(f"{name} answered without a list of {field!r}")
    return found


def text_or_none(value: object) -> str | None:
    """A fact as text; numbers and truths as JSON writes them."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, default=str)


def _wait(error: ModelCallError, attempt: int) -> float:
    asked = error.retry_after_seconds
    return min(_LONGEST_WAIT_SECONDS, 0.5 * 2**attempt if asked is None else max(0.0, asked))
