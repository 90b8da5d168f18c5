"""Envelopes: what was sealed opens as it was; nothing else opens."""

from __future__ import annotations

import math
import struct
import zlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters.envelope import LARGEST_BODY, VERSION, open_sealed, seal
from evalrunner.values.fingerprint import Fingerprint

KEY = Fingerprint("ab" * 32)
BODIES = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda piece, n: piece * n, st.binary(max_size=40), st.integers(0, 400)),
)


def sealed(body: bytes = b"an answer") -> bytes:
    return seal(KEY, body, namespace="ci", stored_at=12.5)


def forged(payload: bytes, *, packing: int, stored_at: float = 1.0, kind: int = 0) -> bytes:
    """An envelope as somebody would make it who knows the form but does not keep to it."""
    head = struct.pack(">3sBBBd", b"EvR", VERSION, kind, packing, stored_at)
    bound = b"".join(
        (
            head,
            len(b"ci").to_bytes(4, "big"),
            b"ci",
            len(KEY).to_bytes(4, "big"),
            KEY.encode(),
            payload,
        )
    )
    return head + sha256(bound).digest() + payload


@given(body=BODIES, key=st.text(max_size=70), namespace=st.text(max_size=20), at=st.floats(0, 4e9))
def test_what_was_sealed_opens_as_it_was(body: bytes, key: str, namespace: str, at: float) -> None:
    raw = seal(Fingerprint(key), body, namespace=namespace, stored_at=at)
    assert open_sealed(raw, Fingerprint(key), namespace=namespace) == (body, at)


@given(body=BODIES, data=st.data())
def test_a_flipped_bit_or_a_cut_opens_nothing(body: bytes, data: st.DataObject) -> None:
    raw = bytearray(sealed(body))
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert open_sealed(bytes(raw[:cut]), KEY, namespace="ci") is None
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert open_sealed(bytes(raw), KEY, namespace="ci") is None


@given(raw=st.binary(max_size=200))
def test_foreign_bytes_open_nothing(raw: bytes) -> None:
    assert open_sealed(raw, KEY, namespace="ci") is None
    assert open_sealed(b"EvR" + raw, KEY, namespace="ci") is None


@pytest.mark.parametrize(
    ("key", "namespace"),
    [("ac" * 32, "ci"), ("ab" * 32, "fork"), ("ab" * 32, ""), ("ab" * 31, "ciab")],
)
def test_an_envelope_opens_under_its_own_key_and_namespace_only(key: str, namespace: str) -> None:
    assert open_sealed(sealed(), Fingerprint(key), namespace=namespace) is None


def test_a_body_may_be_cut_at_no_other_place_between_namespace_and_key() -> None:
    raw = seal(Fingerprint("bc"), b"x", namespace="a", stored_at=1.0)
    assert open_sealed(raw, Fingerprint("c"), namespace="ab") is None


def test_large_bodies_are_packed_and_small_ones_are_not() -> None:
    assert len(sealed(b"a" * 100_000)) < 2_000
    assert len(sealed(b"a" * 100)) > 100


def test_the_forgery_of_these_tests_is_a_real_envelope() -> None:
    assert open_sealed(forged(b"x", packing=0), KEY, namespace="ci") == (b"x", 1.0)
    assert open_sealed(forged(zlib.compress(b"x"), packing=1), KEY, namespace="ci") == (b"x", 1.0)


@pytest.mark.parametrize(
    "raw",
    [
        forged(zlib.compress(bytes(LARGEST_BODY + 1)), packing=1),
        forged(zlib.compress(b"x") + b"more", packing=1),
        forged(zlib.compress(b"x" * 999)[:-9], packing=1),
        forged(b"no deflate", packing=1),
        forged(b"x", packing=2),
        forged(b"x", packing=0, kind=1),
        forged(bytes(LARGEST_BODY + 1), packing=0),
        forged(b"x", packing=0, stored_at=math.nan),
        forged(b"x", packing=0, stored_at=math.inf),
    ],
    ids=["bomb", "tail", "short", "noise", "packing", "kind", "large", "nan", "inf"],
)
def test_a_forgery_that_does_not_keep_to_the_form_opens_nothing(raw: bytes) -> None:
    assert open_sealed(raw, KEY, namespace="ci") is None


def test_what_could_never_be_read_back_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="larger"):
        seal(KEY, bytes(LARGEST_BODY + 1), namespace="ci", stored_at=1.0)
    with pytest.raises(ValueError, match="time"):
        seal(KEY, b"", namespace="ci", stored_at=math.nan)
