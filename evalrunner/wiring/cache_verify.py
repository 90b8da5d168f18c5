"""Every entry of every store looked at: what is intact, and what would not be believed."""

from __future__ import annotations

from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.wiring.shelves import Shelf, Shelves

MOST_NAMED: Final = 1000
"""How many wrong entries of one store are listed; all of them are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One store, looked through.

    Attributes:
        store: Where it is.
        namespace: Whose entries were looked at.
        entries: How many there are.
        damaged: Those that are not what was stored under their key in this namespace.
        untrusted: Those that are intact, and no trusted key has signed them.
        wrong: The keys of both, :data:`MOST_NAMED` at most.
        trouble: Why not all of it could be looked through; ``None`` where it was.
    """

    store: str
    namespace: str
    entries: int
    damaged: int
    untrusted: int
    wrong: tuple[Fingerprint, ...]
    trouble: str | None

    @property
    def sound(self) -> bool:
        """Whether everything is there and believed."""
        return not (self.damaged or self.untrusted or self.trouble)


def verify(shelves: Shelves) -> list[Verified]:
    """Opens the envelope of every entry of this project. Nothing is changed, and nothing is run."""
    return [_verified(shelf) for shelf in shelves.all]


def _verified(shelf: Shelf) -> Verified:
    entries, wrong = 0, list[Fingerprint]()
    before = shelf.store.stats()
    for listed in shelf.store.scan():
        entries += 1
        if listed.kept is None and len(wrong) < MOST_NAMED:
            wrong.append(listed.key)
    after = shelf.store.stats()
    return Verified(
        store=shelf.name,
        namespace=shelf.seal.namespace,
        entries=entries,
        damaged=after.damaged - before.damaged,
        untrusted=after.untrusted - before.untrusted,
        wrong=tuple(wrong),
        trouble=after.degraded,
    )
