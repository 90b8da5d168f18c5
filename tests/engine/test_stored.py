"""Answers come back from their stored form as they were, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.engine.stored import response_from_bytes, response_to_bytes
from evalrunner.values.exchange import ModelResponse, ModelText, Usage
from evalrunner.values.money import Picodollars

texts = st.text(st.characters())  # lone surrogates included
counts = st.none() | st.integers(0, 10**9)
responses = st.builds(
    ModelResponse,
    text=texts.map(ModelText),
    finish_reason=st.none() | st.sampled_from(["stop", "length"]),
    refusal=st.none() | texts.map(ModelText),
    tool_calls=st.none() | st.just([{"id": "1", "function": {"name": "f", "arguments": "{}"}}]),
    usage=st.builds(Usage, input_tokens=counts, output_tokens=counts),
    served_model=st.none() | texts,
    latency_seconds=st.floats(0, 1e6),
    reported_usd=st.none() | st.integers(0, 10**15).map(Picodollars),
    calls=st.none() | st.integers(0, 100),
)


@given(responses)
def test_round_trip(response: ModelResponse) -> None:
    assert response_from_bytes(response_to_bytes(response)) == response


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"text": 1}',
        b'{"text": "a", "usage": [1]}',
        b'{"text": "a", "usage": [1, 2, 0, 0, true]}',
        b'{"text": "a", "usage": [1, 2, 0, 0, 1.5]}',
        b'{"text": "a", "finish_reason": 3}',
        b'{"text": "a", "latency_seconds": "x"}',
        b'{"text": "a", "reported_usd": 0.5}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_anything_else_is_a_miss(body: bytes) -> None:
    assert response_from_bytes(body) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_no_json_raises(value: object) -> None:
    response_from_bytes(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("finish", "complete"),
    [
        (None, True),
        ("stop", True),
        ("tool_calls", True),
        ("length", False),
        ("content_filter", False),
        ("odd", False),
    ],
)
def test_only_whole_answers_are_kept(
    finish: str | None, complete: bool
) -> None:  # a table's column
    assert ModelResponse(text=ModelText(""), finish_reason=finish).complete is complete
