"""Leases on a server: one run at a time for each key, however its owner ends, and no answer that is late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.leases_redis import RedisLeases
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import server_address
from evalrunner.values.fingerprint import Fingerprint, digest
from tests.servers import Server

T = TypeVar("T")
KEYS = [digest(number) for number in range(6)]


class Machine:
    """A store and its leases."""

    def __init__(self, url: str, *, lease_seconds: float = 15.0, namespace: str = "ci") -> None:
        self.store = RedisStore(server_address(url), seal=Seal(namespace))
        self.leases = RedisLeases(self.store, namespace=namespace, lease_seconds=lease_seconds)
        OPENED.append(self)

    async def take(self, *keys: Fingerprint) -> set[Fingerprint]:
        return set(await self.leases.take(keys))

    def keep(self, key: Fingerprint, body: bytes) -> None:
        self.store.put_many({key: body})

    def found(self, key: Fingerprint) -> bytes | None:
        return self.store.get_many([key]).get(key)


OPENED: list[Machine] = []


def run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    finally:
        while OPENED:
            OPENED.pop().store.close()


def test_a_key_is_one_machine_s_until_it_is_released(server: Server) -> None:
    async def work() -> None:
        here, there = Machine(server.url), Machine(server.url)
        assert not here.leases.alone
        assert await here.take(*KEYS[:3]) == set(KEYS[:3])
        assert await there.take(*KEYS) == set(KEYS[3:])
        here.leases.release(KEYS[:1])
        here.leases.release(KEYS[3:])
        assert here.leases._releasing is not None
        await here.leases._releasing
        assert await there.take(*KEYS) == {KEYS[0]}
        assert await here.take(*KEYS) == set()
        await there.leases.aclose()
        assert await here.take(*KEYS) == {KEYS[0], *KEYS[3:]}
        await here.leases.aclose()
        assert server.command("KEYS", "*lease*") == []

    run(work())


def test_namespaces_do_not_meet(server: Server) -> None:
    async def work() -> None:
        here, there = Machine(server.url), Machine(server.url, namespace="other")
        assert await here.take(KEYS[0]) == await there.take(KEYS[0]) == {KEYS[0]}

    run(work())


def test_what_is_renewed_stays_and_what_is_not_is_followed(server: Server) -> None:
    async def work() -> None:
        here, there = Machine(server.url, lease_seconds=0.4), Machine(server.url)
        assert await here.take(*KEYS[:2]) == set(KEYS[:2])
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            await here.leases.tend(KEYS[:2])
            assert await there.take(*KEYS[:2]) == set()
            await asyncio.sleep(0.02)
        deadline = time.monotonic() + 20
        while not await there.take(KEYS[0]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    run(work())


def test_an_owner_that_comes_late_overwrites_nothing(server: Server) -> None:
    async def work() -> None:
        slow, follower = Machine(server.url), Machine(server.url)
        assert await slow.take(KEYS[0]) == {KEYS[0]}
        server.command("DEL", f"evalrunner:1.1:ci:lease:{KEYS[0]}")  # as if it had lapsed
        assert await follower.take(KEYS[0]) == {KEYS[0]}
        slow.keep(KEYS[0], b"late")
        assert slow.found(KEYS[0]) is None
        follower.keep(KEYS[0], b"paid")
        slow.keep(KEYS[0], b"late")
        follower.leases.release(KEYS[:1])
        await follower.leases.aclose()
        slow.keep(KEYS[0], b"late")
        assert slow.found(KEYS[0]) == b"paid"
        slow.leases.release(KEYS[:1])
        await slow.leases.aclose()

    run(work())


def test_a_lease_that_lapsed_without_a_follower_loses_no_answer(server: Server) -> None:
    async def work() -> None:
        here = Machine(server.url)
        await here.take(KEYS[0])
        server.command("DEL", f"evalrunner:1.1:ci:lease:{KEYS[0]}")
        here.store.put_many({KEYS[0]: b"leased", KEYS[1]: b"free"})
        assert (here.found(KEYS[0]), here.found(KEYS[1])) == (b"leased", b"free")

    run(work())


def test_a_server_that_is_gone_grants_everything(server: Server) -> None:
    async def work() -> None:
        nowhere = Machine("redis://127.0.0.1:1")
        assert await nowhere.take(*KEYS) == set(KEYS)
        await nowhere.leases.tend(KEYS)
        nowhere.leases.release(KEYS)
        await nowhere.leases.aclose()

    run(work())


@pytest.mark.parametrize("rights", ["", "+eval", "+eval +set"])
def test_a_user_without_the_right_to_scripts_stores_all_the_same(
    server: Server, rights: str
) -> None:
    words = "on >secret resetkeys ~evalrunner:* -@all +hmget +hset +hsetnx " + rights
    server.command("ACL", "SETUSER", "modest", *words.split())

    async def work() -> None:
        url = server.url.replace("//", "//modest:secret@")
        here = Machine(url)
        assert await here.take(*KEYS) == set(KEYS)
        here.keep(KEYS[0], b"kept")
        assert here.found(KEYS[0]) == b"kept"
        assert here.store.stats().degraded is None
        await here.leases.aclose()

    run(work())
