"""Group commits: nothing is used before it is durable, nothing is sent before it is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from evalrunner.engine.commit import LedgerCommit, StoreCommit
from evalrunner.engine.ports import Attempt, Settlement
from evalrunner.errors import BudgetExceeded, LedgerError, ModelCallError
from evalrunner.testing import MemoryLedger, MemoryStore
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import Tier
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars


def attempt(number: int, worst: int = 10) -> Attempt:
    return Attempt(
        id=f"run/{number}/1",
        at=0.0,
        suite="s",
        case_id=f"s/{number}",
        check=None,
        role="subject",
        tier=Tier.FRONTIER,
        provider="p",
        model="m",
        endpoint="large",
        fingerprint=Fingerprint("0"),
        worst_case=Picodollars(worst),
        price_source="override",
    )


def settled(number: int, cost: int) -> Settlement:
    return Settlement(id=f"run/{number}/1", at=0.0, status="ok", cost=Picodollars(cost))


class CountingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def put_many(self, bodies: dict[Fingerprint, bytes]) -> None:  # type: ignore[override]
        self.batches.append(len(bodies))
        super().put_many(bodies)


def test_answers_of_one_turn_are_stored_together() -> None:
    store = CountingStore()

    async def main() -> None:
        commit = StoreCommit(store)
        await asyncio.gather(*(commit.keep(Fingerprint(str(i)), b"x") for i in range(50)))
        assert len(list(store.keys())) == 50

    asyncio.run(main())
    assert store.batches == [50]


def test_without_a_store_nobody_waits() -> None:
    asyncio.run(StoreCommit(None).keep(Fingerprint("1"), b"x"))


class CountingLedger(MemoryLedger):
    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.batches: list[int] = []

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        self.batches.append(len(attempts))
        return super().exchange(settlements, attempts)


def test_reservations_are_gathered() -> None:
    ledger = CountingLedger()

    async def main() -> None:
        commit = LedgerCommit(ledger)
        await asyncio.gather(*(commit.reserve(attempt(i)) for i in range(200)))
        await commit.close()

    asyncio.run(main())
    assert sum(ledger.batches) == 200
    assert len(ledger.batches) < 20


@pytest.mark.parametrize("width", [1, 2, 7, 64, 256])
def test_the_ceiling_holds_and_is_used(width: int) -> None:
    """Whatever runs at once: never above it, and no room is left for another worst case below it."""
    ceiling, worst, cost = 1000, 30, 7
    ledger = MemoryLedger(ceilings=Ceilings(run=Picodollars(ceiling)))
    spent = 0

    async def main() -> None:
        nonlocal spent
        commit = LedgerCommit(ledger)
        numbers = iter(range(10_000))

        async def worker() -> None:
            nonlocal spent
            for number in numbers:
                await commit.reserve(attempt(number, worst))
                await asyncio.sleep(0)
                spent += cost
                assert spent <= ceiling
                commit.settle(settled(number, cost))

        results = await asyncio.gather(*(worker() for _ in range(width)), return_exceptions=True)
        assert {type(result) for result in results} == {BudgetExceeded}
        await commit.close()

    asyncio.run(main())
    assert ceiling - worst < spent <= ceiling


def test_what_did_not_fit_once_is_not_looked_at_again() -> None:
    ledger = CountingLedger(ceilings=Ceilings(run=Picodollars(100)))

    async def main() -> None:
        commit = LedgerCommit(ledger)
        for number in range(9):
            with pytest.raises(BudgetExceeded):
                await commit.reserve(attempt(number, worst=101))
        await commit.close()

    asyncio.run(main())
    assert not ledger.attempts
    assert ledger.batches == [1]


@pytest.mark.parametrize("cheaper", [False, True])
def test_one_suite_that_is_full_leaves_the_others_alone(cheaper: bool) -> None:
    """Nor does a call that is too dear keep a cheaper one of its suite from what room is left."""
    ceilings = Ceilings(run=Picodollars(1000), suites={"s": Picodollars(100)})
    ledger = MemoryLedger(ceilings=ceilings)

    async def main() -> None:
        commit = LedgerCommit(ledger)
        with pytest.raises(BudgetExceeded):
            await commit.reserve(attempt(1, worst=101))
        fits = attempt(2, worst=100) if cheaper else replace(attempt(2, worst=101), suite="other")
        await commit.reserve(fits)
        commit.settle(settled(2, 1))
        await commit.close()

    asyncio.run(main())
    assert list(ledger.attempts) == ["run/2/1"]


def test_room_that_was_made_since_is_used() -> None:
    ledger = MemoryLedger(ceilings=Ceilings(run=Picodollars(100)))

    async def main() -> None:
        commit = LedgerCommit(ledger)
        ledger.reserve([attempt(0, worst=60)])  # another process
        with pytest.raises(BudgetExceeded):
            await commit.reserve(attempt(1, worst=50))
        ledger.settle([settled(0, 1)])
        await commit.reserve(attempt(2, worst=40))
        await commit.reserve(attempt(3, worst=50))
        await commit.close()

    asyncio.run(main())
    assert list(ledger.attempts) == ["run/0/1", "run/2/1", "run/3/1"]


class BrokenLedger(MemoryLedger):
    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        raise LedgerError("the disk is full")


def test_what_cannot_be_recorded_is_not_paid() -> None:
    async def main() -> None:
        commit = LedgerCommit(BrokenLedger())
        for number in (1, 2):
            with pytest.raises(ModelCallError, match="the disk is full"):
                await commit.reserve(attempt(number))
        await commit.close()

    asyncio.run(main())


def test_close_waits_for_the_last_settlement() -> None:
    ledger = MemoryLedger()

    async def main() -> None:
        commit = LedgerCommit(ledger)
        await commit.reserve(attempt(1))
        commit.settle(settled(1, 4))
        await commit.close()
        assert ledger.settlements["run/1/1"].cost == 4

    asyncio.run(main())
