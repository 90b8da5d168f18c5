"""Several stores as one: what is near is asked first, and each is written as its mode allows."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from evalrunner.adapters.seal import Kept, Seal
from evalrunner.engine.ports import StoreStats
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint


class SealedStore(Protocol):
    """A store that gives and takes entries as they lie in it."""

    def get_sealed(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, Kept]:
        """The entries of those keys that verify, and are not older than that."""
        ...

    def put_sealed(self, sealed: Mapping[Fingerprint, bytes]) -> bool:
        """Stores entries; whether all of them are stored."""
        ...

    def stats(self) -> StoreStats:
        """What was seen so far."""
        ...

    def close(self) -> None:
        """Releases files and connections. Never raises."""
        ...


class Mode(StrEnum):
    """What a store among several is for.

    ``write`` takes new answers, and what a later store knew. ``read`` is never written. ``overlay`` takes
    new answers under a namespace of its own, which nobody else reads. ``fallback`` takes what no other
    store did.
    """

    WRITE = "write"
    READ = "read"
    OVERLAY = "overlay"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One of the stores."""

    store: SealedStore
    seal: Seal
    mode: Mode


class TieredStore:
    """A :class:`~evalrunner.engine.ports.CacheStore` over several; the first that knows a key answers.

    Args:
        layers: The stores, the nearest first.
        now: Seconds since 1970, recorded with each new entry.
    """

    def __init__(self, layers: Sequence[Layer], *, now: Callable[[], float] = time.time) -> None:
        self.layers = tuple(layers)
        self._now = now
        self._writes = 0
        self._left_over = 0

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that any store has; see the port."""
        found: dict[Fingerprint, bytes] = {}
        missing = list(dict.fromkeys(keys))
        for number, layer in enumerate(self.layers):
            if not missing:
                break
            kept = layer.store.get_sealed(missing, stored_after=stored_after)
            self._bring_nearer(number, kept)
            found.update((key, one.body) for key, one in kept.items())
            missing = [key for key in missing if key not in kept]
        return found

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores all of them wherever new answers go, the nearest store first; see the port."""
        sealed = _Sealed(bodies, self._now())
        taken = [
            layer.store.put_sealed(sealed.by(layer.seal))
            for layer in self.layers
            if layer.mode in (Mode.WRITE, Mode.OVERLAY)
        ]
        if not any(taken):
            for layer in self.layers:
                if layer.mode is Mode.FALLBACK and layer.store.put_sealed(sealed.by(layer.seal)):
                    self._left_over += len(bodies)
        self._writes += len(bodies) if any(taken) else 0

    def stats(self) -> StoreStats:
        """What all of them have seen."""
        seen = [layer.store.stats() for layer in self.layers]
        seals = {id(layer.seal): layer.seal for layer in self.layers}.values()
        trouble = [stats.degraded for stats in seen if stats.degraded]
        if trouble and self._left_over:
            trouble.append(f"{self._left_over:,} answers are kept on this machine alone")
        return StoreStats(
            damaged=sum(seal.damaged for seal in seals),
            untrusted=sum(seal.untrusted for seal in seals),
            turned_away=ChainMap(*(seal.turned_away for seal in seals)),
            writes=self._writes,
            degraded="; ".join(trouble) or None,
        )

    def close(self) -> None:
        """Closes all of them. Never raises."""
        for layer in self.layers:
            layer.store.close()

    def _bring_nearer(self, number: int, kept: Mapping[Fingerprint, Kept]) -> None:
        """Has nearer stores keep what a later one knew, as it is: its age and its signature stay."""
        if not kept:
            return
        sealed = {key: one.raw for key, one in kept.items()}
        source = self.layers[number].seal.namespace
        for nearer in self.layers[:number]:
            if nearer.mode is Mode.WRITE and nearer.seal.namespace == source:
                nearer.store.put_sealed(sealed)


class _Sealed:
    """Bodies, sealed once for each seal."""

    def __init__(self, bodies: Mapping[Fingerprint, bytes], stored_at: float) -> None:
        self._bodies = bodies
        self._stored_at = stored_at
        self._by_seal: dict[int, dict[Fingerprint, bytes]] = {}

    def by(self, seal: Seal) -> dict[Fingerprint, bytes]:
        """The entries as that seal writes them."""
        if id(seal) not in self._by_seal:
            self._by_seal[id(seal)] = seal.sealed(self._bodies, self._stored_at)
        return self._by_seal[id(seal)]
