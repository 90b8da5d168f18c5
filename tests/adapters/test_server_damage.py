"""Thousands of random damages to the entries on a server: a value may be lost, and is never another."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from valkey import Valkey

from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import server_address
from evalrunner.adapters.signing import BatchSigner, BatchVerifier, public_key_text
from evalrunner.values.fingerprint import Fingerprint, digest
from tests.servers import Server

BODIES = {digest(n): (f"answer {n} ".encode() * (1 + n % 90))[: 40 + 13 * n] for n in range(30)}
KEYS = list(BODIES)
OLDER = b"an older answer"
HASH = "evalrunner:1.1:ci"
FOREIGN = "evalrunner:1.1:fork"


class Bomb:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


class Attacker:
    """Writes to the hash as he likes, with everything that he has seen, but without the private key."""

    def __init__(self, client: Valkey, rng: random.Random, marker: Path) -> None:
        self._client = client
        self._rng = rng
        self._marker = marker
        self.replayed: set[Fingerprint] = set()

    def attack(self) -> None:
        """Changes one entry, or plants one."""
        key = self._rng.choice(KEYS)
        raw = self._client.hget(HASH, bytes.fromhex(key)) or b""
        kind = self._rng.choice(
            ("flip", "flip", "flip", "cut", "swap", "replay", "foreign", "epoch", "plant", "forge")
        )
        value = getattr(self, kind)(key, bytearray(raw))
        self._client.hset(HASH, bytes.fromhex(key), bytes(value))

    def flip(self, key: Fingerprint, raw: bytearray) -> bytes:
        for _ in range(self._rng.choice((1, 1, 8)) if raw else 0):
            raw[self._rng.randrange(len(raw))] ^= 1 << self._rng.randrange(8)
        return bytes(raw)

    def cut(self, key: Fingerprint, raw: bytearray) -> bytes:
        return bytes(raw[: self._rng.randrange(len(raw) + 1)]) + b"\0" * self._rng.choice((0, 1))

    def swap(self, key: Fingerprint, raw: bytearray) -> bytes:
        other = self._rng.choice([one for one in KEYS if one != key])
        return self._client.hget(HASH, bytes.fromhex(other)) or b""

    def replay(self, key: Fingerprint, raw: bytearray) -> bytes:
        self.replayed.add(key)
        return self._client.hget("older", bytes.fromhex(key)) or b""

    def foreign(self, key: Fingerprint, raw: bytearray) -> bytes:
        return self._client.hget(FOREIGN, bytes.fromhex(key)) or b""

    def epoch(self, key: Fingerprint, raw: bytearray) -> bytes:
        return bytes(raw[:3]) + b"\0" + bytes(raw[4:])

    def plant(self, key: Fingerprint, raw: bytearray) -> bytes:
        bomb = pickle.dumps(Bomb(self._marker))
        names = str(self._marker).encode()
        return self._rng.choice((bomb, bytes(raw[:46]) + bomb, names, b"../../" + names))

    def forge(self, key: Fingerprint, raw: bytearray) -> bytes:
        """A sound entry of his own: what only a signature can tell."""
        signer = self._rng.choice((None, STRANGER))
        return Seal("ci", signer=signer).sealed({key: b"forged"}, 1.0)[key]


def signer() -> BatchSigner:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return BatchSigner(pem.decode())


OURS, STRANGER = signer(), signer()


@pytest.mark.damage
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_no_damage_on_a_server_makes_a_wrong_value(
    signed: bool, server: Server, tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    rng, marker = random.Random(seed), tmp_path / "touched"
    ours = OURS if signed else None
    verifier = BatchVerifier([public_key_text(OURS.public_key)]) if signed else None
    seal = Seal("ci", signer=ours, verifier=verifier)
    store = RedisStore(server_address(server.url), seal=seal)
    client = server.client()
    attacker = Attacker(client, rng, marker)
    store.put_many(dict.fromkeys(KEYS, OLDER))
    client.copy(HASH, "older")
    foreign = RedisStore(server_address(server.url), seal=Seal("fork", signer=ours))
    foreign.put_many(dict.fromkeys(KEYS, b"forked"))
    foreign.close()
    lost = 0
    for number in range(rounds(600, 10_000)):
        if number % 20 == 0:
            store.put_many(BODIES)
            attacker.replayed.clear()
        attacker.attack()
        found = store.get_many(KEYS)
        for key, body in found.items():
            genuine = body == BODIES[key] or (body == OLDER and key in attacker.replayed)
            forged = body == b"forged" and not signed
            assert genuine or forged, (seed, number, key)
        lost += len(found) < len(KEYS)
    store.close()
    client.close()
    assert lost > rounds(600, 10_000) // 2, "the damages did no damage"
    assert seal.damaged > 0 and bool(seal.untrusted) is signed
    assert store.trouble is None
    assert list(tmp_path.iterdir()) == [], "nothing was run, nothing was made"
