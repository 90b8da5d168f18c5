"""How the entries of one namespace are sealed, and which of them are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from evalrunner.adapters.envelope import (
    LARGEST_BODY,
    Draft,
    Opened,
    draft,
    open_sealed,
    open_with_proof,
    seal,
)
from evalrunner.values.fingerprint import Fingerprint


class Kept(NamedTuple):
    """One verified entry, with the bytes that it was read from."""

    body: bytes
    stored_at: float
    raw: bytes


class Listed(NamedTuple):
    """An entry as it was met while all of them were gone through.

    ``kept`` is ``None`` where it is not believed; ``size`` is of its bytes as they lie in the store.
    """

    key: Fingerprint
    kept: Kept | None
    size: int


class Inventory(Protocol):
    """A store whose entries can be gone through, one namespace and epoch at a time."""

    def scan(self) -> Iterator[Listed]:
        """Every entry once, in any order; one that comes or goes meanwhile may be left out.

        It never raises. What could not be gone through is noted in the store's statistics.
        """
        ...

    def delete_many(self, keys: Sequence[Fingerprint]) -> int:
        """Removes entries for good, so that nothing is believed any more that was known of them.

        Returns how many were there.
        """
        ...

    def clear(self) -> int:
        """Removes all entries of the namespace. Returns how many there were."""
        ...


class Signer(Protocol):
    """Signs entries, many at once."""

    def proofs(self, digests: Sequence[bytes]) -> list[bytes]:
        """For each digest what proves that this signer knew it."""
        ...


class Verifier(Protocol):
    """Knows whose signatures count."""

    def proves(self, digest: bytes, proof: bytes) -> bool:
        """Whether a trusted key has signed the digest. Never raises."""
        ...


MOST_TURNED_AWAY: Final = 100_000
"""So many are known by their keys; beyond that they are only counted."""


class Seal:
    """The seal of one namespace.

    Args:
        namespace: Whose entries they are; they open in no other.
        signer: Signs what is stored; ``None`` stores unsigned.
        verifier: Has to be convinced of what is read; ``None`` believes whatever is intact.

    Attributes:
        damaged: How many entries did not verify.
        untrusted: How many were intact, and no trusted key had signed them.
        turned_away: The keys of both kinds, the first :data:`MOST_TURNED_AWAY` of them.
    """

    def __init__(
        self, namespace: str, *, signer: Signer | None = None, verifier: Verifier | None = None
    ) -> None:
        self.namespace = namespace
        self.damaged = 0
        self.untrusted = 0
        self.turned_away: dict[Fingerprint, str] = {}
        self._signer = signer
        self._verifier = verifier

    def sealed(
        self, bodies: Mapping[Fingerprint, bytes], stored_at: float
    ) -> dict[Fingerprint, bytes]:
        """What to store for each body. One that is too large to be stored is left out."""
        if self._signer is not None:
            return self._signed(bodies, stored_at, self._signer)
        return {
            key: seal(key, body, namespace=self.namespace, stored_at=stored_at)
            for key, body in bodies.items()
            if fits(body)
        }

    def opened(self, key: Fingerprint, raw: bytes | None) -> Opened | None:
        """The body, if the bytes are believed; else ``None``, and it is counted."""
        if raw is None:
            self._damaged(key)
            return None
        if self._verifier is not None:
            return self._proven(key, raw, self._verifier)
        opened = open_sealed(raw, key, namespace=self.namespace)
        if opened is None:
            self._damaged(key)
        return opened

    def _proven(self, key: Fingerprint, raw: bytes, verifier: Verifier) -> Opened | None:
        found = open_with_proof(raw, key, namespace=self.namespace)
        if found is None:
            self._damaged(key)
            return None
        if not verifier.proves(found.digest, found.proof):
            self.untrusted += key not in self.turned_away  # an entry may be read more than once
            self._note(key, "untrusted")
            return None
        return Opened(found.body, found.stored_at)

    def _damaged(self, key: Fingerprint) -> None:
        self.damaged += key not in self.turned_away
        self._note(key, "damaged")

    def _note(self, key: Fingerprint, word: str) -> None:
        if len(self.turned_away) < MOST_TURNED_AWAY:
            self.turned_away[key] = word

    def _signed(
        self, bodies: Mapping[Fingerprint, bytes], stored_at: float, signer: Signer
    ) -> dict[Fingerprint, bytes]:
        drafts: dict[Fingerprint, Draft] = {
            key: draft(key, body, namespace=self.namespace, stored_at=stored_at)
            for key, body in bodies.items()
            if fits(body)
        }
        proofs = signer.proofs([one.digest for one in drafts.values()])
        return {
            key: one.with_proof(proof)
            for (key, one), proof in zip(drafts.items(), proofs, strict=True)
        }


def fits(body: bytes) -> bool:
    """Whether a body is small enough to be stored."""
    return len(body) <= LARGEST_BODY
