"""The encoder that is made once writes what the standard library's writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.exchange import Tier

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_it_writes_what_the_standard_library_writes(value: object, sort_keys: bool) -> None:
    expected = json.dumps(value, sort_keys=sort_keys, separators=(",", ":"))
    assert compact_encoder(sort_keys=sort_keys)(value) == expected


def test_a_member_of_an_enum_of_texts_is_its_text() -> None:
    assert compact_encoder()({"tier": Tier.PROXY}) == '{"tier":"proxy"}'


def test_what_it_does_not_know_goes_through_the_default_or_is_refused() -> None:
    assert compact_encoder(default=str)([1j]) == '["1j"]'
    with pytest.raises(TypeError):
        compact_encoder()([1j])


def test_a_failure_leaves_nothing_behind() -> None:
    encode = compact_encoder(allow_nan=False)
    bad: list[object] = [1, float("nan")]
    with pytest.raises(ValueError):
        encode(bad)
    bad[1] = 2
    assert encode(bad) == "[1,2]"


def test_a_circle_ends() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(RecursionError):
        compact_encoder()(circle)
