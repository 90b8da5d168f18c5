"""Ed25519 signatures over batches of entries, each of which can be checked alone.

The digests of a batch are the leaves of a Merkle tree, and its root is what is signed. Beside each entry
lie the signature and the few digests that lead from its leaf to the root::

    key id 8 | signature 64 | depth 1 | sides 4 | depth x digest 32

So ten thousand entries cost one signature, and reading them back one check of it and some hashing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from evalrunner.errors import ConfigError

SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a public key in the form that OpenSSL writes."""

_PKCS8_PREFIX: Final = bytes.fromhex("302e020100300506032b657004220420")
_CONTEXT: Final = b"evalrunner cache batch 1\0"
_KEY_ID: Final = 8
_SIGNATURE: Final = 64
_PATH_AT: Final = _KEY_ID + _SIGNATURE + 5
_DEEPEST: Final = 32
_MOST_ROOTS: Final = 20_000


class BatchSigner:
    """Signs digests with one private key.

    Args:
        secret: The private key as ``openssl genpkey -algorithm ed25519`` writes it, with its PEM lines or
            as the one line between them.

    Raises:
        ConfigError: It is no such key, or the extra ``sign`` is not installed. The key is not in the message.
    """

    def __init__(self, secret: str) -> None:
        raw = _key_bytes(secret, _PKCS8_PREFIX)
        if raw is None:
            raise ConfigError(
                "the signing key is no Ed25519 private key",
                hint="make one with: openssl genpkey -algorithm ed25519",
            )
        self._key = _ed25519().Ed25519PrivateKey.from_private_bytes(raw)
        self.public_key: Final[bytes] = self._key.public_key().public_bytes_raw()

    def proofs(self, digests: Sequence[bytes]) -> list[bytes]:
        """For each digest the proof that is stored beside its entry."""
        if not digests:
            return []
        root, paths = _tree(digests)
        head = _key_id(self.public_key) + self._key.sign(_CONTEXT + root)
        return [head + path for path in paths]


class BatchVerifier:
    """Checks proofs against the public keys that are trusted.

    Args:
        public_keys: Each as ``openssl pkey -pubout`` writes it, or as the one line between its PEM lines.

    Raises:
        ConfigError: One is no such key, or the extra ``sign`` is not installed.
    """

    def __init__(self, public_keys: Sequence[str]) -> None:
        self._keys: dict[bytes, Any] = {}
        self._roots: dict[bytes, bool] = {}
        for text in public_keys:
            raw = public_key_bytes(text)
            if raw is None:
                raise ConfigError(f"{text[:80]!r} is no Ed25519 public key")
            self._keys[_key_id(raw)] = _ed25519().Ed25519PublicKey.from_public_bytes(raw)

    def trusts(self, signer: BatchSigner) -> bool:
        """Whether what that signer signs is believed here."""
        return _key_id(signer.public_key) in self._keys

    def proves(self, digest: bytes, proof: bytes) -> bool:
        """Whether one of the keys has signed a batch with this digest in it. Never raises."""
        if len(proof) < _PATH_AT or proof[:_KEY_ID] not in self._keys:
            return False
        depth = proof[_PATH_AT - 5]
        if depth > _DEEPEST or len(proof) != _PATH_AT + 32 * depth:
            return False
        sides = int.from_bytes(proof[_PATH_AT - 4 : _PATH_AT], "big")
        if sides >> depth:
            return False
        node = sha256(b"\0" + digest).digest()
        for level in range(depth):
            at = _PATH_AT + 32 * level
            other = proof[at : at + 32]
            pair = other + node if sides >> level & 1 else node + other
            node = sha256(b"\1" + pair).digest()
        return self._is_signed(proof[: _KEY_ID + _SIGNATURE], node)

    def _is_signed(self, head: bytes, root: bytes) -> bool:
        known = self._roots.get(head + root)
        if known is None:
            known = self._check(head, root)
            if len(self._roots) >= _MOST_ROOTS:
                self._roots.clear()
            self._roots[head + root] = known
        return known

    def _check(self, head: bytes, root: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._keys[head[:_KEY_ID]].verify(head[_KEY_ID:], _CONTEXT + root)
        except InvalidSignature:
            return False
        return True


def public_key_bytes(text: str) -> bytes | None:
    """The 32 bytes of a public key, or ``None`` where the text is none."""
    return _key_bytes(text, SPKI_PREFIX)


def public_key_text(key: bytes) -> str:
    """The key as the configuration has it: the one line that OpenSSL writes between the PEM lines."""
    return base64.b64encode(SPKI_PREFIX + key).decode("ascii")


def _key_bytes(text: str, prefix: bytes) -> bytes | None:
    lines = text.split("-----")  # "", BEGIN …, the key, END …, ""
    body = "".join(lines[2 if len(lines) == 5 else 0].split())
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw[len(prefix) :] if raw.startswith(prefix) and len(raw) == len(prefix) + 32 else None


def _key_id(public_key: bytes) -> bytes:
    return sha256(public_key).digest()[:_KEY_ID]


def _tree(digests: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """The root, and for each leaf its depth, the sides of its neighbours and the neighbours.

    A node without a neighbour moves up as it is. Leaves and nodes are hashed under different marks, so
    that no node can be passed off as a leaf.
    """
    level = [sha256(b"\0" + digest).digest() for digest in digests]
    place = list(range(len(digests)))
    paths: list[list[bytes]] = [[] for _ in digests]
    sides = [0] * len(digests)
    while len(level) > 1:
        for leaf, at in enumerate(place):
            if at ^ 1 < len(level):
                sides[leaf] |= (at & 1) << len(paths[leaf])
                paths[leaf].append(level[at ^ 1])
            place[leaf] = at // 2
        level = [
            sha256(b"\1" + level[at] + level[at + 1]).digest() if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    packed = [
        bytes((len(path),)) + side.to_bytes(4, "big") + b"".join(path)
        for path, side in zip(paths, sides, strict=True)
    ]
    return level[0], packed


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ConfigError(
            "signed cache entries need the extra sign",
            hint="pip install 'evalrunner[sign]', from a checkout: pip install -e '.[sign]'",
        ) from None
    return ed25519
