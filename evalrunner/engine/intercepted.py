"""A model call that somebody else makes over HTTP: its identity, and its answer as stores keep it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import Fingerprint, digest
from evalrunner.values.spec import DEFAULT_MAX_TOKENS

SCHEMA: Final = 1
"""The number of the key's form; another one empties what has been kept of such calls."""

MOST_UNLIMITED_TOKENS: Final = 16 * DEFAULT_MAX_TOKENS
"""The output that is reserved for a call which sets no limit itself."""

_SECRET_PARAMETERS: Final = frozenset({"key", "api_key", "api-key", "token", "access_token"})
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_encode: Final = compact_encoder(allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireCall:
    """A call as an application issues it.

    Attributes:
        url: Where it goes, the query included.
        body: What it asks: a JSON object.
        headers: Those that change the answer; never one that carries a key.
        suite: The file of the test that it is made in.
        case_id: That test.
    """

    url: str
    body: Mapping[str, Json]
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    suite: str = ""
    case_id: str = ""

    @property
    def place(self) -> str:
        """Host, port where there is one, and path, and what of the query is no secret."""
        parts = urlsplit(self.url)
        query = [
            (name, value)
            for name, value in parse_qsl(parts.query)
            if name.lower() not in _SECRET_PARAMETERS
        ]
        tail = f"?{urlencode(sorted(query))}" if query else ""
        return f"{self.netloc}{parts.path}{tail}"

    @property
    def netloc(self) -> str:
        """The host, and its port where the URL names one."""
        return netloc_of(self.url)

    @property
    def host(self) -> str:
        """The host alone."""
        return (urlsplit(self.url).hostname or "").lower()

    @property
    def model(self) -> str:
        """The model that is asked; on some hosts the path names it."""
        named = self.body.get("model")
        if isinstance(named, str) and named:
            return named
        return urlsplit(self.url).path.partition("/deployments/")[2].partition("/")[0]

    @property
    def max_input_tokens(self) -> int:
        """An upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
        return len(_encode(self.body))

    @property
    def max_output_tokens(self) -> int:
        """What the call's own limit allows, for all choices that it asks for."""
        if urlsplit(self.url).path.rstrip("/").endswith("/embeddings"):
            return 0
        limits = [self.body.get(name) for name in _LIMITS]
        limit = next((one for one in limits if type(one) is int), MOST_UNLIMITED_TOKENS)
        choices = self.body.get("n")
        return max(limit, 0) * (choices if type(choices) is int and choices > 1 else 1)

    def key(self) -> Fingerprint:
        """What makes two calls the same question.

        Raises:
            ValueError: The body has no canonical form.

        Example:
            >>> one = WireCall(url="https://h.test/v1/messages?key=a", body={"model": "m"})
            >>> other = WireCall(url="https://h.test/v1/messages?key=b", body={"model": "m"})
            >>> one.key() == other.key()
            True
        """
        return digest(
            {
                "kind": "WireCall",
                "schema": SCHEMA,
                "method": self.method,
                "place": self.place,
                "headers": self.headers,
                "body": self.body,
            }
        )


def netloc_of(url: str) -> str:
    """The host of a URL, and its port where the URL names one; empty where it is no URL.

    Example:
        >>> netloc_of("http://LocalHost:8080/v1"), netloc_of("https://api.openai.com/v1")
        ('localhost:8080', 'api.openai.com')
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    return host if port is None else f"{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireAnswer:
    """What came back.

    Attributes:
        status: The status code.
        content_type: The header; it tells a stream from a document.
        body: The whole body, not compressed.
    """

    status: int
    content_type: str
    body: bytes


def answer_to_json(answer: WireAnswer) -> dict[str, Json]:
    """The answer in words that JSON has; text stays readable."""
    try:
        text, form = answer.body.decode("utf-8"), "text"
    except UnicodeDecodeError:
        text, form = base64.b64encode(answer.body).decode("ascii"), "base64"
    return {"status": answer.status, "content_type": answer.content_type, form: text}


def answer_from_json(found: object) -> WireAnswer | None:
    """The answer again, or ``None`` where that is not one."""
    if not isinstance(found, dict):
        return None
    document = cast("Mapping[str, object]", found)
    status, kind = document.get("status"), document.get("content_type")
    text, packed = document.get("text"), document.get("base64")
    if type(status) is not int or type(kind) is not str:
        return None
    if isinstance(text, str):
        return WireAnswer(status=status, content_type=kind, body=text.encode("utf-8", "replace"))
    try:
        body = base64.b64decode(packed, validate=True) if isinstance(packed, str) else None
    except (binascii.Error, ValueError):
        return None
    return None if body is None else WireAnswer(status=status, content_type=kind, body=body)


def answer_to_bytes(answer: WireAnswer) -> bytes:
    """The stored form."""
    return _encode({"wire": answer_to_json(answer)}).encode()


def answer_from_bytes(body: bytes) -> WireAnswer | None:
    """The answer again, or ``None`` where the bytes are not one.

    Example:
        >>> kept = WireAnswer(status=200, content_type="application/json", body=b"{}")
        >>> answer_from_bytes(answer_to_bytes(kept)) == kept, answer_from_bytes(b"[]")
        (True, None)
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer_from_json(found.get("wire")) if isinstance(found, dict) else None
