"""The public fakes keep the promises that they stand in for."""

from __future__ import annotations

import asyncio

import pytest

from evalrunner.errors import RateLimited
from evalrunner.testing import FixedClock, ScriptedClient
from evalrunner.values.exchange import ModelRequest, ModelResponse, ModelText


def request(text: str) -> ModelRequest:
    return ModelRequest(model=text, messages=(), params={}, endpoint="small")


def test_a_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(100.0)
    asyncio.run(clock.sleep(2.5))
    clock.advance(1.0)
    assert (clock.now(), clock.monotonic(), clock.slept) == (103.5, 3.5, [2.5])
    clock.jump(-86400.0)
    assert (clock.now(), clock.monotonic()) == (103.5 - 86400.0, 3.5)


def test_a_scripted_client_answers_raises_and_counts() -> None:
    def answer(asked: ModelRequest) -> ModelResponse | Exception:
        if asked.model == "bad":
            return RateLimited("later", status=429)
        return ModelResponse(text=ModelText(f"to {asked.model}"))

    client = ScriptedClient(answer)
    reply = asyncio.run(client.complete(request("good"), 1.0))
    assert reply.response.text.raw == "to good"
    with pytest.raises(RateLimited):
        asyncio.run(client.complete(request("bad"), 1.0))
    assert client.calls == 2
    assert [asked.model for asked in client.requests] == ["good", "bad"]
    asyncio.run(client.aclose())
    assert client.closed
