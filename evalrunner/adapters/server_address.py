"""Where a Redis or Valkey server is, and as whom it is asked: one URL, taken apart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from evalrunner.errors import ConfigError
from evalrunner.values.dataclass import dataclass

SCHEMES: Final = ("redis", "rediss")
PASSWORD_VARIABLE: Final = "EVALRUNNER_CACHE_PASSWORD"
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_HINT: Final = "write redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """A server and whom it knows us as.

    Attributes:
        host: A name or an address.
        port: Its port; 6379 where the URL names none.
        tls: Whether the connection is encrypted and the server's certificate checked.
        database: The number of the database.
        user: The ACL user; ``None`` for the default user.
        password: Its password; in no text that this value is shown as.
        ca_certs: A file of certificates that are trusted instead of the system's.
        certfile: Our own certificate, for a server that asks for one.
        keyfile: Its key.
    """

    host: str
    port: int = 6379
    tls: bool = False
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        """The URL without its password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        database = f"/{self.database}" if self.database else ""
        return f"{'rediss' if self.tls else 'redis'}://{user}{host}:{self.port}{database}"


def server_address(url: str, environ: Mapping[str, str] = os.environ) -> ServerAddress:
    """The address that a URL means; a password that it leaves out is ``EVALRUNNER_CACHE_PASSWORD``.

    Raises:
        ConfigError: It is no such URL. Its password is not in the message.

    Example:
        >>> str(server_address("redis://ci:secret@cache.internal/2"))
        'redis://ci@cache.internal:6379/2'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        database = int(parts.path.strip("/") or "0")
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ConfigError("the cache's URL cannot be read", hint=_HINT) from None
    if parts.scheme not in SCHEMES or not parts.hostname or database < 0 or parts.fragment:
        raise ConfigError("the cache's URL names no server", hint=_HINT)
    if unknown := sorted(set(options) - set(_TLS_FILES)):
        raise ConfigError(
            f"the cache's URL has an unknown option {unknown[0]!r}",
            hint=f"known are {', '.join(_TLS_FILES)}",
        )
    tls = parts.scheme == "rediss"
    if options and not tls:
        raise ConfigError("certificates need rediss://", hint="write rediss:// in the cache's URL")
    written = unquote(parts.password) if parts.password else None
    return ServerAddress(
        host=parts.hostname,
        port=port or 6379,
        tls=tls,
        database=database,
        user=unquote(parts.username) if parts.username else None,
        password=written or environ.get(PASSWORD_VARIABLE) or None,
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
    )
