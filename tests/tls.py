"""A real server behind real TLS: certificates of our own, and what ends the encryption before it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = dt.datetime.now(dt.UTC)
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files and as values."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certfile: Path
    keyfile: Path


class Authority:
    """Who signs certificates; :attr:`file` is what those who trust it are given."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._own = self._issue(name, None, is_authority=True)
        self.file = self._own.certfile

    def issue(self, name: str) -> Identity:
        """A certificate for a server or client on this machine."""
        return self._issue(name, self._own, is_authority=False)

    def _issue(self, name: str, issuer: Identity | None, *, is_authority: bool) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - _DAY)
            .not_valid_after(_NOW + _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            .sign(issuer.key if issuer else key, hashes.SHA256())
        )
        certfile, keyfile = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certfile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        keyfile.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Identity(certificate, key, certfile, keyfile)


@contextmanager
def tls_before(port: int, identity: Identity, *, clients: Authority | None = None) -> Iterator[int]:
    """The port of a listener that hands on to *port* what came to it encrypted.

    Args:
        port: Who is handed it, on this machine.
        identity: Whom the listener says it is.
        clients: Who has to have signed the certificate that a client must show.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certfile, identity.keyfile)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.file)
    with ThreadPoolExecutor(1) as thread, asyncio.Runner() as runner:
        loop, ended = runner.get_loop(), asyncio.Event()
        listens: Future[int] = Future()
        served = thread.submit(runner.run, _serve(context, port, listens, ended))
        try:
            yield listens.result(timeout=10)
        finally:
            loop.call_soon_threadsafe(ended.set)
            served.result(timeout=10)


async def _serve(
    context: ssl.SSLContext, port: int, listens: Future[int], ended: asyncio.Event
) -> None:
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            behind, before = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_hand_on(reader, before), _hand_on(behind, writer))

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    listens.set_result(server.sockets[0].getsockname()[1])
    await ended.wait()
    server.close()
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


async def _hand_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()
