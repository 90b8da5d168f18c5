"""The store that a team shares: one hash on a Redis or Valkey server for each namespace and epoch.

A server that is dead, slow, paused, full or of another mind costs a run a second or two, once, and the
benefit of the cache; never an answer. Nothing is read that does not verify.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from evalrunner.adapters.breaker import Breaker
from evalrunner.adapters.resp_wire import (
    SILENCE_SECONDS,
    Command,
    Reply,
    RespConnection,
    ServerError,
    ServerGoneError,
)
from evalrunner.adapters.seal import Kept, Listed, Seal
from evalrunner.adapters.server_address import ServerAddress
from evalrunner.adapters.server_identity import hash_key, lease_key
from evalrunner.adapters.server_name import FIELD
from evalrunner.engine.ports import StoreStats
from evalrunner.values.fingerprint import Fingerprint

T = TypeVar("T")

READ_CHUNK: Final = 500
WRITE_CHUNK: Final = 200
SECONDS_PER_KEY: Final = 0.0001
"""What a key of a bulk look-up may take beyond the half second that any command may."""

_FENCED: Final = b"""local stored = 0
for i = 2, #KEYS do
  local at = (i - 2) * 3
  local owner = redis.call('GET', KEYS[i])
  if owner == ARGV[at + 1] or (not owner and redis.call('HEXISTS', KEYS[1], ARGV[at + 2]) == 0) then
    redis.call('HSET', KEYS[1], ARGV[at + 2], ARGV[at + 3])
    stored = stored + 1
  end
