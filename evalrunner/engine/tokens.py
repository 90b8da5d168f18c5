"""How many tokens a request may be, told from its bytes alone: no tokenizer is loaded."""

from __future__ import annotations

from typing import Final

from evalrunner.values.exchange import ModelRequest, Request
from evalrunner.values.spec import DEFAULT_MAX_TOKENS

MESSAGE_OVERHEAD: Final = 8
"""Tokens that a chat format adds to each message, at the most."""

BYTES_PER_TOKEN: Final = 4
"""What English prose takes in the common vocabularies."""

MOST_RECOUNTED: Final = 4
"""Into so many tokens at the most one model splits what is one token to another: a vocabulary that falls
back to bytes has four for a character outside of it."""


def max_input_tokens(request: Request) -> int:
    """An upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
    if not isinstance(request, ModelRequest):
        return 0
    return content_bytes(request) + MESSAGE_OVERHEAD * len(request.messages)


def expected_input_tokens(request: Request) -> int:
    """What to expect of ordinary text."""
    if not isinstance(request, ModelRequest):
        return 0
    return -(-content_bytes(request) // BYTES_PER_TOKEN) + MESSAGE_OVERHEAD * len(request.messages)


def max_output_tokens(request: Request) -> int:
    """The request's own ``max_tokens``."""
    if not isinstance(request, ModelRequest):
        return 0
    limit = request.params.get("max_tokens", request.params.get("max_completion_tokens"))
    return limit if isinstance(limit, int) else DEFAULT_MAX_TOKENS


def content_bytes(request: ModelRequest) -> int:
    """The size of everything that the model reads, without what the chat format adds."""
    size = 0
    for part in (request.tools, request.response_format):
        if part is not None:
            size += _length(part)
    for message in request.messages:
        size += _length(message.content)
    return size


def _length(content: object) -> int:
    text = content if type(content) is str else str(content)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
