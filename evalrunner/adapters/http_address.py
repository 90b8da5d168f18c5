"""Where an HTTP request goes: the URL taken apart, the proxy on the way, the bytes that never vary."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from evalrunner.errors import ConfigError
from evalrunner.values.dataclass import dataclass

_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that this transport writes itself, or that would change how a message is framed."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(r"[\x21-\x7e]*")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One host and port, with or without TLS: what a connection can be kept for."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """The host as the ``Host`` header spells it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether this machine itself is meant."""
        return self.host in _LOOPBACK_NAMES or self.host.startswith("127.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy, and the header that opens it. The header stays out of every text."""

    host: str
    port: int
    authorization: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One method, URL and set of headers, ready to be sent any number of times.

    Attributes:
        origin: Who is asked.
        proxy: Who carries it, where the environment names somebody.
        head: The request line and all headers but the length of the body.
    """

    origin: Origin
    proxy: Proxy | None
    head: bytes

    def __repr__(self) -> str:
        return f"Address({self.origin.authority!r})"


def address_of(
    url: str, headers: Mapping[str, str], *, method: str, environ: Mapping[str, str]
) -> Address:
    """Takes a URL apart and writes the head of its request.

    Headers that frame the message (``Host``, ``Content-Length``, ``Accept-Encoding``, …) are always
    ours; such a header from the caller is left out.

    Raises:
        ConfigError: The URL is no absolute ``http`` or ``https`` URL, it carries a user name, or a
            header holds a line break.
    """
    parts = _split(url)
    origin = _origin(parts, url)
    proxy = proxy_for(origin, environ)
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    if not _TARGET.fullmatch(target):
        raise ConfigError(f"the URL {url!r} holds characters that must be percent-encoded")
    lines = [f"host: {origin.authority}", "accept-encoding: identity", *_header_lines(headers)]
    if proxy is not None and not origin.tls:
        target = f"http://{origin.authority}{target}"
        lines += [proxy.authorization.decode("ascii")] if proxy.authorization else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, ""])
    return Address(origin=origin, proxy=proxy, head=head.encode("latin-1"))


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` ask for.

    Loopback is never sent through a proxy.

    Raises:
        ConfigError: The proxy's URL is not ``http://``.
    """
    scheme = "https" if origin.tls else "http"
    url = _variable(environ, f"{scheme}_proxy") or _variable(environ, "all_proxy")
    if not url or origin.loopback or _bypassed(origin, _variable(environ, "no_proxy")):
        return None
    parts = _split(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(
            f"the proxy for {scheme} requests is not an http:// URL",
            hint=f"set {scheme.upper()}_PROXY to http://HOST:PORT, or unset it",
        )
    return Proxy(
        host=parts.hostname, port=_port(parts, 80, "of the proxy"), authorization=_opening(parts)
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{url!r} is not a URL: {error}") from error


def _origin(parts: SplitResult, url: str) -> Origin:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"{url!r} is not an absolute http or https URL", hint="write http://HOST:PORT/…"
        )
    if parts.username is not None:
        raise ConfigError(
            f"the URL of host {parts.hostname!r} carries a user name",
            hint="name the key in api_key_env, or write an Authorization header",
        )
    tls = parts.scheme == "https"
    return Origin(
        host=_ascii_host(parts.hostname), port=_port(parts, 443 if tls else 80, url), tls=tls
    )


def _port(parts: SplitResult, default: int, where: str) -> int:
    try:
        return parts.port or default
    except ValueError as error:
        raise ConfigError(f"the port {where} is not a number up to 65535") from error


def _ascii_host(host: str) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is not a host name") from error
    if not re.fullmatch(r"[0-9a-z._:%-]{1,253}", name):
        raise ConfigError(f"{host!r} is not a host name")
    return name


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    lines = []
    for name, value in headers.items():
        if name.lower() in _RESERVED:
            continue
        if not _TOKEN.fullmatch(name) or any(char in value for char in "\r\n\0"):
            raise ConfigError(f"the header {name!r} cannot be sent: it holds a line break")
        if not all(ord(char) < 256 for char in value):
            raise ConfigError(f"the header {name!r} cannot be sent: it is not Latin-1 text")
        lines.append(f"{name}: {value}")
    return lines


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _bypassed(origin: Origin, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` names the host, a domain above it, or its port."""
    for entry in no_proxy.lower().replace(",", " ").split():
        name, _, port = (
            entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
        )
        if port and int(port) != origin.port:
            continue
        domain = name.lstrip("*").lstrip(".")
        if name == "*" or origin.host == domain or (domain and origin.host.endswith(f".{domain}")):
            return True
    return False


def _opening(parts: SplitResult) -> bytes:
    if parts.username is None:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return b"proxy-authorization: Basic " + base64.b64encode(pair)
