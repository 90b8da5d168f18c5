"""The public fake of a provider is a real server, asked by the real client."""

from __future__ import annotations

import asyncio

import pytest

from evalrunner.adapters.models_direct import DirectClient
from evalrunner.errors import ModelCallError, ProviderUnavailable, RateLimited
from evalrunner.testing import FakeProvider, FakeReply
from evalrunner.values.exchange import Message, ModelRequest
from evalrunner.values.spec import Endpoint


def ask(provider: FakeProvider, *models: str) -> list[str | ModelCallError]:
    """Asks each model once, all at the same time."""

    async def one(model: str) -> str | ModelCallError:
        endpoint = Endpoint(
            name=model, provider="openai", model=model, identity="{}", base_url=provider.base_url
        )
        client = DirectClient(endpoint)
        messages = (Message(role="user", content=f"to {model}"),)
        request = ModelRequest(model="{}", messages=messages, params={}, endpoint=model)
        try:
            return (await client.complete(request, 10)).response.text.raw
        except ModelCallError as error:
            return error
        finally:
            await client.aclose()

    async def every() -> list[str | ModelCallError]:
        return list(await asyncio.gather(*map(one, models)))

    return asyncio.run(every())


def test_it_counts_by_model_and_keeps_what_was_asked() -> None:
    with FakeProvider(lambda body: f"I am {body['model']}") as provider:
        assert ask(provider, "a", "b", "a") == ["I am a", "I am b", "I am a"]
    assert provider.calls == {"a": 2, "b": 1}
    assert provider.requests[0]["messages"] == [{"role": "user", "content": "to a"}]


def test_it_answers_in_turn_with_replies_errors_and_faults() -> None:
    limited = FakeReply(status=429, text="slow", headers={"retry-after": "2"})
    with FakeProvider([limited, FakeReply(reset=True), "at last"]) as provider:
        first, second, third, fourth = (ask(provider, "m")[0] for _ in range(4))
    assert isinstance(first, RateLimited)
    assert first.retry_after_seconds == 2.0
    assert isinstance(second, ProviderUnavailable)
    assert (third, fourth) == ("at last", "at last")
    assert provider.calls["m"] == 4


def test_latency_holds_requests_open_together() -> None:
    with FakeProvider(latency_seconds=0.2) as provider:
        ask(provider, *"abcdef")
    assert provider.most_in_flight == 6
    assert provider.in_flight == 0


@pytest.mark.parametrize("usage", [None, (3, 4)])
def test_usage_may_be_left_out(usage: tuple[int, int] | None) -> None:
    assert (b"usage" in FakeReply(usage=usage).encoded("m")) is (usage is not None)
