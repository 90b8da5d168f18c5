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


# ---------------------------------------------------------------- going through all entries


@pytest.fixture(params=["disk", "server"])
def inventory(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock
) -> Iterator[DiskStore | RedisStore]:
    if request.param == "disk":
        opened: DiskStore | RedisStore = disk_store(clock, tmp_path, "")
    else:
        opened = server_store(clock, tmp_path, request.getfixturevalue("server").url)
    yield opened
    opened.close()


def test_every_entry_is_met_once_with_its_age_and_its_bytes(
    inventory: DiskStore | RedisStore,
) -> None:
    bodies = {key: key.encode() * 3 for key in keys(2500)}
    inventory.put_many(bodies)
    met = list(inventory.scan())
    assert len(met) == 2500
    assert {one.key: one.kept.body for one in met if one.kept} == bodies
    assert {one.kept.stored_at for one in met if one.kept} == {1000.0}
    assert all(one.kept and one.size == len(one.kept.raw) for one in met)
    assert inventory.stats().degraded is None


def test_an_empty_store_has_no_entries(inventory: DiskStore | RedisStore) -> None:
    assert list(inventory.scan()) == []
    assert inventory.delete_many(keys(2)) == 0
    assert inventory.clear() == 0


def test_what_is_deleted_is_gone_and_the_store_is_another(
    inventory: DiskStore | RedisStore,
) -> None:
    inventory.put_many(dict.fromkeys(keys(2000), b"x"))
    before = inventory.identity()
    gone = keys(1500)
    assert inventory.delete_many([*gone, digest("never stored")]) == 1500
    assert {one.key for one in inventory.scan()} == {*keys(2000)} - {*gone}
    assert inventory.identity() not in ("", before)
    assert inventory.clear() == 500
    assert list(inventory.scan()) == []


def test_a_server_that_is_gone_says_that_not_all_was_told(tmp_path: Path) -> None:
    store = RedisStore(server_address("redis://127.0.0.1:1"), seal=Seal("ci"))
    assert list(store.scan()) == []
    assert store.delete_many(keys(1)) == store.clear() == 0
    assert "nobody listens" in (store.stats().degraded or "")
