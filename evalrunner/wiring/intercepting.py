"""Calls that code under test makes itself: looked up, paid for once, and written down like any other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from evalrunner.adapters.credentials import KeyRing, provider_of
from evalrunner.adapters.http_faults import classify
from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.wire_answers import is_whole, served_model, usage_in
from evalrunner.engine.intercepted import (
    WireAnswer,
    WireCall,
    answer_from_bytes,
    answer_to_bytes,
    netloc_of,
)
from evalrunner.engine.ports import Attempt, CacheStore, Settlement
from evalrunner.engine.stays_here import is_only_here
from evalrunner.errors import BudgetExceeded, FrozenMiss
from evalrunner.reports.safe_text import one_line
from evalrunner.values.compact_json import compact_encoder
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import ZERO, Picodollars, Price, dollars, total, usd_text, worst_case
from evalrunner.values.pricing import price_call, processing_of
from evalrunner.values.spec import Endpoint
from evalrunner.wiring.opening import Opened

ROLE = "application"
"""In the ledger: calls of the code under test."""

_encode = compact_encoder(sort_keys=True)


@dataclass(slots=True)
class Intercepted:
    """What came of a session's calls; ``None`` is unknown money.

    Attributes:
        hits: Calls that were answered from the store.
        shared: Calls that waited for an equal one.
        calls: Calls that went out and may have been billed.
        refused: Calls that nobody was allowed to make.
        incurred: What was paid.
        avoided: What the answers from the store, and the shared ones, would have cost.
    """

    hits: int = 0
    shared: int = 0
    calls: int = 0
    refused: int = 0
    incurred: Picodollars | None = ZERO
    avoided: Picodollars | None = ZERO

    def lines(self) -> list[str]:
        """The calls in a line, for the end of the session."""
        counts = f"{self.hits:,} from the cache, {self.calls:,} asked"
        shared = f", {self.shared:,} shared" if self.shared else ""
        refused = f", {self.refused:,} refused" if self.refused else ""
        money = f"{dollars(self.incurred)} paid, {dollars(self.avoided)} avoided"
        return [f"{'code':<8}calls of the code under test: {counts}{shared}{refused}; {money}"]

    def properties(self) -> dict[str, str]:
        """The same for programs."""
        return {
            "evalrunner.intercepted.cache_hits": str(self.hits),
            "evalrunner.intercepted.shared": str(self.shared),
            "evalrunner.intercepted.calls": str(self.calls),
            "evalrunner.intercepted.refused": str(self.refused),
            "evalrunner.intercepted.incurred_usd": usd_text(self.incurred) or "unknown",
            "evalrunner.intercepted.avoided_usd": usd_text(self.avoided) or "unknown",
        }


@dataclass(slots=True)
class _Open:
    """A call that was let out and has not come back."""

    call: WireCall
    key: Fingerprint
    who: str
    price: Price | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Interceptor:
    """Answers calls from the store, and lets out one of each at a time, below the ceilings.

    Args:
        opened: What the session reads and writes.
        frozen: Nothing goes out.
        recache: Everything is asked again, once.
    """

    def __init__(self, opened: Opened, *, frozen: bool, recache: bool) -> None:
        self.sums = Intercepted()
        self._opened = opened
        self._frozen = frozen
        self._recache = recache
        self._book = ConfiguredPrices(at=opened.started)
        self._keys = KeyRing()
        self._open: dict[str, _Open] = {}
        self._first: dict[Fingerprint, _Open] = {}
        self._fresh: set[Fingerprint] = set()
        self._number = 0
        self._closed = False

    async def begin(self, call: WireCall, *, who: str, wait: bool) -> WireAnswer | str:
        """The answer that is kept; else a ticket, with which the call may go out.

        Args:
            call: What is to be asked.
            who: The thread and the task that ask. An equal call of theirs is not waited for: they would
                be waiting for themselves.
            wait: Whether an equal call under way is waited for at all.

        Raises:
            FrozenMiss: Nothing may go out.
            BudgetExceeded: A ceiling leaves no room for what the call may cost.
            LedgerError: It cannot be written down.
        """
        key = call.key()
        waited = False
        while True:
            answer = await self._kept(call, key)
            if answer is not None:
                self._count_kept(call, answer, waited=waited)
                return answer
            if self._frozen:
                self.sums.refused += 1
                raise FrozenMiss(
                    f"frozen, and the cache has no answer to {_described(call)}",
                    hint="run once without --eval-frozen to record it",
                )
            first = self._first.get(key)
            if first is None or first.who == who or not wait:
                return await self._let_out(call, key, who)
            waited = True
            await first.ended.wait()

    async def end(self, ticket: str, answer: WireAnswer, seconds: float) -> None:
        """Takes in what came back: stores what is whole, and writes down what it has cost."""
        is_good = answer.status == 200 and is_whole(answer.content_type, answer.body)
        if not is_good:
            return await self._end_badly(ticket, answer)
        done = self._open.pop(ticket, None)
        if done is None or self._closed:
            return None
        try:
            await self._keep(done, answer)
            usage = usage_in(answer.content_type, answer.body)
            cost = _cost(done.price, usage, seconds)
            self.sums.calls += 1
            self.sums.incurred = total([self.sums.incurred, cost])
            await self._settle(
                Settlement(
                    id=ticket,
                    at=time.time(),
                    status="ok",
                    usage=usage,
                    cost=cost,
                    served_model=served_model(answer.content_type, answer.body),
                    latency_seconds=seconds,
                )
            )
        finally:
            self._release(done)
        return None

    async def fail(self, ticket: str, error: str, *, sent: bool) -> None:
        """Takes in that no answer came; if the call was sent, it may have been billed."""
        done = self._open.pop(ticket, None)
        if done is None or self._closed:
            return
        try:
            if sent:
                self.sums.calls += 1
                self.sums.incurred = None
            status = "possibly_paid" if sent else "error"
            words = one_line(self._keys.redact(error), 400)
            await self._settle(
                Settlement(
                    id=ticket,
                    at=time.time(),
                    status=status,
                    cost=None if sent else ZERO,
                    error=words,
                )
            )
        finally:
            self._release(done)

    def abandon(self, ticket: str) -> None:
        """Whoever had the ticket is gone. What is not settled counts as possibly paid."""
        done = self._open.pop(ticket, None)
        if done is not None:
            self.sums.calls += 1
            self.sums.incurred = None
            self._release(done)

    def close(self) -> None:
        """Takes in nothing more."""
        for ticket in list(self._open):
            self.abandon(ticket)
        self._closed = True

    async def _end_badly(self, ticket: str, answer: WireAnswer) -> None:
        error = classify(answer.status, {}, answer.body, now=time.time(), redact=self._keys.redact)
        was_paid = answer.status < 300 or error.possibly_paid
        await self.fail(ticket, f"{type(error).__name__}: {error.message}", sent=was_paid)

    async def _let_out(self, call: WireCall, key: Fingerprint, who: str) -> str:
        endpoint = self._endpoint(call)
        price = self._book.resolve(endpoint)
        self._number += 1
        ticket = f"{self._opened.run_id}/code-{self._number}/1"
        held = _Open(call, key, who, price)
        self._open[ticket] = held
        self._first.setdefault(key, held)
        try:
            (admitted,) = await asyncio.to_thread(
                self._opened.ledger.reserve, [_attempt(ticket, call, key, endpoint, price)]
            )
        except BaseException:
            self._forget(ticket)
            raise
        if not admitted:
            self._forget(ticket)
            self.sums.refused += 1
            raise BudgetExceeded(
                f"the ceiling leaves no room for {_described(call)}",
                hint=None if price else "its price is unknown: give the model a price in models:",
            )
        return ticket

    def _forget(self, ticket: str) -> None:
        self._release(self._open.pop(ticket))

    def _release(self, done: _Open) -> None:
        if self._first.get(done.key) is done:
            del self._first[done.key]
        done.ended.set()

    async def _kept(self, call: WireCall, key: Fingerprint) -> WireAnswer | None:
        store = self._store_for(call)
        if store is None or (self._recache and key not in self._fresh):
            return None
        max_age = self._opened.project.cache.max_age_seconds
        after = None if max_age is None else self._opened.started - max_age
        found = await asyncio.to_thread(store.get_many, [key], stored_after=after)
        return answer_from_bytes(found[key]) if key in found else None

    async def _keep(self, done: _Open, answer: WireAnswer) -> None:
        store = self._store_for(done.call)
        if store is not None:
            await asyncio.to_thread(store.put_many, {done.key: answer_to_bytes(answer)})
            self._fresh.add(done.key)

    def _store_for(self, call: WireCall) -> CacheStore | None:
        """Where its answer is kept: behind an address of this machine somebody else listens elsewhere."""
        here = is_only_here(_encode({"base_url": f"http://{call.netloc}"}))
        return (here and self._opened.private) or self._opened.store

    def _count_kept(self, call: WireCall, answer: WireAnswer, *, waited: bool) -> None:
        if waited:
            self.sums.shared += 1
        else:
            self.sums.hits += 1
        usage = usage_in(answer.content_type, answer.body)
        worth = _cost(self._book.resolve(self._endpoint(call)), usage, 0.0)
        self.sums.avoided = total([self.sums.avoided, worth])

    async def _settle(self, settlement: Settlement) -> None:
        await asyncio.to_thread(self._opened.ledger.settle, [settlement])

    def _endpoint(self, call: WireCall) -> Endpoint:
        """The project's own model at that address; else what the provider lists under that name."""
        provider = provider_of(call.host)
        for model in self._opened.project.models.values():
            at_home = not model.base_url and model.provider == provider
            if model.model == call.model and (
                at_home or netloc_of(model.base_url or "") == call.netloc
            ):
                return replace(model, params=call.body)
        parts = urlsplit(call.url)
        return Endpoint(
            name=f"{provider or call.netloc}/{call.model}",
            provider=provider or "openai",
            model=call.model,
            identity="",
            base_url=None if provider else f"{parts.scheme}://{parts.netloc}",
            params=call.body,
        )


def _attempt(
    ticket: str, call: WireCall, key: Fingerprint, endpoint: Endpoint, price: Price | None
) -> Attempt:
    worst = None
    if price is not None:
        worst = worst_case(
            price,
            input_tokens=call.max_input_tokens,
            max_tokens=call.max_output_tokens,
            seconds=endpoint.timeout_seconds,
        )
    return Attempt(
        id=ticket,
        at=time.time(),
        suite=call.suite,
        case_id=call.case_id,
        check=None,
        role=ROLE,
        tier=Tier.TARGET,
        provider=endpoint.provider,
        model=endpoint.model,
        endpoint=endpoint.name,
        fingerprint=key,
        worst_case=worst,
        price_source=price.source if price else None,
        processing=processing_of(endpoint.params),
    )


def _cost(price: Price | None, usage: Usage, seconds: float) -> Picodollars | None:
    return None if price is None else price_call(price, usage, seconds)


def _described(call: WireCall) -> str:
    return one_line(f"{call.method} {call.place} (model {call.model!r})", 300)
