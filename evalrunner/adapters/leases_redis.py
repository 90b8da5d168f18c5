"""Leases between machines: keys of their own on the server, which end by themselves.

A lease is a name that nobody else has, under the request's key, for a quarter of a minute; whoever holds it
renews it while the call goes on. An owner that dies is thus followed soon; one that was merely slow, so that
somebody else has its lease by now, finds that what it brings is no longer wanted: the name is its fencing
token, and the server takes an answer only with the one that is current.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Final

from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.resp_wire import Reply, ServerError
from evalrunner.adapters.server_identity import lease_key
from evalrunner.values.fingerprint import Fingerprint

LEASE_SECONDS: Final = 15.0
"""How long a lease outlives its owner. It is renewed three times in this time."""

_TAKE: Final = b"""local taken = {}
for i = 1, #KEYS do
  local free = redis.call('SET', KEYS[i], ARGV[i + 1], 'NX', 'PX', ARGV[1])
  taken[i] = (free or redis.call('GET', KEYS[i]) == ARGV[i + 1]) and 1 or 0
end
return taken"""
_RENEW: Final = b"""for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[i + 1] then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
end
return #KEYS"""
_RELEASE: Final = b"""for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[i] then redis.call('DEL', KEYS[i]) end
end
return #KEYS"""


class RedisLeases:
    """A :class:`~evalrunner.engine.ports.Leases` on the server of a store, which it fences.

    A server that fails, or does not let this user keep leases, grants everything: a dead server costs
    what a cache saves, never an answer.

    Args:
        store: The store; what is written to it from now on is fenced by the leases held.
        namespace: Whose leases they are.
        lease_seconds: How long a lease outlives its owner.
    """

    def __init__(
        self, store: RedisStore, *, namespace: str, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self.tend_seconds = lease_seconds / 3
        self._store = store
        self._namespace = namespace
        self._milliseconds = b"%d" % int(lease_seconds * 1000)
        self._owner = os.urandom(8).hex()
        self._numbers = count(1)
        self._tokens: dict[Fingerprint, bytes] = {}
        self._leaving: dict[Fingerprint, bytes] = {}
        self._releasing: asyncio.Task[None] | None = None
        self._refused = False
        store.fence(self._tokens)

    @property
    def alone(self) -> bool:
        """Never: who else has the server's address is not known."""
        return False

    async def take(self, keys: Sequence[Fingerprint]) -> AbstractSet[Fingerprint]:
        """Those of the keys that no other run holds; see the port."""
        if self._refused:
            return frozenset(keys)
        tokens = {key: f"{self._owner}-{next(self._numbers)}".encode() for key in keys}
        reply = await self._run(_TAKE, tokens, self._milliseconds)
        if not isinstance(reply, list) or len(reply) != len(tokens):
            self._refused = isinstance(reply, ServerError)
            return frozenset(keys)
        taken = {key for key, was_free in zip(tokens, reply, strict=True) if was_free == 1}
        self._tokens.update((key, tokens[key]) for key in taken)
        return taken

    def release(self, keys: Sequence[Fingerprint]) -> None:
        """Gives them back in a moment; see the port."""
        self._leaving |= {key: self._tokens.pop(key) for key in keys if key in self._tokens}
        if self._leaving and self._releasing is None:
            self._releasing = asyncio.get_running_loop().create_task(self._release())

    async def tend(self, held: Sequence[Fingerprint]) -> None:
        """Renews what is held."""
        await self._run(_RENEW, self._tokens, self._milliseconds)

    async def aclose(self) -> None:
        """Gives everything back."""
        self.release(list(self._tokens))
        if self._releasing is not None:
            await self._releasing

    async def _release(self) -> None:
        while self._leaving:
            leaving, self._leaving = self._leaving, {}
            await self._run(_RELEASE, leaving)
        self._releasing = None

    async def _run(
        self, script: bytes, tokens: Mapping[Fingerprint, bytes], *first: bytes
    ) -> Reply:
        """A script's reply, asked for in a thread, since a server may take its time."""
        if not tokens or self._refused:
            return None
        keys = [self._key(key) for key in tokens]
        command = [b"EVAL", script, b"%d" % len(keys), *keys, *first, *tokens.values()]
        replies = await asyncio.to_thread(self._store.ask, [command], keys=len(keys))
        return replies[0] if replies else None

    def _key(self, key: Fingerprint) -> bytes:
        return lease_key(self._namespace, key)