end
return stored"""
"""Stores the answers whose lease is still that of whoever brings them; one that lapsed without a
follower counts as that."""

_FOR_GOOD: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "CROSSSLOT", "WRONGTYPE"})
_MEANING: Final[Mapping[str, str]] = {
    "NOAUTH": "asks for a password",
    "WRONGPASS": "does not accept the user or the password",
    "NOPERM": "does not allow this user to do that",
    "OOM": "is full",
    "LOADING": "is still loading its data",
    "READONLY": "is a replica and takes no writes",
    "MISCONF": "cannot save to its disk and takes no writes",
    "MOVED": "is a cluster; name the node that holds the key",
    "WRONGTYPE": "holds something else under the key",
}


class ServerState(NamedTuple):
    """What a server says about itself; ``None`` where this user may not know."""

    entries: int | None
    version: str | None
    policy: str | None
    used_memory: int | None
    most_memory: int | None


class RedisStore:
    """A :class:`~evalrunner.engine.ports.CacheStore` on a server. No method raises or waits long.

    Args:
        address: The server. It is first asked when something is looked up or stored.
        seal: Whose entries are seen, how they are sealed and which are believed.
        expire_seconds: How long the server keeps an entry, where it can tell entries apart (Redis 7.4,
            Valkey 9); elsewhere entries stay until they are pruned. ``None`` for ever.
        writable: Whether anything is stored.
        now: Seconds since 1970, recorded with each entry.
        monotonic: Seconds that never run backwards, for deadlines.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        seal: Seal,
        expire_seconds: float | None = None,
        writable: bool = True,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.trouble: str | None = None
        self._seal = seal
        self._hash = hash_key(seal.namespace).encode("utf-8", "surrogatepass")
        self._expire = expire_seconds
        self._writable = writable
        self._now = now
        self._monotonic = monotonic
        self._server = Breaker(monotonic)
        self._writing = Breaker(monotonic)
        self._connection: RespConnection | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writes = 0
        self._fences: Mapping[Fingerprint, bytes] = {}

    def fence(self, tokens: Mapping[Fingerprint, bytes]) -> None:
        """From now on an answer whose key is in *tokens* is stored with its token only.

        The mapping changes as leases come and go. An answer that comes with a token which is no longer
        current is dropped: somebody else has paid for that key, or is about to.
        """
        self._fences = tokens

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that the server has; see the port."""
        found = self.get_sealed(keys, stored_after=stored_after)
        return {key: kept.body for key, kept in found.items()}

    def get_sealed(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, Kept]:
        """The same with when each was stored, and in the form in which another store takes it."""
        found: dict[Fingerprint, Kept] = {}
        chunks = list(_chunks(iter(keys), READ_CHUNK))
        commands = [[b"HMGET", self._hash, *map(_field, chunk)] for chunk in chunks]
        replies = self.ask(commands, keys=len(keys)) if commands else []
        for chunk, values in zip(chunks, replies, strict=False):
            if not isinstance(values, list) or len(values) != len(chunk):
                continue
            for key, raw in zip(chunk, values, strict=True):
                if not isinstance(raw, bytes):
                    continue
                opened = self._seal.opened(key, raw)
                if opened and (stored_after is None or opened.stored_at >= stored_after):
                    found[key] = Kept(opened.body, opened.stored_at, raw)
        return found

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores all of them, acknowledged by the server when it returns; see the port."""
        if self._writable:
            self.put_sealed(self._seal.sealed(bodies, self._now()))

    def put_sealed(self, sealed: Mapping[Fingerprint, bytes]) -> bool:
        """Stores what has been sealed for this namespace; whether the server has acknowledged it all."""
        if not sealed or not self._writable:
            return not sealed
        if not self._writing.allows():
            return False
        commands = list(self._storing(sealed))
        replies = self.ask(commands, keys=len(sealed))
        if len(replies) < len(commands):
            return False
        refused = [
            reply
            for command, reply in zip(commands, replies, strict=True)
            if command[0] in (b"HSET", b"EVAL") and isinstance(reply, ServerError)
        ]
        if refused and self._fences and refused[0].code != "OOM":
            self._fences = {}  # a user who may not run all of the script stores without it
            return self.put_sealed(sealed)
        if refused:
            self._refuse(refused[0], self._writing)
            return False
        self._note_expiry(commands, replies)
        self._writing.worked()
        self._writes += len(sealed)
        return True

    def stats(self) -> StoreStats:
        """What was seen since the store was opened."""
        return StoreStats(
            damaged=self._seal.damaged,
            untrusted=self._seal.untrusted,
            turned_away=MappingProxyType(self._seal.turned_away),
            writes=self._writes,
            degraded=self.trouble,
        )

    def close(self) -> None:
        """Closes the connection. Never raises."""
        with self._lock:
            self._drop()

    def identity(self) -> str:
        """A name that no other store has, nor this one once it was cleared or pruned.

        ``""`` while nothing was ever stored, or where the server does not answer.
        """
        replies = self.ask([[b"HMGET", self._hash, FIELD]], keys=1)
        values = replies[0] if replies else None
        name = values[0] if isinstance(values, list) and values else None
        return name.decode("ascii", "replace") if isinstance(name, bytes) else ""

    def state(self) -> ServerState:
        """How the server is, for a report on its health."""
        commands: list[Command] = [
            [b"HLEN", self._hash],
            [b"HMGET", self._hash, FIELD],
            [b"INFO", b"server"],
            [b"INFO", b"memory"],
        ]
        replies = self.ask(commands, keys=1)
        length, names, server, memory = replies if len(replies) == 4 else (None,) * 4
        named = isinstance(names, list) and names[0] is not None
        known = {**_info(server), **_info(memory)}
        return ServerState(
            entries=length - named if isinstance(length, int) else None,
            version=known.get("valkey_version") or known.get("redis_version"),
            policy=known.get("maxmemory_policy"),
            used_memory=_number(known.get("used_memory")),
            most_memory=_number(known.get("maxmemory")),
        )

    def scan(self) -> Iterator[Listed]:
        """Every entry, page by page; see :class:`~evalrunner.adapters.seal.Inventory`."""
        cursor, seen = b"0", set[bytes]()
        while True:
            replies = self.ask([[b"HSCAN", self._hash, cursor, b"COUNT", b"500"]], keys=500)
            page = replies[0] if replies else None
            if not isinstance(page, list) or len(page) != 2 or not isinstance(page[1], list):
                self._note(f"{self.address} has not told of all its entries")
                return
            cursor = page[0] if isinstance(page[0], bytes) else b"0"
            pairs = zip(page[1][::2], page[1][1::2], strict=False)
            for field, raw in pairs:
                if isinstance(field, bytes) and isinstance(raw, bytes) and field not in seen:
                    seen.add(field)  # a server that makes room meanwhile may tell of one twice
                    if field != FIELD:
                        yield self._listed(Fingerprint(field.hex()), raw)
            if cursor == b"0":
                return

    def delete_many(self, keys: Sequence[Fingerprint]) -> int:
        """Removes these entries; see :class:`~evalrunner.adapters.seal.Inventory`."""
        if not self._writable or not keys:
            return 0
        name = os.urandom(16).hex().encode()
        chunks = _chunks(iter(keys), READ_CHUNK)
        commands: list[Command] = [[b"HSET", self._hash, FIELD, name]]
        commands += [[b"HDEL", self._hash, *map(_field, chunk)] for chunk in chunks]
        return self._count(self.ask(commands, keys=len(keys))[1:])

    def clear(self) -> int:
        """Removes all entries of this namespace and epoch. Returns how many there were."""
        if not self._writable:
            return 0
        commands: list[Command] = [
            [b"HDEL", self._hash, FIELD],
            [b"HLEN", self._hash],
            [b"UNLINK", self._hash],
        ]
        replies = self.ask(commands, keys=1)
        return self._count(replies[1:2]) if self._count(replies[2:]) else 0

    def _listed(self, key: Fingerprint, raw: bytes) -> Listed:
        opened = self._seal.opened(key, raw)
        return Listed(key, Kept(opened.body, opened.stored_at, raw) if opened else None, len(raw))

    def _count(self, replies: Sequence[Reply]) -> int:
        """The sum of what the server says it did; its first refusal is noted."""
        for reply in replies:
            if isinstance(reply, ServerError):
                self._refuse(reply, self._writing)
                break
        return sum(reply for reply in replies if isinstance(reply, int))

    def _storing(self, sealed: Mapping[Fingerprint, bytes]) -> Iterator[Command]:
        yield [b"HSETNX", self._hash, FIELD, os.urandom(16).hex().encode()]
        for chunk in _chunks(iter(sealed), WRITE_CHUNK):
            fields = list(map(_field, chunk))
            yield from self._storing_chunk({key: sealed[key] for key in chunk})
            if self._expire is not None:
                wait = b"%d" % max(1, int(self._expire * 1000))
                count = b"%d" % len(fields)
                yield [b"HPEXPIRE", self._hash, wait, b"FIELDS", count, *fields]

    def _storing_chunk(self, sealed: Mapping[Fingerprint, bytes]) -> Iterator[Command]:
        """The entries that no lease is held on as they are, the others with their tokens."""
        fences = {key: token for key in sealed if (token := self._fences.get(key))}
        free = [(_field(key), raw) for key, raw in sealed.items() if key not in fences]
        if free:
            yield [b"HSET", self._hash, *(part for pair in free for part in pair)]
        if fences:
            leases = [lease_key(self._seal.namespace, key) for key in fences]
            brought = ((token, _field(key), sealed[key]) for key, token in fences.items())
            parts = [part for entry in brought for part in entry]
            yield [b"EVAL", _FENCED, b"%d" % (len(leases) + 1), self._hash, *leases, *parts]

    def _note_expiry(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        """A server that cannot let one entry expire is not asked again."""
        for command, reply in zip(commands, replies, strict=True):
            if command[0] == b"HPEXPIRE" and isinstance(reply, ServerError):
                self._expire = None

    def ask(self, commands: Sequence[Command], *, keys: int) -> list[Reply]:
        """The replies to commands about so many keys, which says how long they may take.

        None where the server is left in peace, fails, or refuses the first command.
        """
        if self._pid != os.getpid():
            self._connection, self._pid, self._lock = None, os.getpid(), threading.Lock()
        with self._lock:
            if not self._server.allows():
                return []
            began = self._monotonic()
            deadline = time.monotonic() + SILENCE_SECONDS + keys * SECONDS_PER_KEY
            try:
                replies = self._exchange(commands, deadline)
            except ServerGoneError as error:
                self._drop()
                self._note(f"{self.address}: {error}")
                self._server.failed(self._monotonic() - began)
                return []
            except ServerError as error:
                self._drop()
                self._refuse(error, self._server)
                return []
            if isinstance(replies[0], ServerError) and commands[0][0] == b"HMGET":
                self._refuse(replies[0], self._server)
                return []
            self._server.worked()
            return replies

    def _exchange(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        """Asks; once more on a new connection where an old one turns out to be closed."""
        if self._connection is not None:
            try:
                return self._connection.pipeline(commands, deadline=deadline)
            except ServerGoneError as error:
                self._drop()
                if error.silent:
                    raise
        self._connection = RespConnection(self.address, deadline=deadline)
        return self._connection.pipeline(commands, deadline=deadline)

    def _refuse(self, error: ServerError, breaker: Breaker) -> None:
        self._note(f"{self.address} {_MEANING.get(error.code, f'refuses: {error.message[:200]}')}")
        if error.code in _FOR_GOOD:
            breaker.stop()
        else:
            breaker.failed(0.0)

    def _note(self, trouble: str) -> None:
        self.trouble = self.trouble or trouble

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _field(key: Fingerprint) -> bytes:
    """The 32 bytes of a fingerprint."""
    try:
        return bytes.fromhex(key)
    except ValueError:
        return key.encode("utf-8", "surrogatepass")


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _info(reply: Reply) -> dict[str, str]:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 20 else None
