"""Which answers may not leave the machine that got them."""

from __future__ import annotations

import json
from functools import lru_cache
from urllib.parse import urlsplit

from evalrunner.values.exchange import ModelRequest, Request

_THIS_MACHINE = ("localhost", "::1", "0.0.0.0", "::")  # noqa: S104  # compared, never bound


def stays_here(request: Request) -> bool:
    """Whether the model is known by an address on this machine and by nothing else.

    On the next machine another model may listen there, and the key would be the same. A ``revision``
    says which model it is, wherever it listens.
    """
    return isinstance(request, ModelRequest) and is_only_here(request.model)


@lru_cache(maxsize=256)
def is_only_here(identity: str) -> bool:
    """The same of an endpoint's identity.

    Example:
        >>> is_only_here('{"base_url":"http://localhost:8080/v1","model":"m","provider":"openai"}')
        True
        >>> is_only_here('{"model":"m","provider":"openai","revision":"q4"}')
        False
    """
    try:
        known = json.loads(identity)
        host = urlsplit(known.get("base_url") or "").hostname or ""
    except (ValueError, AttributeError):
        return False
    return host in _THIS_MACHINE or host.startswith("127.") or host.endswith(".localhost")
