"""The OpenAI wire format, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters.chat_format import (
    ErrorInReply,
    chat_body,
    chat_response,
    read_reply,
    usage_of,
)
from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_wire import WireResponse
from evalrunner.adapters.models_direct import DirectClient
from evalrunner.errors import ModelCallError, RequestRejected
from evalrunner.values.exchange import Json, Message, ModelRequest, Usage
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.spec import Endpoint

from .fault_server import GOOD, choice, completion


def request(params: Mapping[str, Json], **fields: Json) -> ModelRequest:
    messages = (Message(role="user", content="hi"),)
    return ModelRequest(
        model="{}",
        messages=messages,
        params=params,
        endpoint="m",
        tools=fields.get("tools"),
        response_format=fields.get("response_format"),
    )


def test_a_request_becomes_a_body_and_never_a_stream() -> None:
    params: dict[str, Json] = {"max_tokens": 5, "stream": True, "model": "x", "messages": []}
    tools: Json = [MappingProxyType({"type": "function"})]
    body = json.loads(
        chat_body(request(params, tools=tools, response_format={"type": "json"}), model="m-1")
    )
    assert body == {
        "model": "m-1",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "tools": [{"type": "function"}],
        "response_format": {"type": "json"},
    }


def test_openai_itself_is_sent_its_own_name_for_the_token_limit() -> None:
    def renamed(base_url: str | None) -> Mapping[str, str] | None:
        endpoint = Endpoint(
            name="m", provider="openai", model="gpt", identity="{}", base_url=base_url
        )
        return DirectClient(endpoint, keys=KeyRing({}))._rename

    rename = renamed(None)
    assert b'"max_completion_tokens":5' in chat_body(
        request({"max_tokens": 5}), model="m", rename=rename
    )
    assert renamed("http://127.0.0.1/v1") is None


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 0}, Usage(input_tokens=3, output_tokens=0)),
        ({"prompt_tokens": True}, Usage()),
        ({"prompt_tokens": 1.0}, Usage()),
        ({"prompt_tokens": 10**9 + 1}, Usage()),
        ({"prompt_tokens": 10**9}, Usage(input_tokens=10**9)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(input_tokens=9, output_tokens=8, cached_input_tokens=4, reasoning_tokens=7),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 10}},
            Usage(input_tokens=9),
        ),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, Usage()),
        ([], Usage()),
        (None, Usage()),
    ],
)
def test_only_possible_counts_are_counts(reported: object, usage: Usage) -> None:
    assert usage_of(reported) == usage


def test_parts_of_text_are_one_text_and_an_old_call_is_a_list_of_one() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    body = json.dumps(completion(choices=choice("STOP", content=parts))).encode()
    response = chat_response(body, 0.5)
    assert response.text.raw == "ab"
    assert response.finish_reason == "stop"
    assert response.latency_seconds == 0.5
    call = {"name": "f", "arguments": "{}"}
    body = json.dumps(completion(choices=choice("function_call", function_call=call))).encode()
    assert chat_response(body, 0).tool_calls == [{"type": "function", "function": call}]


@given(st.binary(max_size=300) | st.sampled_from([GOOD]).map(lambda good: good))
def test_any_body_is_an_answer_or_one_of_our_errors(body: bytes) -> None:
    try:
        response = chat_response(body, 0.0)
    except (ModelCallError, ErrorInReply):
        return
    canonical_json(response.tool_calls)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(json_values, json_values, json_values, json_values)
def test_any_shape_is_an_answer_or_one_of_our_errors(
    content: object, calls: object, refusal: object, usage: object
) -> None:
    message = choice("stop", content=content, tool_calls=calls, refusal=refusal)
    body = json.dumps(completion(choices=message, usage=usage)).encode()
    try:
        response = chat_response(body, 0.0)
    except (ModelCallError, ErrorInReply):
        return
    canonical_json(response.tool_calls)
    counted = response.usage
    for count in (counted.input_tokens, counted.output_tokens):
        assert count is None or 0 <= count <= 10**9
    assert 0 <= counted.cached_input_tokens <= (counted.input_tokens or 0)


def test_a_request_that_has_no_json_form_is_refused() -> None:
    import asyncio

    endpoint = Endpoint(
        name="m", provider="openai", model="m", identity="{}", base_url="http://127.0.0.1:1"
    )
    odd = request({"x": object()})  # type: ignore[dict-item]
    with pytest.raises(RequestRejected, match="no JSON form"):
        asyncio.run(DirectClient(endpoint, keys=KeyRing({})).complete(odd, 1))


def test_an_endpoint_that_says_its_key_back_is_not_quoted() -> None:
    key = "sk-canary/0123456789+"
    keys = KeyRing({"CANARY_KEY": key})
    keys.key_for(
        Endpoint(name="m", provider="openai", model="x", identity="{}", api_key_env="CANARY_KEY")
    )
    call = {"type": "function", "function": {"name": "f", "arguments": json.dumps({"a": key})}}
    message = {"content": f"{key} \ud800", "refusal": f"no {key}", "tool_calls": [call]}
    reply = completion(
        model=key, choices=[{"index": 0, "message": message, "finish_reason": "stop"}]
    )
    wire = WireResponse(status=200, headers={}, body=json.dumps(reply).encode(), seconds=0.1)
    said = read_reply(wire, keys=keys).response
    assert said.text.raw == "[redacted] \ud800"
    assert said.refusal is not None
    assert said.refusal.raw == "no [redacted]"
    assert said.served_model == "[redacted]"
    assert "canary" not in json.dumps(said.tool_calls)
