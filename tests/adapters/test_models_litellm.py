"""litellm on our wire: tamed at import, one send, known hosts, every exception mapped."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalrunner import errors
from evalrunner.adapters import models_litellm
from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.models_litellm import ERROR_KINDS, LitellmClient, kind_of, load_litellm
from evalrunner.engine.ports import WireReply
from evalrunner.values.exchange import Json, Message, ModelRequest
from evalrunner.values.spec import Endpoint

from .fault_server import FAULTS, FaultServer, http

CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-served",
    "content": [{"type": "text", "text": "bonjour"}],
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 11, "output_tokens": 3},
}
KEY = "sk-ant-canary-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    faults = {
        **FAULTS,
        "claude": http(200, CLAUDE),
        "claude-list": http(200, []),
        "claude-echo": http(200, CLAUDE | {"content": [{"type": "text", "text": f"is {KEY}?"}]}),
    }
    with FaultServer(faults=faults) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def litellm() -> Any:
    return load_litellm()


def ask(
    base_url: str | None, provider: str = "anthropic", *, deadline: float = 5, **params: Json
) -> WireReply:
    endpoint = Endpoint(
        name="m",
        provider=provider,
        model="some-model",
        identity="{}",
        base_url=base_url,
        api_key_env="CANARY_KEY",
    )
    client = LitellmClient(endpoint, keys=KeyRing({"CANARY_KEY": KEY}))
    messages = (Message(role="user", content="hi"),)
    request = ModelRequest(
        model="{}", messages=messages, params={"max_tokens": 9, **params}, endpoint="m"
    )

    async def call() -> WireReply:
        try:
            return await client.complete(request, deadline)
        finally:
            await client.aclose()

    return asyncio.run(call())


def test_the_deadline_does_not_pay_for_the_import(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow() -> Any:
        time.sleep(1.6)
        return load_litellm()

    ask(server.url("ok"), "openai", deadline=60)  # the library's own first call is slow, too
    monkeypatch.setattr(models_litellm, "load_litellm", slow)
    assert ask(server.url("ok"), "openai", deadline=1.5).response.text.raw == "ok"


def test_another_wire_format_is_translated(server: FaultServer) -> None:
    response = ask(server.url("claude")).response
    assert response.text.raw == "bonjour"
    assert response.finish_reason == "max_tokens", "the provider's own word"
    assert not response.complete
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 3)
    assert f"x-api-key: {KEY}" in server.heads["claude"]
    assert json.loads(server.bodies["claude"])["max_tokens"] == 9


def test_an_endpoint_that_says_its_key_back_is_not_quoted(server: FaultServer) -> None:
    assert ask(server.url("claude-echo")).response.text.raw == "is [redacted]?"


@pytest.mark.parametrize("provider", ["anthropic", "mistral", "gemini", "groq", "deepseek"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset", errors.ProviderUnavailable),
        ("close-body", errors.ProviderUnavailable),
        ("307", errors.RedirectRefused),
        ("429-seconds", errors.RateLimited),
        ("529", errors.ProviderUnavailable),
        ("html-200", errors.MalformedReply),
    ],
)
def test_no_provider_sends_twice_or_follows(
    server: FaultServer, provider: str, fault: str, kind: type[errors.ModelCallError]
) -> None:
    before = sum(server.hits.values())
    with pytest.raises(errors.ModelCallError) as caught:
        ask(server.url(fault), provider)
    assert type(caught.value) is kind
    assert sum(server.hits.values()) - before == 1
    assert not server.trapped
    assert KEY not in repr(caught.value)


def test_the_environment_cannot_send_a_key_elsewhere(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sum(server.hits.values())
    for name in ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, server.url("claude"))
    with pytest.raises(errors.RequestRejected, match="no host of this provider"):
        ask(None)
    assert sum(server.hits.values()) == before


def test_a_provider_without_known_hosts_needs_an_address() -> None:
    with pytest.raises(errors.RequestRejected, match="not known") as caught:
        ask(None, "some-new-cloud")
    assert "base_url" in str(caught.value.hint)


def test_an_unknown_parameter_or_provider_is_refused_before_it_is_sent(
    server: FaultServer,
) -> None:
    before = sum(server.hits.values())
    with pytest.raises(errors.RequestRejected):
        ask(server.url("ok"), "no-such-provider")
    with pytest.raises(errors.RequestRejected):
        ask(server.url("claude"), "anthropic", logit_bias={"1": 2})
    assert sum(server.hits.values()) == before


def test_every_exception_of_litellm_is_mapped(litellm: Any) -> None:
    module = sys.modules["litellm.exceptions"]
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == module.__name__
    }
    assert len(own) > 25
    assert set(own) == set(ERROR_KINDS), "a class is missing, or is gone"
    for name, value in own.items():
        error = value.__new__(value)
        assert kind_of(error) is ERROR_KINDS[name]
        assert issubclass(kind_of(error), errors.ModelCallError)


def test_the_nearest_ancestor_decides(litellm: Any) -> None:
    context = type("Deeper", (litellm.ContentPolicyViolationError,), {})
    assert kind_of(context.__new__(context)) is errors.ContentFiltered
    assert kind_of(KeyError("x")) is errors.RequestRejected


def test_litellm_is_tame_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PLANTED_BY_ENV_FILE=1\n")
    script = """
import os, sys
import evalrunner.adapters.models_litellm as ours
assert "litellm" not in sys.modules and "httpx" not in sys.modules
library = ours.load_litellm()
assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
assert library.telemetry is False and library.drop_params is False and library.cache is None
assert library.num_retries == 0
assert "PLANTED_BY_ENV_FILE" not in os.environ
import logging
assert logging.getLogger("LiteLLM").disabled
print("tame")
"""
    environ = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}},
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LITELLM_LOCAL_MODEL_COST_MAP": "False",
        "LITELLM_LOG": "DEBUG",
        "LITELLM_MODE": "DEV",
    }
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environ,
    )
    assert ran.stdout.strip() == "tame", ran.stderr


def test_a_missing_extra_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(models_litellm.importlib, "import_module", missing)
    with pytest.raises(errors.RequestRejected, match="not installed") as caught:
        ask("http://127.0.0.1:9/v1", "openai")
    assert "extra 'litellm'" in str(caught.value.hint)


def test_the_wire_itself_refuses_a_second_send_and_a_send_outside_a_call(
    server: FaultServer,
) -> None:
    import httpx

    from evalrunner.adapters.http_wire import Wire
    from evalrunner.adapters.litellm_wire import Attempt, GuardedTransport, current_attempt

    async def session() -> None:
        wire = Wire(environ={})
        hosts = frozenset({f"127.0.0.1:{server.port}"})
        request = httpx.Request("POST", f"{server.url('ok')}/chat/completions", json={})
        transport = GuardedTransport()
        with pytest.raises(httpx.UnsupportedProtocol):
            await transport.handle_async_request(request)
        current_attempt.set(Attempt(wire=wire, ends_at=time.monotonic() + 5, hosts=hosts))
        assert (await transport.handle_async_request(request)).status_code == 200
        with pytest.raises(errors.RequestRejected, match="twice"):
            await transport.handle_async_request(request)
        await wire.aclose()

    before = server.hits["ok"]
    asyncio.run(session())
    assert server.hits["ok"] - before == 1
