"""What providers' answers say of themselves, in every form that applications ask for: end and usage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from evalrunner.adapters.chat_format import usage_of
from evalrunner.values.exchange import Usage

_STREAM: Final = "text/event-stream"
_LAST_EVENTS: Final = frozenset({"message_stop", "response.completed", "response.incomplete"})
_FAILED_EVENTS: Final = frozenset({"error", "response.failed"})


def is_whole(content_type: str, body: bytes) -> bool:
    """Whether a body is an answer to its end, and no error in the guise of one.

    A stream has to say that it is over: a connection that broke looks like one that ended.

    Example:
        >>> is_whole("text/event-stream", b'data: {"choices": []}'), is_whole("", b'{"id": "1"}')
        (False, True)
    """
    if not content_type.startswith(_STREAM):
        document = _object(body)
        return bool(document) and not document.get("error")
    ended = False
    for event in _events(body):
        if event is None:
            ended = True
        elif event.get("error") or event.get("type") in _FAILED_EVENTS:
            return False
        elif event.get("type") in _LAST_EVENTS:
            ended = True
    return ended


def usage_in(content_type: str, body: bytes) -> Usage:
    """The tokens that an answer counts; of a stream, what its last counts say."""
    counted: dict[str, object] = {}
    for document in _documents(content_type, body):
        for holder in (document, document.get("message"), document.get("response")):
            found = holder.get("usage") if isinstance(holder, dict) else None
            if isinstance(found, dict):
                counted |= {name: value for name, value in found.items() if value is not None}
    return usage_of(_as_chat(counted)) if counted else Usage()


def served_model(content_type: str, body: bytes) -> str | None:
    """The model that says it has answered."""
    for document in _documents(content_type, body):
        for holder in (document, document.get("message"), document.get("response")):
            name = holder.get("model") if isinstance(holder, dict) else None
            if isinstance(name, str) and name:
                return name
    return None


def _as_chat(counted: Mapping[str, object]) -> dict[str, object]:
    """The counts in the words of chat completions; other forms have their own.

    Where a prompt cache is counted beside ``input_tokens`` and not within them, they are added up.
    """
    if "input_tokens" not in counted:
        return {"completion_tokens": 0, **counted}  # an embedding has no output
    read, written = (
        counted.get("cache_read_input_tokens"),
        counted.get("cache_creation_input_tokens"),
    )
    details = counted.get("input_tokens_details")
    known = dict(details) if isinstance(details, dict) else {}
    beside = [count for count in (read, written) if type(count) is int]
    sent = counted["input_tokens"]
    return {
        "prompt_tokens": sent + sum(beside) if type(sent) is int else sent,
        "completion_tokens": counted.get("output_tokens"),
        "prompt_tokens_details": {
            "cached_tokens": read,
            "cache_creation_tokens": written,
            **known,
        },
        "completion_tokens_details": counted.get("output_tokens_details"),
    }


def _documents(content_type: str, body: bytes) -> Iterator[Mapping[str, object]]:
    if content_type.startswith(_STREAM):
        yield from (event for event in _events(body) if event is not None)
    else:
        yield _object(body)


def _events(body: bytes) -> Iterator[Mapping[str, object] | None]:
    """The objects of a stream; ``None`` for its ``[DONE]``."""
    for line in body.splitlines():
        if line.startswith(b"data:"):
            data = line[5:].strip()
            yield None if data == b"[DONE]" else _object(data)


def _object(text: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
