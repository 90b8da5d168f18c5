"""The OpenAI chat-completions wire format: a request as a body, and a body as an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_faults import classify, rate_hints
from evalrunner.adapters.http_wire import WireResponse
from evalrunner.engine.ports import WireReply
from evalrunner.errors import ContentFiltered, MalformedReply, ModelCallError
from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.exchange import Json, ModelRequest, ModelResponse, ModelText, Usage

_LARGEST_COUNT: Final = 10**9
_NEVER_SENT: Final = frozenset({"stream", "stream_options", "model", "messages"})
_DECODER: Final = json.JSONDecoder(parse_constant=lambda name: None)
_BOM: Final = "\ufeff"
_FILTER_REASONS: Final = frozenset({"content_filter", "content-filter", "contentfilter"})


class ErrorInReply(Exception):
    """The body is an error object, whatever its status said. It never leaves the adapters."""


def chat_body(
    request: ModelRequest, *, model: str, rename: Mapping[str, str] | None = None
) -> bytes:
    """The body that asks ``model`` what the request says; never a stream.

    Args:
        request: The question. Lone surrogates in it travel as JSON escapes.
        model: The model's name as the server knows it.
        rename: Parameters that this server knows under another name.
    """
    document: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": message.role, "content": message.content} for message in request.messages
        ],
    }
    for name, value in request.params.items():
        if name not in _NEVER_SENT:
            document[rename.get(name, name) if rename else name] = value
    if request.tools:
        document["tools"] = request.tools
    if request.response_format is not None:
        document["response_format"] = request.response_format
    return _encode(document).encode("ascii")


def chat_headers(key: str | None) -> Mapping[str, str]:
    """The headers of a chat request; the key only where there is one."""
    headers = {
        "user-agent": "evalrunner",
        "accept": "application/json",
        "content-type": "application/json",
    }
    return headers if key is None else {**headers, "authorization": f"Bearer {key}"}


def read_reply(reply: WireResponse, *, keys: KeyRing) -> WireReply:
    """The answer in a reply of the OpenAI wire format.

    Raises:
        ModelCallError: The reply is an error, or cannot be read.
    """
    now = time.time()
    if not 200 <= reply.status < 300:
        raise classify(reply.status, reply.headers, reply.body, now=now, redact=keys.redact)
    try:
        response = chat_response(reply.body, reply.seconds)
    except ErrorInReply:
        failure = classify(reply.status, reply.headers, reply.body, now=now, redact=keys.redact)
        raise failure from None
    except ModelCallError as error:
        error.status = reply.status
        raise
    return WireReply(
        response=without_keys(response, keys), hints=rate_hints(reply.headers, now=now)
    )


def without_keys(response: ModelResponse, keys: KeyRing) -> ModelResponse:
    """The answer without the key, should the endpoint say back what it was sent.

    What is said here is stored, and shown to judges, who are others' models.
    """
    if not keys.handed_out:
        return response
    text, refusal = response.text.raw, response.refusal
    said = (text, refusal.raw if refusal else "", response.finish_reason, response.served_model)
    whole = json.dumps([*said, response.tool_calls])
    withheld = keys.withhold(whole)
    if withheld == whole:
        return response
    clean = json.loads(withheld)
    return replace(
        response,
        text=ModelText(clean[0]),
        refusal=ModelText(clean[1]) if refusal else None,
        finish_reason=clean[2],
        served_model=clean[3],
        tool_calls=clean[4],
    )


def chat_response(body: bytes, seconds: float) -> ModelResponse:
    """The answer in a reply's body.

    Raises:
        MalformedReply: It is not JSON of the expected form, or holds no answer.
        ContentFiltered: The provider's filter withheld the answer.
        ErrorInReply: It is an error object.
    """
    return response_of(parsed(body), seconds)


def parsed(body: bytes) -> dict[str, object]:
    """The object in a reply's body; ``NaN`` and the infinities read as ``null``.

    Raises:
        MalformedReply: It is not a JSON object in UTF-8.
    """
    try:
        document = _DECODER.decode(body.decode().removeprefix(_BOM))
    except UnicodeDecodeError as error:
        raise _malformed("is not UTF-8") from error
    except RecursionError as error:
        raise _malformed("is nested too deeply") from error
    except ValueError as error:
        start = body[:64].lstrip()[:1]
        what = "is empty" if not start else "is an HTML page" if start == b"<" else "is not JSON"
        raise _malformed(what) from error
    if not isinstance(document, dict):
        raise _malformed("is not a JSON object")
    return document


def response_of(document: Mapping[str, object], seconds: float) -> ModelResponse:
    """The answer in a reply's object; raises as :func:`chat_response` does."""
    choices = document.get("choices")
    if not choices and document.get("error"):
        raise ErrorInReply
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed("holds no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _malformed("holds no message")
    finish = _lower(choice.get("finish_reason"))
    if finish in _FILTER_REASONS:
        raise ContentFiltered("the provider's filter withheld the answer", possibly_paid=True)
    served = document.get("model")
    refusal = message.get("refusal")
    calls = _tool_calls(message)
    text = _text(message.get("content"))
    if text is None:
        if not (refusal or calls or finish in {"length", "max_tokens"}):
            raise _malformed("holds no content")
        text = ""
    return ModelResponse(
        text=ModelText(text),
        finish_reason=finish,
        refusal=ModelText(refusal) if isinstance(refusal, str) and refusal else None,
        tool_calls=calls,
        usage=usage_of(document.get("usage")),
        served_model=served if isinstance(served, str) and served else None,
        latency_seconds=seconds,
    )


def usage_of(reported: object) -> Usage:
    """The tokens that a reply counts. A count that is no whole number from 0 to 10⁹ is not known.

    Example:
        >>> usage_of({"prompt_tokens": -5, "completion_tokens": 7}).known
        False
    """
    if not isinstance(reported, dict):
        return Usage()
    given = _object(reported.get("prompt_tokens_details"))
    made = _object(reported.get("completion_tokens_details"))
    sent = _count(reported.get("prompt_tokens"))
    received = _count(reported.get("completion_tokens"))
    return Usage(
        input_tokens=sent,
        output_tokens=received,
        cached_input_tokens=_part(given.get("cached_tokens"), sent),
        cache_write_tokens=_part(given.get("cache_creation_tokens"), sent),
        reasoning_tokens=_part(made.get("reasoning_tokens"), received),
    )


def _count(value: object) -> int | None:
    plausible = type(value) is int and 0 <= value <= _LARGEST_COUNT
    return value if plausible and isinstance(value, int) else None


def _part(value: object, whole: int | None) -> int:
    """A count that lies within another; 0 where it cannot."""
    count = _count(value)
    return count if count is not None and whole is not None and count <= whole else 0


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(content: object) -> str | None:
    """The text of a message, also where it comes in parts; ``None`` where there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        found = [text for text in texts if isinstance(text, str)]
        return "".join(found) if found else None
    if content is None:
        return None
    raise _malformed("holds content that is not text")


def _tool_calls(message: Mapping[str, object]) -> Json:
    """The calls as spelled; the old single ``function_call`` counts as a list of one."""
    calls = message.get("tool_calls")
    if not calls and isinstance(message.get("function_call"), dict):
        calls = [{"type": "function", "function": message["function_call"]}]
    if not calls:
        return None
    if not isinstance(calls, list):
        raise _malformed("holds tool calls that are not a list")
    try:
        json.dumps(calls, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise _malformed("holds tool calls with numbers out of range") from error
    return cast("Json", calls)


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and value else None


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode: Final = compact_encoder(default=_plain)


def _malformed(what: str) -> MalformedReply:
    return MalformedReply(f"the reply {what}", possibly_paid=True)
