"""Who pays and who waits, over scripted leases and a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.pay_once import PATIENCE_SECONDS, PayOnce
from evalrunner.engine.replay import StoreReader
from evalrunner.engine.stored import response_to_bytes
from evalrunner.errors import Interrupted
from evalrunner.testing import FixedClock, MemoryStore
from evalrunner.values.exchange import Reply
from evalrunner.values.fingerprint import Fingerprint, fingerprint
from tests.engine.builders import ENDPOINTS, answer, question
from tests.engine.test_replay import Book

ASKED = question("hi")
KEY = fingerprint(ASKED)
Work = Callable[[PayOnce], Coroutine[Any, Any, None]]


class Others:
    """Leases of which other runs hold some."""

    tend_seconds = 0.001

    def __init__(self, *held: Fingerprint, alone: bool = False) -> None:
        self.alone = alone
        self.elsewhere = set(held)
        self.ours: set[Fingerprint] = set()
        self.looked = 0
        self.tended: list[Sequence[Fingerprint]] = []
        self.on_look: Callable[[int], None] = lambda _: None

    async def take(self, keys: Sequence[Fingerprint]) -> set[Fingerprint]:
        self.looked += 1
        self.on_look(self.looked)
        taken = {*keys} - self.elsewhere
        assert not taken & self.ours, "nothing is taken twice"
        self.ours |= taken
        return taken

    def release(self, keys: Sequence[Fingerprint]) -> None:
        assert self.ours >= {*keys}, "nothing is given back that was not taken"
        self.ours -= {*keys}

    async def tend(self, held: Sequence[Fingerprint]) -> None:
        self.tended.append(held)

    async def aclose(self) -> None:
        self.ours.clear()


class Rig:
    def __init__(self, leases: Others, *, again: Sequence[str] = ()) -> None:
        self.clock = FixedClock()
        self.again = again
        self.store = MemoryStore()
        self.leases = leases

    def run(self, work: Work) -> None:
        async def main() -> None:
            reader = StoreReader(self.store, Accounts(Book(), ENDPOINTS), again=self.again)
            pay_once = PayOnce(self.leases, reader, self.clock)
            await work(pay_once)
            await pay_once.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def keep(self, text: str) -> None:
        self.store.put_many({KEY: response_to_bytes(answer(text))})


async def claim(pay_once: PayOnce, waits: Callable[[], None] = lambda: None) -> Reply | None:
    return await pay_once.claim(ASKED, KEY, waits)


def test_who_is_alone_pays_without_asking() -> None:
    rig = Rig(Others(alone=True))

    async def work(pay_once: PayOnce) -> None:
        assert pay_once.may_pay(ASKED, KEY)
        await asyncio.sleep(0.02)
        pay_once.release(KEY)

    rig.run(work)
    assert rig.leases.looked == 0
    assert [KEY] in rig.leases.tended


def test_a_free_key_is_paid_for_and_given_back() -> None:
    rig = Rig(Others())

    async def work(pay_once: PayOnce) -> None:
        assert not pay_once.may_pay(ASKED, KEY)
        assert await claim(pay_once) is None
        assert rig.leases.ours == {KEY}
        pay_once.release(KEY)
        assert rig.leases.ours == set()

    rig.run(work)
    assert rig.leases.looked == 1


def test_what_is_asked_again_whatever_is_kept_waits_for_nobody() -> None:
    rig = Rig(Others(KEY), again=["subject"])

    async def work(pay_once: PayOnce) -> None:
        assert pay_once.may_pay(ASKED, KEY)
        pay_once.release(KEY)

    rig.run(work)
    assert rig.leases.looked == 0


def test_what_was_paid_since_the_plan_is_found() -> None:
    rig = Rig(Others())
    rig.keep("theirs")

    async def work(pay_once: PayOnce) -> None:
        reply = await claim(pay_once)
        assert reply is not None
        assert reply.response.text.raw == "theirs"
        assert reply.record.cached
        assert rig.leases.ours == set()

    rig.run(work)


def test_an_answer_that_another_pays_for_is_waited_for() -> None:
    rig = Rig(Others(KEY))
    told: list[int] = []

    def on_look(number: int) -> None:
        if number == 4:
            rig.keep("theirs")

    rig.leases.on_look = on_look

    async def work(pay_once: PayOnce) -> None:
        reply = await claim(pay_once, lambda: told.append(rig.leases.looked))
        assert reply is not None
        assert reply.response.text.raw == "theirs"

    rig.run(work)
    assert rig.leases.looked == 4
    assert told == [1]


def test_an_owner_that_ends_without_an_answer_is_followed() -> None:
    rig = Rig(Others(KEY))
    rig.leases.on_look = lambda number: rig.leases.elsewhere.clear() if number == 3 else None

    async def work(pay_once: PayOnce) -> None:
        assert await claim(pay_once) is None
        assert rig.leases.ours == {KEY}

    rig.run(work)


def test_an_owner_that_never_ends_is_not_waited_for_without_end() -> None:
    rig = Rig(Others(KEY))

    async def work(pay_once: PayOnce) -> None:
        assert await claim(pay_once) is None
        pay_once.release(KEY)

    rig.run(work)
    assert rig.clock.monotonic() >= PATIENCE_SECONDS
    assert rig.leases.ours == set()


def test_a_run_that_is_told_to_stop_waits_no_longer() -> None:
    rig = Rig(Others(KEY))

    async def work(pay_once: PayOnce) -> None:
        waiting = asyncio.ensure_future(claim(pay_once, pay_once.stop))
        with pytest.raises(Interrupted):
            await waiting
        with pytest.raises(Interrupted):
            await claim(pay_once)

    rig.run(work)


def test_a_wish_that_was_dropped_holds_nothing() -> None:
    rig = Rig(Others())

    async def work(pay_once: PayOnce) -> None:
        waiting = asyncio.ensure_future(claim(pay_once))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.sleep(0.01)
        assert rig.leases.ours == set()

    rig.run(work)
    assert rig.leases.looked == 1


def test_without_leases_everything_is_paid() -> None:
    async def main() -> None:
        store = StoreReader(None, Accounts(Book(), ENDPOINTS))
        pay_once = PayOnce(None, store, FixedClock())
        assert pay_once.may_pay(ASKED, KEY)
        pay_once.release(KEY)
        await pay_once.close()

    asyncio.run(main())
