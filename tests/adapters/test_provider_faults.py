"""Every fault of a provider has one expected outcome, through both clients, over a real socket."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from evalrunner import errors
from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.models_direct import DirectClient
from evalrunner.adapters.models_litellm import LitellmClient, load_litellm
from evalrunner.engine.ports import ModelClient, WireReply
from evalrunner.values.exchange import Message, ModelRequest
from evalrunner.values.spec import Endpoint

from .fault_server import FAULTS, FaultServer

CANARY = "sk-canary-0123456789"
DEADLINE = 2.0
PAID = True

EXPECTED: dict[str, tuple[type[errors.ModelCallError], bool]] = {
    **{f"429{form}": (errors.RateLimited, False) for form in ("", "-seconds", "-milliseconds")},
    **{f"429-{form}": (errors.RateLimited, False) for form in ("span", "date", "negative", "nan")},
    **{f"429-{form}": (errors.RateLimited, False) for form in ("inf", "abc", "day", "html")},
    "429-quota": (errors.QuotaExhausted, False),
    "402": (errors.QuotaExhausted, False),
    **dict.fromkeys(("400", "400-context", "404", "413", "422"), (errors.RequestRejected, False)),
    "400-filter": (errors.ContentFiltered, False),
    "401": (errors.CredentialsRejected, False),
    "403": (errors.CredentialsRejected, False),
    **dict.fromkeys(("408", "409", "425", "500", "503"), (errors.ProviderUnavailable, False)),
    **dict.fromkeys(("502-html", "504", "524", "529"), (errors.ProviderUnavailable, False)),
    **dict.fromkeys(("302", "307", "308"), (errors.RedirectRefused, False)),
    "error-in-200": (errors.RateLimited, PAID),
    "error-in-200-busy": (errors.ProviderUnavailable, PAID),
    **{
        f"{body}-200": (errors.MalformedReply, PAID)
        for body in ("html", "empty", "null", "list", "number", "deep")
    },
    **dict.fromkeys(
        (
            "long-integer",
            "bad-utf8",
            "truncated-json",
            "empty-choices",
            "null-choices",
            "null-message",
            "null-content",
            "brotli",
            "gzip-damaged",
            "gzip-cut",
            "not-http",
            "bad-chunk",
            "two-lengths",
            "switch",
            "endless-hints",
        ),
        (errors.MalformedReply, PAID),
    ),
    "filtered": (errors.ContentFiltered, PAID),
    **dict.fromkeys(
        ("reset", "reset-head", "reset-body", "close", "close-body", "close-chunked"),
        (errors.ProviderUnavailable, PAID),
    ),
    "hang": (errors.CallTimeout, PAID),
    "drip-head": (errors.CallTimeout, PAID),
    "drip-body": (errors.CallTimeout, PAID),
    "gzip-bomb": (errors.ReplyTooLarge, PAID),
    "50-mb": (errors.ReplyTooLarge, PAID),
    "endless-head": (errors.ReplyTooLarge, PAID),
}
WAITS = {
    "429-seconds": 7.0,
    "429-milliseconds": 1.5,
    "429-span": 90.0,
    "429-date": 3600.0,
    "429-day": 3600.0,
    "503": 3.0,
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


Ask = Any


@pytest.fixture(params=[DirectClient, LitellmClient], ids=["direct", "litellm"])
def ask(request: pytest.FixtureRequest, server: FaultServer) -> Ask:
    def asked(fault: str, deadline: float = DEADLINE, prompt: str = "hi") -> WireReply:
        endpoint = Endpoint(
            name="m",
            provider="openai",
            model="tiny",
            identity="{}",
            base_url=server.url(fault),
            api_key_env="CANARY_KEY",
        )
        client: ModelClient = request.param(endpoint, keys=KeyRing({"CANARY_KEY": CANARY}))
        question = ModelRequest(
            model="{}",
            messages=(Message(role="user", content=prompt),),
            params={"max_tokens": 16},
            endpoint="m",
        )

        async def call() -> WireReply:
            try:
                return await client.complete(question, deadline)
            finally:
                await client.aclose()

        return asyncio.run(call())

    if request.param is LitellmClient:
        load_litellm()  # so that no test's deadline pays for the import
    return asked


def test_every_fault_has_an_expectation() -> None:
    failing = {fault for fault in FAULTS if not fault.startswith("ok")}
    assert failing == set(EXPECTED)
    assert len(failing) >= 40


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_becomes_its_error_within_the_deadline(
    ask: Ask, server: FaultServer, fault: str
) -> None:
    kind, possibly_paid = EXPECTED[fault]
    before, started = server.hits[fault], time.monotonic()
    with pytest.raises(errors.ModelCallError) as caught:
        ask(fault)
    assert time.monotonic() - started < DEADLINE + 0.5
    assert type(caught.value) is kind
    assert caught.value.possibly_paid is possibly_paid
    assert caught.value.retry_after_seconds == WAITS.get(fault)
    assert server.hits[fault] - before == 1, "one attempt is one request on the wire"
    assert not server.trapped, "nothing follows a redirect"
    assert CANARY not in f"{caught.value!r} {caught.value.hint}"
    assert "\n" not in caught.value.message
    digits = fault[:3]
    if digits.isdigit():
        assert caught.value.status == int(digits)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith("ok")])
def test_an_odd_reply_that_can_be_read_is_read(ask: Ask, server: FaultServer, fault: str) -> None:
    before = server.hits[fault]
    response = ask(fault).response
    assert server.hits[fault] - before == 1
    text = {
        "ok-surrogate": "a\ud800b\0c",
        "ok-length": '{"a": ',
        "ok-length-empty": "",
        "ok-refusal": "",
        "ok-tool-calls": "",
    }.get(fault, "ok")
    assert response.text.raw == text
    assert response.complete is (not fault.startswith("ok-length"))
    assert (response.refusal is not None) is (fault == "ok-refusal")
    assert (response.tool_calls is not None) is (fault == "ok-tool-calls")


@pytest.mark.parametrize(
    ("fault", "usage"),
    [
        ("ok", (5, 2)),
        ("ok-usage-nan", (None, 2)),
        ("ok-usage-negative", (None, 2)),
        ("ok-usage-huge", (None, None)),
        ("ok-usage-text", (None, None)),
        ("ok-usage-missing", (None, None)),
    ],
)
def test_implausible_usage_is_unknown(
    ask: Ask, fault: str, usage: tuple[int | None, int | None]
) -> None:
    counted = ask(fault).response.usage
    assert (counted.input_tokens, counted.output_tokens) == usage


def test_the_wire_says_what_was_asked(ask: Ask, server: FaultServer) -> None:
    reply = ask("ok")
    assert reply.response.served_model == "served-1"
    assert f"authorization: bearer {CANARY}" in server.heads["ok"].lower()
    assert "accept-encoding: identity" in server.heads["ok"].lower()
    assert server.heads["ok"].startswith("POST /ok/chat/completions HTTP/1.1\r\n")
    assert b'"max_tokens":16' in server.bodies["ok"].replace(b" ", b"")


def test_a_lone_surrogate_is_sent_or_refused_but_never_a_crash(
    ask: Ask, server: FaultServer, request: pytest.FixtureRequest
) -> None:
    before = server.hits["ok"]
    if "litellm" in request.node.name:
        with pytest.raises(errors.RequestRejected, match="cannot send"):
            ask("ok", prompt="hi \ud800")
        assert server.hits["ok"] == before
    else:
        assert ask("ok", prompt="hi \ud800").response.text.raw == "ok"
        assert b'"hi \\ud800"' in server.bodies["ok"]


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_bomb_costs_little_memory(ask: Ask) -> None:
    with pytest.raises(errors.ReplyTooLarge):
        ask("gzip-bomb")  # the server's own copy of the bomb is made here, in this process
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for fault in ("gzip-bomb", "50-mb"):
        with pytest.raises(errors.ReplyTooLarge):
            ask(fault)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_headers_without_end_are_named_as_such(ask: Ask) -> None:
    with pytest.raises(errors.ReplyTooLarge, match="headers of the reply"):
        ask("endless-head")
