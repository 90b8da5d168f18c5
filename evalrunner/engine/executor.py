"""Answers requests: one flight for equal questions, limits, ledger, attempts, store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random

from evalrunner.engine.accounts import Accounts, unmetered
from evalrunner.engine.commit import LedgerCommit, StoreCommit, StoreLookup
from evalrunner.engine.lanes import Lane
from evalrunner.engine.limits import RetryPolicy
from evalrunner.engine.pay_once import PayOnce
from evalrunner.engine.ports import Attempt, Clock, Progress, Settlement
from evalrunner.engine.replay import OpenCase
from evalrunner.engine.stays_here import stays_here
from evalrunner.engine.stored import response_to_bytes
from evalrunner.engine.tokens import expected_input_tokens, max_output_tokens
from evalrunner.errors import Interrupted, ModelCallError, NotAsked, RateLimited
from evalrunner.values.exchange import (
    ModelRequest,
    ModelResponse,
    Reply,
    Request,
    Usage,
)
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import ZERO, Picodollars, total
from evalrunner.values.pricing import processing_of
from evalrunner.values.result import CaseResult


@dataclass(slots=True)
class _Call:
    """One logical call while its attempts are made."""

    request: Request
    key: Fingerprint
    number: int
    attempts: int = 0
    incurred: list[Picodollars | None] = field(default_factory=list)


class Executor:
    """Answers requests for all cases of a run.

    Args:
        lanes: The way to each endpoint and application, by name.
        answers: Makes answers durable.
        money: Makes reservations and settlements durable.
        lookup: Finds kept answers.
        accounts: Prices answers.
        pay_once: Says whether another run is paying for a request already.
        clock: Tells the time.
        run_id: Stands in every attempt's id.
        max_concurrency: Calls in flight, all lanes together.
        retry: When a failed attempt is made again.
        seed: Of the jitter.
        progress: Is told of every paid call.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        answers: StoreCommit,
        lookup: StoreLookup,
        money: LedgerCommit,
        accounts: Accounts,
        pay_once: PayOnce,
        clock: Clock,
        run_id: str,
        max_concurrency: int,
        retry: RetryPolicy | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._lanes = lanes
        self._answers = answers
        self._money = money
        self._lookup = lookup
        self._accounts = accounts
        self._pay_once = pay_once
        self._clock = clock
        self._run_id = run_id
        self._width = max_concurrency
        self._slots = asyncio.Semaphore(max_concurrency)
        self._retry = retry or RetryPolicy()
        self._random = Random(seed)
        self._progress = progress
        self._flights: dict[Fingerprint, asyncio.Future[Reply]] = {}
        self._numbers = count(1)
        self._stopping = False

    def stop(self) -> None:
        """Sends nothing more; calls in flight end, waiting ones raise ``Interrupted``."""
        self._stopping = True
        self._pay_once.stop()

    async def finish_all(
        self, cases: Iterable[OpenCase], done: Callable[[int, CaseResult], None]
    ) -> None:
        """Drives every open case to its end, a few more at a time than may be in flight.

        The few more have their reservations made while they wait for a slot, so that no slot waits
        for the ledger. Where a case waits for another run to pay, a further one is driven meanwhile.
        """
        queue = iter(cases)

        async def worker() -> None:
            replaced = False

            def replace() -> None:
                nonlocal replaced
                if not replaced:
                    replaced = True
                    group.create_task(worker())

            for case in queue:
                done(case.index, await self.finish(case, waits=replace))
                if replaced:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(2 * self._width + 2):
                group.create_task(worker())

    async def finish(
        self, case: OpenCase, *, waits: Callable[[], None] = lambda: None
    ) -> CaseResult:
        """Drives one case to its end. What goes wrong on the way is in its result.

        *waits* is told when the case has to wait for another run.
        """
        reply: Reply | None = None  # the replay has looked for the first request already
        while True:
            try:
                if reply is None:
                    reply = await self.answer(case.request, case.key, waits=waits)
            except (ModelCallError, NotAsked) as error:
                result = case.throw(error)
            else:
                result = case.send(reply)
            if result is not None:
                return result
            reply = await self._lookup.find(case.request, case.key)

    async def answer(
        self, request: Request, key: Fingerprint, *, waits: Callable[[], None] = lambda: None
    ) -> Reply:
        """The reply to one request; equal questions are paid once, in this run and in others.

        Raises:
            ModelCallError: The call failed, attempts included.
            NotAsked: It was not made, on purpose.
        """
        if not _cacheable(request):
            return await self._call(request, key)
        if (flight := self._flights.get(key)) is not None:
            reply = await asyncio.shield(flight)
            return Reply(response=reply.response, record=self._accounts.shared(reply.record))
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._reply_once(request, key, waits)
        except (ModelCallError, NotAsked) as error:
            del self._flights[key]
            flight.set_exception(error)
            flight.exception()  # it is retrieved here, should nobody else be waiting
            raise
        except BaseException:
            flight.cancel()
            raise
        flight.set_result(reply)
        return reply

    async def _reply_once(
        self, request: Request, key: Fingerprint, waits: Callable[[], None]
    ) -> Reply:
        """The reply that another run pays for at this moment, or has just paid for; else our own."""
        if not self._pay_once.may_pay(request, key):
            reply = await self._pay_once.claim(request, key, waits)
            if reply is not None:
                return reply
        try:
            return await self._call(request, key)
        finally:
            self._pay_once.release(key)

    async def _call(self, request: Request, key: Fingerprint) -> Reply:
        lane = self._lanes[request.endpoint]
        call = _Call(request, key, next(self._numbers))
        while True:
            try:
                response = await self._attempt(lane, call)
            except ModelCallError as error:
                draw = self._random.random()
                wait = self._retry.wait_seconds(error, call.attempts, draw)
                if wait is None or self._stopping:
                    lane.failed(error)
                    error.attempts = call.attempts
                    raise
                if isinstance(error, RateLimited):
                    lane.pace.pause(wait, now=self._clock.monotonic())
                else:
                    await self._clock.sleep(wait)
            else:
                lane.succeeded()
                return self._reply(call, response)

    async def _attempt(self, lane: Lane, call: _Call) -> ModelResponse:
        """One reservation, one request on the wire, one settlement."""
        self._go_on(lane)
        row = self._reservation(lane, call)
        await self._money.reserve(row)
        tokens = _tokens(call.request) if lane.endpoint.tpm else 0
        await lane.enter(self._slots, tokens=tokens)
        try:  # the place is held until the answer is on disk
            try:
                self._go_on(lane)
            except (Interrupted, ModelCallError):
                self._money.settle(self._settlement(row.id, "error", error="not sent"))
                raise
            call.attempts += 1
            try:
                wire = await lane.ask(call.request, lane.endpoint.timeout_seconds)
            except ModelCallError as error:
                self._money.settle(self._failure(row, error))
                raise
            lane.pace.observe(wire.hints, now=self._clock.monotonic())
            await self._settle(row, call, wire.response)
        finally:
            lane.leave(self._slots)
        return wire.response

    def _go_on(self, lane: Lane) -> None:
        """Raises where nothing more is to be sent: at all, or to this endpoint."""
        if self._stopping:
            raise Interrupted("the run was told to stop")
        lane.check()

    async def _settle(self, row: Attempt, call: _Call, response: ModelResponse) -> None:
        cost = self._accounts.charged(call.request, response)
        call.incurred.append(cost)
        settlement = self._settlement(
            row.id,
            "ok",
            usage=response.usage,
            cost=cost,
            served_model=response.served_model,
            latency_seconds=response.latency_seconds,
            calls=response.calls,
            metered=not unmetered(call.request, response),
            guessed_tokens=expected_input_tokens(call.request),
        )
        if response.complete and _cacheable(call.request):
            body = response_to_bytes(response)
            await self._answers.keep(call.key, body, private=stays_here(call.request))
        self._money.settle(settlement)
        if self._progress:
            self._progress.call_done(cost)

    def _reply(self, call: _Call, response: ModelResponse) -> Reply:
        record = self._accounts.paid(
            call.key,
            attempts=call.attempts,
            incurred=total(call.incurred),
            worth=call.incurred[-1],
            unmetered=unmetered(call.request, response),
        )
        return Reply(response=response, record=record)

    def _reservation(self, lane: Lane, call: _Call) -> Attempt:
        request, endpoint = call.request, lane.endpoint
        price = self._accounts.price(endpoint.name) if isinstance(request, ModelRequest) else None
        return Attempt(
            id=f"{self._run_id}/{call.number}/{call.attempts + 1}",
            at=self._clock.now(),
            suite=request.suite,
            case_id=request.case_id,
            check=request.check,
            role=request.role,
            tier=request.tier,
            provider=endpoint.provider,
            model=endpoint.model,
            endpoint=endpoint.name,
            fingerprint=call.key,
            worst_case=self._accounts.worst_case(request),
            price_source=price.source if price else None,
            processing=processing_of(endpoint.params),
        )

    def _failure(self, row: Attempt, error: ModelCallError) -> Settlement:
        status = "possibly_paid" if error.possibly_paid else "error"
        return self._settlement(row.id, status, error=f"{type(error).__name__}: {error.message}")

    def _settlement(
        self,
        attempt_id: str,
        status: str,
        *,
        usage: Usage | None = None,
        cost: Picodollars | None = ZERO,
        served_model: str | None = None,
        latency_seconds: float = 0.0,
        error: str | None = None,
        calls: int | None = None,
        metered: bool = True,
        guessed_tokens: int | None = None,
    ) -> Settlement:
        return Settlement(
            id=attempt_id,
            at=self._clock.now(),
            status=status,
            usage=usage or Usage(),
            cost=cost,
            served_model=served_model,
            latency_seconds=latency_seconds,
            error=error,
            calls=calls,
            metered=metered,
            guessed_tokens=guessed_tokens,
        )


def _tokens(request: Request) -> int:
    return expected_input_tokens(request) + max_output_tokens(request)


def _cacheable(request: Request) -> bool:
    """Whether an answer may be kept and shared; that to a verification is only compared."""
    kept = isinstance(request, ModelRequest) or request.cacheable
    return kept and request.role != "verify"
