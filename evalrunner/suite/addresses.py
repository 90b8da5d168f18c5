"""Which addresses a user may name: encrypted ones, and private ones without encryption."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

_NUMERIC: Final = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")
_HOST_NAME: Final = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?"
)
_PRIVATE_NAMES: Final = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def normal_url(url: str) -> str:
    """The one spelling of a base URL: lower-case host, no default port, no slash at the end.

    ``https`` may lead anywhere; ``http`` only to loopback and private addresses, and to names that
    no public resolver knows: ``localhost``, ``*.local``, ``*.internal`` and names without a dot.

    Raises:
        ValueError: It is not such a URL, holds credentials, a query or a fragment, or names a
            link-local address, where clouds keep their machines' keys.

    Example:
        >>> normal_url("HTTP://LocalHost:80/v1/")
        'http://localhost/v1'
    """
    parts = _split(url)
    host = _host(parts)
    if parts.scheme == "http" and not _is_private(host):
        raise ValueError("http:// may only lead to a private address; use https://")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port of this URL is not a number up to 65535") from None
    shown = f"[{host}]" if ":" in host else host
    tail = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{shown}{tail}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    """Whether a normal URL leads to the machine itself."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _split(url: str) -> SplitResult:
    if any(ord(character) <= 32 or ord(character) == 127 for character in url) or "\\" in url:
        raise ValueError("a URL has no blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("a URL must begin with https:// (or http:// for a private address)")
    if "@" in parts.netloc:
        raise ValueError("a URL may not hold credentials; name a variable with api_key_env")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("a base URL has no query and no fragment")
    return parts


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    address = _address(host)
    if address is not None:
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise ValueError(f"the address {host} is not a model's")
        return str(address)
    if not _HOST_NAME.fullmatch(host) or _NUMERIC.fullmatch(host.rpartition(".")[2]):
        raise ValueError("the host of this URL is neither a name nor an address")
    if host.startswith("metadata.") or host == "metadata":
        raise ValueError(f"the address {host} is not a model's")
    return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, IPv4Address) else address


def _is_private(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_private or address.is_loopback
    return "." not in host or host.endswith(_PRIVATE_NAMES)
