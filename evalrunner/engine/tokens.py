"""How many tokens a request may be, told from its bytes alone: no tokenizer is loaded."""

from __future__ import annotations

from evalrunner.values.exchange import ModelRequest, Request
from evalrunner.values.spec import DEFAULT_MAX_TOKENS

MESSAGE_OVERHEAD = 8
"""Tokens that a chat format adds to each message, at the most."""

BYTES_PER_TOKEN = 4
"""What English prose takes in the common vocabularies."""


def max_input_tokens(request: Request) -> int:
    """An upper bound: no byte-level tokenizer makes more tokens than there are bytes."""
    if not isinstance(request, ModelRequest):
        return 0
    return _bytes(request) + MESSAGE_OVERHEAD * len(request.messages)


def expected_input_tokens(request: Request) -> int:
    """What to expect of ordinary text."""
    if not isinstance(request, ModelRequest):
        return 0
    return -(-_bytes(request) // BYTES_PER_TOKEN) + MESSAGE_OVERHEAD * len(request.messages)


def max_output_tokens(request: Request) -> int:
    """The request's own ``max_tokens``."""
    if not isinstance(request, ModelRequest):
        return 0
    limit = request.params.get("max_tokens", request.params.get("max_completion_tokens"))
    return limit if isinstance(limit, int) else DEFAULT_MAX_TOKENS


def _bytes(request: ModelRequest) -> int:
    size = _length(request.tools) + _length(request.response_format)
    for message in request.messages:
        size += _length(message.content)
    return size


def _length(content: object) -> int:
    if content is None:
        return 0
    text = content if type(content) is str else str(content)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
