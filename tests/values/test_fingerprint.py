"""A request is its cache key: whatever can change the answer changes the key, nothing else does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.exchange import Message, ModelRequest, TargetRequest, Tier
from evalrunner.values.fingerprint import canonical_json, digest, fingerprint

VECTORS = json.loads(Path(__file__).with_name("fingerprint_vectors.json").read_text())

MODEL = ModelRequest(
    model='{"model":"m","provider":"p"}',
    messages=(Message(role="user", content="hi"),),
    params={"max_tokens": 10},
    endpoint="large",
)
TARGET = TargetRequest(target="{}", prompt="hi", vars={"a": 1}, endpoint="app")

CHANGES = {
    "model": '{"model":"m2","provider":"p"}',
    "messages": (Message(role="system", content="hi"),),
    "params": {"max_tokens": 11},
    "tools": [{"type": "function"}],
    "response_format": {"type": "json_object"},
    "repeat": 1,
    "target": '{"v":2}',
    "prompt": "hi!",
    "vars": {"a": 2},
}
INERT = {
    "endpoint": "other",
    "tier": Tier.PROXY,
    "role": "judge",
    "suite": "s",
    "case_id": "c",
    "check": "llm-rubric",
    "cacheable": False,
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("request_", [MODEL, TARGET], ids=["model", "target"])
def test_every_field_either_changes_the_key_or_says_that_it_cannot(
    request_: ModelRequest | TargetRequest,
) -> None:
    """The table below must name every field: a new one fails here until somebody decides."""
    for field in fields(request_):
        known = {**CHANGES, **INERT}
        changed = replace(request_, **{field.name: known[field.name]})
        same_key = fingerprint(changed) == fingerprint(request_)
        assert same_key == (field.name in INERT), field.name
        assert same_key == (not field.compare), field.name


def test_a_model_and_an_application_never_share_a_key() -> None:
    assert fingerprint(MODEL) != fingerprint(TARGET)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["key"][:8])
def test_golden_vectors(vector: dict[str, object]) -> None:
    """Keys are promises to every cache already written."""
    assert digest(vector["value"]) == vector["key"]


def test_keys_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from evalrunner.values.fingerprint import digest;"
        "print(digest({k: {'x', }.__len__() for k in {'a', 'b', 'c', 'd'}}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1


@given(json_values, json_values)
def test_equal_text_means_equal_values(left: object, right: object) -> None:
    """The text decodes to the value, so that two values share a key only if JSON cannot tell them apart."""
    assert json.loads(canonical_json(left)) == left
    if canonical_json(left) == canonical_json(right):
        assert left == right


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, 1.0), (1, True), (1, "1"), (None, "null"), ([1, 2], [12]), (["a", "b"], ["ab"]), ({}, [])],
)
def test_lookalikes_stay_apart(left: object, right: object) -> None:
    assert canonical_json(left) != canonical_json(right)


def test_order_and_negative_zero_do_not_count() -> None:
    assert canonical_json({"b": -0.0, "a": 1}) == canonical_json({"a": 1, "b": 0.0})


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: "a"}, {"a": object()}, b"bytes", {1, 2}]
)
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"form|text"):
        canonical_json(value)
