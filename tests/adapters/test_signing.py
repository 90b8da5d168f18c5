"""Signed entries: who is believed, and that each can be checked alone."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters.seal import Seal
from evalrunner.adapters.signing import BatchSigner, BatchVerifier, public_key_text
from evalrunner.errors import ConfigError
from evalrunner.values.fingerprint import digest


def pem(key: Ed25519PrivateKey) -> str:
    """The private key as OpenSSL writes it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


OURS = BatchSigner(pem(Ed25519PrivateKey.generate()))
THEIRS = BatchSigner(pem(Ed25519PrivateKey.generate()))
TRUSTED = BatchVerifier([public_key_text(OURS.public_key)])
BODIES = {digest(n): b"answer %d" % n for n in range(37)}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000])
def test_each_entry_of_a_batch_is_proved_alone(count: int) -> None:
    digests = [digest(n).encode()[:32] for n in range(count)]
    proofs = OURS.proofs(digests)
    fresh = BatchVerifier([public_key_text(OURS.public_key)])
    assert all(map(fresh.proves, digests, proofs))
    assert not any(map(fresh.proves, digests, proofs[1:] + proofs[:1])) or count == 1


def test_nothing_to_sign_needs_no_signature() -> None:
    assert OURS.proofs([]) == []


def test_a_strangers_signature_proves_nothing() -> None:
    (proof,) = THEIRS.proofs([b"x" * 32])
    assert not TRUSTED.proves(b"x" * 32, proof)
    forged = OURS.proofs([b"y" * 32])[0][:8] + proof[8:]
    assert not TRUSTED.proves(b"x" * 32, forged)


def test_an_inner_node_is_no_leaf() -> None:
    """Else whoever sees a batch could have a digest of his making in it."""
    digests = [bytes([n]) * 32 for n in range(4)]
    proof = OURS.proofs(digests)[0]
    shortened = proof[:72] + bytes([1]) + proof[73:77] + proof[77 + 32 :]
    from hashlib import sha256

    leaves = [sha256(b"\0" + one).digest() for one in digests]
    assert not TRUSTED.proves(leaves[0] + leaves[1], shortened)
    assert not TRUSTED.proves(sha256(b"\1" + leaves[0] + leaves[1]).digest(), shortened)


@given(st.integers(0, 36), st.data())
def test_no_flipped_bit_of_a_proof_is_believed(number: int, data: st.DataObject) -> None:
    digests = [key.encode()[:32] for key in BODIES]
    proof = bytearray(OURS.proofs(digests)[number])
    bit = data.draw(st.integers(0, 8 * len(proof) - 1))
    proof[bit // 8] ^= 1 << bit % 8
    assert not TRUSTED.proves(digests[number], bytes(proof))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_prove_nothing(proof: bytes) -> None:
    assert not TRUSTED.proves(b"x" * 32, proof)
    head = OURS.proofs([b"x" * 32])[0][:8]
    assert not TRUSTED.proves(b"x" * 32, head + proof)


def test_a_seal_believes_what_a_trusted_key_has_signed_and_nothing_else() -> None:
    for signer, believed in ((OURS, True), (THEIRS, False), (None, False)):
        reader = Seal("ci", verifier=TRUSTED)
        entries = Seal("ci", signer=signer).sealed(BODIES, 1.0)
        found = {key: reader.opened(key, raw) for key, raw in entries.items()}
        assert all((one is not None) is believed for one in found.values())
        for key, raw in entries.items():
            reader.opened(key, raw)  # read twice, it is one entry still
        assert (reader.damaged, reader.untrusted) == (0, 0 if believed else len(BODIES))


def test_a_signed_entry_opens_in_its_own_place_only() -> None:
    key, other = list(BODIES)[:2]
    raw = Seal("ci", signer=OURS).sealed(BODIES, 1.0)[key]
    assert Seal("ci", verifier=TRUSTED).opened(key, raw)
    assert Seal("ci").opened(key, raw), "who checks no signatures reads signed entries too"
    assert Seal("ci", verifier=TRUSTED).opened(other, raw) is None
    assert Seal("fork", verifier=TRUSTED).opened(key, raw) is None


def test_during_a_rotation_both_keys_are_believed() -> None:
    both = BatchVerifier([public_key_text(THEIRS.public_key), public_key_text(OURS.public_key)])
    for signer in (OURS, THEIRS):
        entries = Seal("ci", signer=signer).sealed(BODIES, 1.0)
        assert all(Seal("ci", verifier=both).opened(key, raw) for key, raw in entries.items())
        assert both.trusts(signer)


def test_keys_are_read_as_openssl_writes_them() -> None:
    key = Ed25519PrivateKey.generate()
    one_line = "".join(pem(key).splitlines()[1:-1])
    assert BatchSigner(one_line).public_key == BatchSigner(pem(key)).public_key
    spki = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert BatchVerifier([spki.decode()]).trusts(BatchSigner(one_line))
    assert public_key_text(BatchSigner(one_line).public_key) == spki.decode().splitlines()[1]


@pytest.mark.parametrize("text", ["", "x", "AAAA", base64.b64encode(b"k" * 48).decode()])
def test_what_is_no_key_is_an_error_that_does_not_show_it(text: str) -> None:
    with pytest.raises(ConfigError, match="no Ed25519 private key") as caught:
        BatchSigner(text)
    assert not text or text not in str(caught.value)
    with pytest.raises(ConfigError):
        BatchVerifier([text])
