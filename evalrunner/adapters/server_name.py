"""The name of a store on a server, read with a socket and nothing else: an unchanged run has no more time."""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FIELD = b"evalrunner-identity"
"""Where the name lies in the hash; the fields of entries have 32 bytes."""

_SECONDS = 0.5


def quick_name(url: str, hash_name: str, environ: Mapping[str, str]) -> str | None:
    """The name, ``""`` where it has none or nobody answers, ``None`` where more than this is needed.

    That is for TLS, for hosts that a resolver has to find, and for whatever has to be decoded.
    """
    scheme, _, rest = url.partition("://")
    authority, _, database = rest.partition("/")
    login, _, place = authority.rpartition("@")
    host, _, port = place.partition(":")
    is_number = host == "localhost" or host.replace(".", "").isdigit()
    if scheme != "redis" or not is_number or any(sign in url for sign in "%?#[") or len(url) > 500:
        return None
    if not (port or "6379").isdigit() or not (database or "0").isdigit():
        return None
    user, _, password = login.partition(":")
    password = password or environ.get("EVALRUNNER_CACHE_PASSWORD", "")
    commands = [["AUTH", *filter(None, [user]), password]] if password else []
    commands += [["SELECT", database]] if database.strip("0") else []
    commands += [["HMGET", hash_name, FIELD.decode()]]
    try:
        with socket.create_connection((host, int(port or 6379)), timeout=_SECONDS) as connection:
            connection.sendall("".join(map(_packed, commands)).encode())
            return _last_text(connection, len(commands))
    except (OSError, ValueError):
        return ""


def _packed(words: list[str]) -> str:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}"


def _last_text(connection: socket.socket, replies: int) -> str:
    """The text in the last reply, a list of one; those before it say ``+OK``, or that we are unknown."""
    data = b""
    while len(data) < 4096:
        more = connection.recv(4096)
        data += more
        lines = data.split(b"\r\n")
        if not more or any(line[:1] == b"-" for line in lines) or b"$-1" in lines:
            return ""
        if len(lines) > replies + 2:
            head, text = lines[replies : replies + 2]
            return text.decode("ascii", "replace") if head == b"$32" else ""
    return ""
