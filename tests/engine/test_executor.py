"""The executor: one flight for equal questions, attempts that are on record, lanes that close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.commit import LedgerCommit, StoreCommit, StoreLookup
from evalrunner.engine.executor import Executor
from evalrunner.engine.lanes import CIRCUIT_OPENS_AFTER, Lane
from evalrunner.engine.pay_once import PayOnce
from evalrunner.engine.ports import RateHints, WireReply
from evalrunner.engine.replay import StoreReader, replay
from evalrunner.errors import (
    CredentialsRejected,
    ModelCallError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from evalrunner.testing import FixedClock, MemoryLedger, MemoryStore
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import ModelResponse, Request
from evalrunner.values.money import Picodollars
from evalrunner.values.result import CaseResult, Outcome
from evalrunner.values.spec import CheckSpec
from tests.engine.builders import COST, ENDPOINTS, answer, case, contains, verdict
from tests.engine.test_replay import Book

RUBRIC = CheckSpec(type="llm-rubric", value="polite")
Script = Callable[[Request], ModelResponse | Exception]


class Rig:
    """An executor over scripted lanes, and everything that it touches."""

    def __init__(self, script: Script, *, ceiling: int | None = None, width: int = 8) -> None:
        self.clock = FixedClock()
        self.store = MemoryStore()
        limit = None if ceiling is None else Picodollars(ceiling)
        self.ledger = MemoryLedger(ceilings=Ceilings(run=limit))
        self.script = script
        self.width = width
        self.sent: list[Request] = []
        self.in_flight = self.peak = self.runs = 0
        self.hints = RateHints()
        self.executor: Executor | None = None

    async def ask(self, request: Request, _deadline: float) -> WireReply:
        self.sent.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        found = self.script(request)
        if isinstance(found, Exception):
            raise found
        return WireReply(response=found, hints=self.hints)

    def run(self, cases: Sequence[EvalCase]) -> list[CaseResult]:
        self.runs += 1
        accounts = Accounts(Book(), ENDPOINTS)
        reader = StoreReader(self.store, accounts)
        known = replay(cases, reader)
        results = dict(known.finished)

        async def main() -> None:
            money = LedgerCommit(self.ledger)
            self.executor = Executor(
                {
                    name: Lane(endpoint, self.ask, clock=self.clock, max_concurrency=self.width)
                    for name, endpoint in ENDPOINTS.items()
                },
                answers=StoreCommit(self.store),
                money=money,
                lookup=StoreLookup(reader),
                accounts=accounts,
                pay_once=PayOnce(None, reader, self.clock),
                clock=self.clock,
                run_id="run" if self.runs == 1 else f"run{self.runs}",
                max_concurrency=self.width,
            )
            await self.executor.finish_all(known.open, results.__setitem__)
            await money.close()

        asyncio.run(main())
        return [results[index] for index in range(len(cases))]


def cases(count: int, **changes: object) -> list[EvalCase]:
    return [case(contains("ok"), text=f"q{i}", number=i, **changes) for i in range(count)]  # type: ignore[arg-type]


def in_turn(*found: ModelResponse | Exception) -> Script:
    waiting = list(found)
    return lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def test_answers_are_paid_kept_and_accounted() -> None:
    rig = Rig(in_turn(answer("ok")))
    results = rig.run(cases(20))
    assert {result.outcome for result in results} == {Outcome.PASSED}
    assert len(rig.sent) == len(rig.ledger.attempts) == len(rig.ledger.settlements) == 20
    assert rig.ledger.spent("run") == 20 * COST
    assert sum(result.records[0].record.incurred or 0 for result in results) == 20 * COST
    rig.run(cases(20))
    assert len(rig.sent) == 20


def test_never_more_in_flight_than_allowed() -> None:
    rig = Rig(in_turn(answer("ok")), width=3)
    rig.run(cases(50))
    assert rig.peak == 3


def test_equal_questions_are_paid_once() -> None:
    rig = Rig(in_turn(answer("ok")))
    results = rig.run([case(contains("ok"), number=i) for i in range(10)])
    assert len(rig.sent) == 1
    assert sum(result.records[0].record.nominal or 0 for result in results) == COST
    assert sum(result.records[0].record.shared for result in results) == 9


def test_equal_questions_fail_together_and_may_be_asked_again() -> None:
    rig = Rig(in_turn(RequestRejected("no"), answer("ok")))
    assert rig.run([case(contains("ok"))])[0].outcome is Outcome.ERRORED
    assert rig.run([case(contains("ok"))])[0].outcome is Outcome.PASSED


def test_a_verdict_on_an_equal_answer_is_paid_once() -> None:
    """Two questions, one answer: one judgement, for the judge does not see the question."""
    rig = Rig(lambda request: verdict(passed=True) if request.role == "judge" else answer("same"))
    results = rig.run([case(RUBRIC, text=f"q{i}", number=i) for i in range(5)])
    assert {result.outcome for result in results} == {Outcome.PASSED}
    assert sum(request.role == "judge" for request in rig.sent) == 1


def test_a_fault_is_asked_again_and_every_attempt_is_on_record() -> None:
    rig = Rig(
        in_turn(
            ProviderUnavailable("502"), ProviderUnavailable("502", possibly_paid=True), answer("ok")
        )
    )
    (result,) = rig.run(cases(1))
    assert result.outcome is Outcome.PASSED
    assert result.records[0].record.attempts == len(rig.sent) == len(rig.ledger.attempts) == 3
    assert [one.status for one in rig.ledger.settlements.values()] == [
        "error",
        "possibly_paid",
        "ok",
    ]
    assert len(rig.clock.slept) == 2
    assert rig.ledger.open_reservations("run") == rig.ledger.attempts["run/1/2"].worst_case


def test_attempts_end() -> None:
    rig = Rig(in_turn(ProviderUnavailable("502")))
    (result,) = rig.run(cases(1))
    assert result.outcome is Outcome.ERRORED
    assert len(rig.sent) == 4


def test_a_wait_that_was_asked_for_holds_for_everybody() -> None:
    waits: list[float] = []
    answers = iter([RateLimited("429", retry_after_seconds=30.0)])

    def script(_: Request) -> ModelResponse | Exception:
        waits.append(rig.clock.monotonic())
        return next(answers, answer("ok"))

    rig = Rig(script, width=1)
    results = rig.run(cases(3))
    assert {result.outcome for result in results} == {Outcome.PASSED}
    assert waits[0] < 30.0
    assert min(waits[1:]) >= 30.0


@pytest.mark.parametrize("error", [CredentialsRejected("401")])
def test_a_rejected_key_is_proved_once(error: ModelCallError) -> None:
    rig = Rig(in_turn(error), width=1)
    results = rig.run(cases(30))
    assert {result.outcome for result in results} == {Outcome.ERRORED}
    assert len(rig.sent) == 1


def test_a_dead_endpoint_is_left_alone() -> None:
    rig = Rig(in_turn(ProviderUnavailable("refused")), width=1)
    results = rig.run(cases(30))
    assert {result.outcome for result in results} == {Outcome.ERRORED}
    at_once = 2 * rig.width + 2
    assert 4 * CIRCUIT_OPENS_AFTER <= len(rig.sent) <= 4 * (CIRCUIT_OPENS_AFTER + at_once)
    assert "not asked again" in repr(results[-1].reason)


def test_an_answer_that_was_cut_off_is_not_kept() -> None:
    rig = Rig(in_turn(answer("ok", finish_reason="length")))
    assert rig.run(cases(1))[0].outcome is Outcome.PASSED
    assert list(rig.store.keys()) == []


def test_the_ceiling_stops_the_asking_and_keeps_what_there_is() -> None:
    rig = Rig(in_turn(answer("ok")), ceiling=5 * COST + 60_000)
    results = rig.run(cases(200))
    outcomes = [result.outcome for result in results]
    spent = rig.ledger.spent("run") or 0
    worst = max(one.worst_case or 0 for one in rig.ledger.attempts.values())
    assert set(outcomes) == {Outcome.PASSED, Outcome.NOT_RUN}
    assert {result.reason for result in results if result.outcome is Outcome.NOT_RUN} == {"budget"}
    assert 5 * COST + 60_000 - worst < spent <= 5 * COST + 60_000


def test_stop_sends_nothing_more() -> None:
    def script(_: Request) -> ModelResponse:
        assert rig.executor is not None
        rig.executor.stop()
        return answer("ok")

    rig = Rig(script, width=2)
    results = rig.run(cases(20))
    assert len(rig.sent) <= 2
    stopped = [result for result in results if result.outcome is Outcome.NOT_RUN]
    assert {result.reason for result in stopped} == {"interrupted"}
    assert len(stopped) + len(rig.sent) == 20
    statuses = [one.status for one in rig.ledger.settlements.values()]
    assert len(rig.ledger.settlements) == len(rig.ledger.attempts)
    assert statuses.count("ok") == len(rig.sent)


def test_a_provider_that_says_nothing_is_left_makes_everybody_wait() -> None:
    times: list[float] = []

    def script(_: Request) -> ModelResponse:
        times.append(rig.clock.monotonic())
        return answer("ok")

    rig = Rig(script, width=1)
    rig.hints = RateHints(remaining_requests=0, reset_requests_seconds=10.0)
    rig.run(cases(2))
    assert times[1] - times[0] >= 10.0
