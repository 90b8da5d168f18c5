"""The name of a store on a server, read with as little as that takes."""

from __future__ import annotations

import time

from evalrunner.adapters.envelope import EPOCH
from evalrunner.adapters.resp_wire import (
    SILENCE_SECONDS,
    RespConnection,
    ServerError,
    ServerGoneError,
)
from evalrunner.adapters.server_address import server_address
from evalrunner.adapters.server_name import FIELD
from evalrunner.errors import ConfigError


def hash_key(namespace: str) -> str:
    """The name of the hash that holds a namespace's entries; rights are given by it.

    Example:
        >>> hash_key("my-repo")
        'evalrunner:1.1:my-repo'
    """
    return f"evalrunner:{EPOCH}:{namespace}"


def lease_key(namespace: str, key: str) -> bytes:
    """The name of the lease on a request, in a namespace of its own beside the hash."""
    return f"{hash_key(namespace)}:lease:{key}".encode("utf-8", "surrogatepass")


def identity_of_server(url: str, hash_name: str) -> str:
    """The name that the store was given with its first entry; ``""`` where it has none or nobody answers.

    It is gone with the entries: when the store is cleared, pruned or evicted, and on another server.
    """
    deadline = time.monotonic() + SILENCE_SECONDS
    command = [b"HMGET", hash_name.encode("utf-8", "surrogatepass"), FIELD]
    try:
        connection = RespConnection(server_address(url), deadline=deadline)
    except (ConfigError, ServerGoneError, ServerError):
        return ""
    try:
        reply = connection.pipeline([command], deadline=deadline)[0]
    except ServerGoneError:
        return ""
    finally:
        connection.close()
    name = reply[0] if isinstance(reply, list) and reply else None
    return name.decode("ascii", "replace") if isinstance(name, bytes) else ""
