"""Asks an application over HTTP: placeholders go into its body, a path leads to its answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

from evalrunner.adapters.chat_format import without_keys
from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_address import Address
from evalrunner.adapters.http_faults import classify
from evalrunner.adapters.http_wire import Wire
from evalrunner.adapters.target_answer import prompt_as_json, response_from, text_of
from evalrunner.errors import ConfigError, CredentialsRejected, TargetFailed
from evalrunner.values.answer import Answer
from evalrunner.values.exchange import Json, ModelResponse, TargetRequest

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}\}")
_STEP: Final = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\.?\[?(\d+)\]?")
_FIELDS: Final = frozenset(
    {"url", "method", "headers", "body", "output", "usage", "usd", "calls", "api_key_env"}
)
_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "GET"})


class HttpTarget:
    """A :class:`~evalrunner.engine.ports.TargetClient` for a URL.

    Args:
        spec: ``url``; ``method`` (POST); ``headers``; ``body``, JSON whose texts may hold
            ``{{prompt}}`` and ``{{variable}}`` (a text that is nothing else becomes the value itself);
            ``output``, ``usage``, ``usd`` and ``calls``, paths such as ``choices[0].message.content``; and
            ``api_key_env``, the variable whose value is sent as a bearer token.
        label: How reports call the target.
        environ: Where the token and proxies are looked up.
        keys: What is taken out of error texts.
        wire: The transport.
    """

    def __init__(
        self,
        spec: Mapping[str, Json],
        *,
        label: str,
        environ: Mapping[str, str],
        keys: KeyRing,
        wire: Wire | None = None,
    ) -> None:
        self._spec = spec
        self._label = label
        self._environ = environ
        self._keys = keys
        self._wire = wire or Wire(environ=environ)
        self._address: Address | None = None

    async def answer(self, request: TargetRequest, deadline_seconds: float) -> ModelResponse:
        """Asks once; see :class:`~evalrunner.engine.ports.TargetClient`."""
        if self._address is None:
            self._address = self._prepared()
        body = b"" if self._method() == "GET" else self._body(request)
        reply = await self._wire.send(self._address, body, deadline_seconds)
        if not 200 <= reply.status < 300:
            now = time.time()
            raise classify(
                reply.status, reply.headers, reply.body, now=now, redact=self._keys.redact
            )
        answer = self._answer(reply.body)
        response = response_from(answer, label=self._label, seconds=reply.seconds)
        return without_keys(response, self._keys)

    async def aclose(self) -> None:
        """Closes the connections. Never raises."""
        await self._wire.aclose()

    def _prepared(self) -> Address:
        unknown = set(self._spec) - _FIELDS
        if unknown or self._method() not in _METHODS:
            wrong = min(unknown) if unknown else f"method: {self._method()}"
            raise TargetFailed(
                f"target {self._label!r} has an http setting that is not known: {wrong!r}",
                hint=f"known are {', '.join(sorted(_FIELDS))}",
            )
        given = self._spec.get("headers") or {}
        headers = {"content-type": "application/json", "user-agent": "evalrunner"}
        if isinstance(given, Mapping):
            headers |= {name.lower(): str(value) for name, value in given.items()}
        try:
            headers |= self._authorization()
            return self._wire.address(str(self._spec.get("url")), headers, method=self._method())
        except ConfigError as error:
            raise TargetFailed(self._keys.redact(error.message), hint=error.hint) from error

    def _method(self) -> str:
        return str(self._spec.get("method") or "POST").upper()

    def _authorization(self) -> dict[str, str]:
        name = self._spec.get("api_key_env")
        if name is None:
            return {}
        key = self._environ.get(str(name), "").strip()
        if not key:
            raise CredentialsRejected(
                f"the variable {name!r} with the key of target {self._label!r} is not set",
                hint=f"export {name}=…",
            )
        self._keys.release(key)
        return {"authorization": f"Bearer {key}"}

    def _body(self, request: TargetRequest) -> bytes:
        prompt = prompt_as_json(request.prompt)
        values = {**request.vars, "prompt": prompt}
        body = self._spec.get("body")
        default: Json = {"prompt": prompt, "vars": dict(request.vars)}
        document = default if body is None else filled(body, values)
        return json.dumps(document, default=dict).encode("ascii")

    def _answer(self, body: bytes) -> Answer:
        try:
            document = json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            if self._spec.get("output") is None:
                return Answer(body.decode("utf-8", "replace"))
            raise TargetFailed(
                f"target {self._label!r} did not answer with JSON", possibly_paid=True
            ) from error
        output = self._at("output", document)
        if output is None:
            where = self._spec.get("output")
            raise TargetFailed(
                f"the answer of target {self._label!r} has nothing at {where!r}", possibly_paid=True
            )
        usage = self._at("usage", document) if "usage" in self._spec else None
        usd = self._at("usd", document) if "usd" in self._spec else None
        calls = self._at("calls", document) if "calls" in self._spec else None
        return Answer(text_of(output), usage, usd, calls)  # type: ignore[arg-type]  # checked by response_from

    def _at(self, name: str, document: object) -> object:
        path = self._spec.get(name)
        return document if path is None else found_at(document, str(path))


def filled(body: Json, values: Mapping[str, Json]) -> Json:
    """A body with its placeholders replaced, in one pass: what is put in is never read again.

    Raises:
        TargetFailed: A placeholder names no variable.

    Example:
        >>> filled({"q": "Say {{x}}", "n": "{{n}}"}, {"x": "{{n}}", "n": 3})
        {'q': 'Say {{n}}', 'n': 3}
    """
    if isinstance(body, str):
        whole = _PLACEHOLDER.fullmatch(body)
        if whole:
            return _value(whole[1], values)
        return _PLACEHOLDER.sub(lambda match: text_of(_value(match[1], values)), body)
    if isinstance(body, Mapping):
        return {key: filled(item, values) for key, item in body.items()}
    if isinstance(body, Sequence):
        return [filled(item, values) for item in body]
    return body


def found_at(document: object, path: str) -> object:
    """The value at a path of names and indexes (``a.b[0].c``, ``$.a.0``); ``None`` if there is none.

    Example:
        >>> found_at({"a": [{"b": "x"}]}, "a[0].b")
        'x'
    """
    rest = path.strip().removeprefix("$")
    while rest:
        step = _STEP.match(rest)
        if not step:
            return None
        rest = rest[step.end() :]
        if step[1] is not None and isinstance(document, dict):
            document = document.get(step[1])
        elif step[2] is not None and isinstance(document, list) and int(step[2]) < len(document):
            document = document[int(step[2])]
        else:
            return None
    return document


def _value(name: str, values: Mapping[str, Json]) -> Json:
    if name in values:
        return values[name]
    raise TargetFailed(
        f"the body of an http target names {name!r}, which is no variable of this row",
        hint="variables are the row's keys, and prompt",
    )
