"""The transport: kept connections, deadlines, TLS, proxies; over real sockets."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from evalrunner.adapters import http_wire
from evalrunner.adapters.http_address import Origin, address_of, proxy_for
from evalrunner.adapters.http_wire import Wire
from evalrunner.errors import CallTimeout, ConfigError, ProviderUnavailable

from .fault_server import GOOD, HEAD, FaultServer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(closing, "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head + await reader.readexactly(length)


async def post(wire: Wire, port: int, deadline: float = 5, scheme: str = "http") -> bytes:
    address = wire.address(f"{scheme}://127.0.0.1:{port}/x", {})
    return (await wire.send(address, b"{}", deadline)).body


async def settled() -> None:
    """Until the servers of a test have heard that their clients are gone."""
    this = asyncio.current_task()
    for _ in range(500):
        if not asyncio.all_tasks() - {this}:
            break
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.01)


def loops() -> list[str]:
    return ["asyncio", "uvloop"]


def run_on(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    async def awaited() -> None:
        await main()

    if loop == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(awaited())
    else:
        asyncio.run(awaited())


@pytest.mark.parametrize("loop", loops())
def test_a_connection_is_kept_and_a_fault_ends_it(server: FaultServer, loop: str) -> None:
    async def session() -> None:
        wire = Wire(environ={})
        before = server.connections
        good = wire.address(server.url("ok"), {})
        for _ in range(5):
            assert (await wire.send(good, b"{}", 5)).body == GOOD
        assert server.connections - before == 1
        with pytest.raises(CallTimeout):
            await wire.send(wire.address(server.url("hang"), {}), b"{}", 0.05)
        assert (await wire.send(good, b"{}", 5)).body == GOOD
        assert server.connections - before == 2, "a connection with an open request is dropped"
        await wire.aclose()
        assert (await wire.send(good, b"{}", 5)).body == GOOD, "closing only drops what is idle"
        await wire.aclose()

    run_on(loop, session)


@pytest.mark.parametrize("loop", loops())
def test_fifty_at_once_use_fifty_connections_again_and_again(
    server: FaultServer, loop: str
) -> None:
    async def session() -> None:
        wire = Wire(environ={})
        address = wire.address(server.url("ok"), {})
        before = server.connections
        for _ in range(4):
            replies = await asyncio.gather(*(wire.send(address, b"{}", 20) for _ in range(50)))
            assert {reply.body for reply in replies} == {GOOD}
        assert server.connections - before == 50
        await wire.aclose()

    run_on(loop, session)


def test_a_server_that_hangs_up_between_requests_costs_no_attempt() -> None:
    heard: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await read_request(reader))
        writer.write(HEAD + GOOD)
        await writer.drain()

    async def session() -> None:
        async with listening(once) as port:
            wire = Wire(environ={})
            for _ in range(5):
                assert await post(wire, port) == GOOD
                time.sleep(0.02)  # noqa: ASYNC251  # the loop stands still, so that it has not heard of the end yet
            await wire.aclose()

    asyncio.run(session())
    assert len(heard) == 5


def test_bytes_that_nobody_asked_for_spoil_a_connection() -> None:
    connections: list[int] = []

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while True:
            await read_request(reader)
            writer.write(HEAD + GOOD + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            await writer.drain()

    async def session() -> None:
        async with listening(chatty) as port:
            wire = Wire(environ={})
            for _ in range(3):
                assert await post(wire, port) == GOOD
            await wire.aclose()

    asyncio.run(session())
    assert len(connections) == 3


def test_an_old_connection_is_not_trusted(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_wire, "KEEP_ALIVE_SECONDS", -1.0)

    async def session() -> None:
        wire = Wire(environ={})
        before = server.connections
        for _ in range(2):
            await wire.send(wire.address(server.url("ok"), {}), b"{}", 5)
        assert server.connections - before == 2
        await wire.aclose()

    asyncio.run(session())


def test_a_cancelled_call_leaves_no_half_reply_behind(server: FaultServer) -> None:
    async def session() -> None:
        wire = Wire(environ={})
        task = asyncio.ensure_future(
            wire.send(wire.address(server.url("drip-body"), {}), b"{}", 30)
        )
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await wire.send(wire.address(server.url("ok"), {}), b"{}", 5)).body == GOOD
        await wire.aclose()

    asyncio.run(session())


def test_nobody_listens_or_nobody_is_known() -> None:
    async def session() -> None:
        async with listening(lambda reader, writer: asyncio.sleep(0)) as port:
            pass
        wire = Wire(environ={})
        with pytest.raises(ProviderUnavailable, match="cannot be reached") as caught:
            await post(wire, port)
        assert not caught.value.possibly_paid

    asyncio.run(session())


def test_a_handshake_that_never_comes_ends_with_the_deadline(server: FaultServer) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def session() -> None:
        async with listening(silent) as port:
            started = time.monotonic()
            with pytest.raises(CallTimeout) as caught:
                await post(Wire(environ={}), port, deadline=0.2, scheme="https")
            assert time.monotonic() - started < 0.7
            assert not caught.value.possibly_paid, "nothing was sent yet"
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    asyncio.run(session())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    both = folder / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(HEAD + GOOD)
        await writer.drain()


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("loop", loops())
def test_tls_is_verified_and_honours_the_users_certificates(
    certificate: Path, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def session() -> None:
        async with listening(polite, server_context(certificate)) as port:
            with pytest.raises(ProviderUnavailable, match="does not verify") as caught:
                await post(Wire(environ={}), port, scheme="https")
            assert "SSL_CERT_FILE" in str(caught.value.hint)
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            wire = Wire(environ={})
            assert [await post(wire, port, scheme="https") for _ in range(2)] == [GOOD, GOOD]
            await wire.aclose()
            monkeypatch.delenv("SSL_CERT_FILE")

    run_on(loop, session)


@pytest.mark.parametrize("loop", loops())
def test_https_goes_through_a_tunnel_that_sees_no_request(
    certificate: Path, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    passed = bytearray()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            passed.extend(data)
            writer.write(data)
        writer.transport.abort()

    async def session() -> None:
        async with listening(polite, server_context(certificate)) as origin_port:

            async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                opened.append(await reader.readuntil(b"\r\n\r\n"))
                there = await asyncio.open_connection("127.0.0.1", origin_port)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(
                    pump(reader, there[1]), pump(there[0], writer), return_exceptions=True
                )

            async with listening(proxy) as port:
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
                wire = Wire(environ={"HTTPS_PROXY": f"http://user:p%20w@127.0.0.1:{port}"})
                # Loopback itself is never sent through a proxy, so the address is made by hand.
                elsewhere = wire.address("https://example.test/secret-path", {"x-key": "k3y"})
                origin = Origin(host="127.0.0.1", port=origin_port, tls=True)
                address = type(elsewhere)(origin=origin, proxy=elsewhere.proxy, head=elsewhere.head)
                for _ in range(2):
                    assert (await wire.send(address, b"{}", 5)).body == GOOD
                await wire.aclose()
                await settled()

    run_on(loop, session)
    assert len(opened) == 1, "the tunnel is kept"
    assert opened[0].startswith(b"CONNECT 127.0.0.1:")
    assert b"proxy-authorization: Basic dXNlcjpwIHc=\r\n" in opened[0]
    assert b"k3y" not in opened[0] + bytes(passed)
    assert b"secret-path" not in opened[0] + bytes(passed)


def test_a_proxy_that_refuses_is_an_error_without_its_password() -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Authenticate\r\n\r\n")
        await writer.drain()

    async def session() -> None:
        async with listening(refusing) as port:
            wire = Wire(environ={"https_proxy": f"http://user:hunter22@127.0.0.1:{port}"})
            address = wire.address("https://example.test/", {})
            with pytest.raises(ProviderUnavailable, match="407") as caught:
                await wire.send(address, b"{}", 5)
            assert "hunter22" not in repr(caught.value)
            assert not caught.value.possibly_paid
            await settled()

    asyncio.run(session())


def test_plain_http_is_sent_to_the_proxy_whole() -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await read_request(reader))
        writer.write(HEAD + GOOD)
        await writer.drain()

    async def session() -> None:
        async with listening(proxy) as port:
            wire = Wire(environ={"http_proxy": f"127.0.0.1:{port}"})
            address = wire.address("http://model.test:8000/v1?a=b", {})
            assert (await wire.send(address, b"{}", 5)).body == GOOD
            await wire.aclose()

    asyncio.run(session())
    assert heard[0].startswith(b"POST http://model.test:8000/v1?a=b HTTP/1.1\r\n")
    assert b"host: model.test:8000\r\n" in heard[0]


@pytest.mark.parametrize(
    ("host", "no_proxy", "proxied"),
    [
        ("api.example.test", "", True),
        ("api.example.test", "*", False),
        ("api.example.test", "example.test", False),
        ("api.example.test", ".example.test", False),
        ("api.example.test", "*.example.test", False),
        ("api.example.test", "other.test, api.example.test:443", False),
        ("api.example.test", "api.example.test:8443", True),
        ("api.example.test", "ample.test", True),
        ("badexample.test", "example.test", True),
        ("localhost", "", False),
        ("127.0.0.1", "", False),
        ("::1", "", False),
    ],
)
def test_no_proxy_names_hosts_and_domains(host: str, no_proxy: str, proxied: bool) -> None:
    environ = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": no_proxy}
    found = proxy_for(Origin(host=host, port=443, tls=True), environ)
    assert (found is not None) is proxied


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.test/x",
        "ftp://example.test/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://user:pw@example.test/",
        "http://example.test:99999/",
        "http://example.test:port/",
        "http://exa mple.test/",
        "http://example.test/a b",
        "http://example.test/\u00e9",
        "http://[::1/",
        "http://" + "a" * 300 + "/",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address_of(url, {}, method="POST", environ={})
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    "header", [("a", "b\r\nc: d"), ("a\r\nb", "c"), ("", "x"), ("a", "\u20ac")]
)
def test_a_header_cannot_start_another(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="cannot be sent") as caught:
        address_of("http://x/", dict([header]), method="POST", environ={})
    assert "c: d" not in caught.value.message


def test_headers_that_frame_the_message_are_ours() -> None:
    given = {"Content-Length": "1", "Transfer-Encoding": "chunked", "Host": "evil", "X-A": "1"}
    head = address_of("http://[::1]:80/a?b", given, method="POST", environ={}).head
    assert head == b"POST /a?b HTTP/1.1\r\nhost: [::1]\r\naccept-encoding: identity\r\nX-A: 1\r\n"
