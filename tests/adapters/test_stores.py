"""The promises of every store, over each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.cache_tiered import Layer, Mode, TieredStore
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import server_address
from evalrunner.engine.ports import CacheStore
from evalrunner.testing import FixedClock, MemoryStore
from evalrunner.values.fingerprint import Fingerprint, digest


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(1000.0)


def memory_store(clock: FixedClock, tmp_path: Path, url: str) -> CacheStore:
    return MemoryStore(now=clock.now)


def disk_store(clock: FixedClock, tmp_path: Path, url: str) -> DiskStore:
    return open_disk_store(tmp_path / "cache", namespace="ci", now=clock.now)


def server_store(clock: FixedClock, tmp_path: Path, url: str) -> RedisStore:
    return RedisStore(server_address(url), seal=Seal("ci"), now=clock.now)


def tiered_store(clock: FixedClock, tmp_path: Path, url: str) -> CacheStore:
    layers = [
        Layer(store=disk_store(clock, tmp_path, url), seal=Seal("ci"), mode=Mode.WRITE),
        Layer(store=server_store(clock, tmp_path, url), seal=Seal("ci"), mode=Mode.WRITE),
    ]
    return TieredStore(layers, now=clock.now)


OPENERS = {
    "memory": memory_store,
    "disk": disk_store,
    "server": server_store,
    "tiered": tiered_store,
}


@pytest.fixture(params=OPENERS)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock
) -> Iterator[CacheStore]:
    needs_server = request.param in ("server", "tiered")
    url = request.getfixturevalue("server").url if needs_server else ""
    opened = OPENERS[request.param](clock, tmp_path, url)
    yield opened
    opened.close()


def keys(count: int) -> list[Fingerprint]:
    return [digest(number) for number in range(count)]


def test_an_empty_store_has_nothing(store: CacheStore) -> None:
    assert store.get_many([]) == {}
    assert store.get_many(keys(3)) == {}
    assert store.stats().degraded is None


def test_what_was_put_is_found_and_nothing_else(store: CacheStore) -> None:
    here, there = keys(2)
    store.put_many({here: b"one"})
    assert store.get_many([here, there]) == {here: b"one"}


@pytest.mark.parametrize("body", [b"", b"\0", b"x" * 100_000, bytes(range(256)) * 300])
def test_bodies_come_back_byte_for_byte(store: CacheStore, body: bytes) -> None:
    (key,) = keys(1)
    store.put_many({key: body})
    assert store.get_many([key]) == {key: body}


def test_thousands_of_keys_are_one_question(store: CacheStore) -> None:
    bodies = {key: key.encode() for key in keys(2500)}
    store.put_many(bodies)
    assert store.get_many(list(bodies)) == bodies
    assert store.stats().writes == 2500


def test_a_key_asked_twice_is_one_answer(store: CacheStore) -> None:
    (key,) = keys(1)
    store.put_many({key: b"x"})
    assert store.get_many([key, key]) == {key: b"x"}


def test_the_last_body_of_a_key_stands(store: CacheStore) -> None:
    (key,) = keys(1)
    store.put_many({key: b"first"})
    store.put_many({key: b"second"})
    assert store.get_many([key]) == {key: b"second"}


def test_older_entries_are_left_out_where_asked(store: CacheStore, clock: FixedClock) -> None:
    old, new = keys(2)
    store.put_many({old: b"old"})
    clock.advance(10)
    store.put_many({new: b"new"})
    assert store.get_many([old, new], stored_after=1005.0) == {new: b"new"}
    assert len(store.get_many([old, new], stored_after=1000.0)) == 2


def test_putting_nothing_changes_nothing(store: CacheStore) -> None:
    store.put_many({})
    assert store.stats().writes == 0


def test_a_store_may_be_closed_twice(store: CacheStore) -> None:
    store.close()
    store.close()
