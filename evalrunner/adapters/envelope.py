"""The sealed form in which every store keeps a body: what does not verify was never stored.

::

    magic 3 | version 1 | kind 1 | packing 1 | stored_at 8 | digest 32 | [length 2 | proof] | payload

The digest binds the header, the namespace and the key to the payload, so that a value which was
damaged, cut, swapped with another or carried over from another namespace does not open. It is taken
over the payload as it lies in the store: bytes that do not verify never reach the decompressor. An
envelope of the signed kind carries a proof beside it, by which :mod:`.signing` knows who wrote the digest.
"""

from __future__ import annotations

import math
import struct
import zlib
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from evalrunner.values.fingerprint import SCHEMA, Fingerprint

VERSION: Final = 1
EPOCH: Final = f"{VERSION}.{SCHEMA}"
"""The form of envelopes and keys together. Entries of another epoch are never looked at."""

LARGEST_BODY: Final = 4 * 1024 * 1024
"""The most bytes that a body may have, packed or not."""

_MAGIC: Final = b"EvR"
_KIND_DIGEST: Final = 0
_KIND_SIGNED: Final = 1
_KINDS: Final = (_KIND_DIGEST, _KIND_SIGNED)
_PLAIN: Final = 0
_ZLIB: Final = 1
_PACK_FROM: Final = 4096  # below, unpacking costs more than the bytes are worth
_HEAD: Final = struct.Struct(">3sBBBd")
_PAYLOAD_AT: Final = _HEAD.size + 32


class Opened(NamedTuple):
    """A verified body, and when it was stored, in seconds since 1970."""

    body: bytes
    stored_at: float


class Proven(NamedTuple):
    """A verified body with the digest that it verified by, and the proof that lies beside it."""

    body: bytes
    stored_at: float
    digest: bytes
    proof: bytes


class Draft(NamedTuple):
    """An envelope that waits for its proof."""

    head: bytes
    digest: bytes
    payload: bytes

    def with_proof(self, proof: bytes) -> bytes:
        """The bytes to store."""
        return b"".join(
            (self.head, self.digest, len(proof).to_bytes(2, "big"), proof, self.payload)
        )


def seal(key: Fingerprint, body: bytes, *, namespace: str, stored_at: float) -> bytes:
    """The bytes to store under ``key``. Large bodies are packed where that saves something.

    Args:
        key: The fingerprint that the body answers.
        body: At most :data:`LARGEST_BODY` bytes.
        namespace: Whose entry it is; it opens in no other.
        stored_at: Seconds since 1970, finite.

    Raises:
        ValueError: The body is too large, or ``stored_at`` is not a finite number.

    Example:
        >>> raw = seal(Fingerprint("00"), b"hello", namespace="ci", stored_at=1.0)
        >>> open_sealed(raw, Fingerprint("00"), namespace="ci")
        Opened(body=b'hello', stored_at=1.0)
        >>> open_sealed(raw, Fingerprint("00"), namespace="fork") is None
        True
    """
    return b"".join(_draft(key, body, namespace, stored_at, _KIND_DIGEST))


def draft(key: Fingerprint, body: bytes, *, namespace: str, stored_at: float) -> Draft:
    """The same, for an envelope that carries a proof of who sealed it.

    Raises:
        ValueError: As :func:`seal`.
    """
    return _draft(key, body, namespace, stored_at, _KIND_SIGNED)


def open_sealed(raw: bytes, key: Fingerprint, *, namespace: str) -> Opened | None:
    """The body that was sealed under this key in this namespace, or ``None`` for anything else.

    A proof is not looked at. Never raises, whatever the bytes are, and never inflates more than
    :data:`LARGEST_BODY`.
    """
    found = open_with_proof(raw, key, namespace=namespace)
    return None if found is None else Opened(found.body, found.stored_at)


def open_with_proof(raw: bytes, key: Fingerprint, *, namespace: str) -> Proven | None:
    """The same with what a signature is checked against; the proof of an unsigned one is empty."""
    if len(raw) < _PAYLOAD_AT:
        return None
    head = raw[: _HEAD.size]
    magic, version, kind, packing, stored_at = _HEAD.unpack(head)
    if magic != _MAGIC or version != VERSION or kind not in _KINDS:
        return None
    proof_end = _PAYLOAD_AT
    if kind == _KIND_SIGNED:
        proof_end += 2 + int.from_bytes(raw[_PAYLOAD_AT : _PAYLOAD_AT + 2], "big")
    payload = raw[proof_end:]
    digest = raw[_HEAD.size : _PAYLOAD_AT]
    if digest != _digest(head, payload, key, namespace):
        return None
    body = payload if packing == _PLAIN else _unpacked(payload, packing)
    if body is None or len(body) > LARGEST_BODY or not math.isfinite(stored_at):
        return None
    return Proven(body, stored_at, digest, raw[_PAYLOAD_AT + 2 : proof_end])


def stored_at_of(raw: bytes) -> float:
    """When an envelope says that it was sealed; only for bytes that have been verified."""
    return float(_HEAD.unpack_from(raw)[4])


def _draft(key: Fingerprint, body: bytes, namespace: str, stored_at: float, kind: int) -> Draft:
    if len(body) > LARGEST_BODY:
        raise ValueError(f"a body of {len(body)} bytes is larger than a store takes")
    if not math.isfinite(stored_at):
        raise ValueError(f"{stored_at!r} is not a time")
    packing, payload = _packed(body)
    head = _HEAD.pack(_MAGIC, VERSION, kind, packing, stored_at)
    return Draft(head, _digest(head, payload, key, namespace), payload)


def _digest(head: bytes, payload: bytes, key: Fingerprint, namespace: str) -> bytes:
    """SHA-256 over (header, namespace, key, payload), each of variable length after its length."""
    name = key.encode("utf-8", "surrogatepass")
    return sha256(
        b"".join((head, _prefixed(namespace), len(name).to_bytes(4, "big"), name, payload))
    ).digest()


@lru_cache(maxsize=64)
def _prefixed(namespace: str) -> bytes:
    name = namespace.encode("utf-8", "surrogatepass")
    return len(name).to_bytes(4, "big") + name


def _packed(body: bytes) -> tuple[int, bytes]:
    if len(body) < _PACK_FROM:
        return _PLAIN, body
    packed = zlib.compress(body, 1)
    return (_ZLIB, packed) if len(packed) < len(body) * 0.9 else (_PLAIN, body)


def _unpacked(payload: bytes, packing: int) -> bytes | None:
    if packing != _ZLIB:
        return None
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(payload, LARGEST_BODY + 1)
    except zlib.error:
        return None
    whole = inflater.eof and not inflater.unused_data
    return body if whole else None
