"""A random schedule: who asks for what, at which prices, below which ceilings, and what goes wrong.

Everything is drawn from one seed, so that each process of a schedule can draw it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import Message, ModelRequest
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.spec import Endpoint

MID_MONTH: Final = 1_768_435_200.0  # 2026-01-15
MONTH_END: Final = 1_769_904_000.0  # 2026-02-01
DEADLINE_SECONDS: Final = 2.0
LATE_SECONDS: Final = 3.0
WIDE: Final = (16, 256)  # processes, and calls in flight in each
WIDE_EVERY: Final = 512
OVERHEAD: Final = 8  # tokens that a chat format may add to a message
FAULTS: Final = ("unavailable", "busy", "limited", "rejected", "cut", "garbled", "silent", "late")
"""503; 503 after the work was begun and not billed; 429; 400; the connection is cut; no JSON; no usage;
an answer after the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process of a schedule.

    Attributes:
        run: The run that it is part of; several processes may share one.
        width: Calls in flight at the most.
        dies_after: Steps after which it is killed; ``None`` for one that lives.
    """

    run: str
    width: int
    dies_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happens; see :func:`drawn`.

    Attributes:
        members: The processes.
        suites: The suites of every run.
        ceilings: Those of all runs alike.
        price: What the model's tokens cost.
        max_tokens: What a call may ask for.
        longest_prompt: The bytes of the longest prompt.
        share: The part of ``max_tokens`` that an answer takes at the most.
        faults: What may go wrong with a call.
        fault_rate: How often one of these does.
        begins: When it begins, in seconds since 1970.
        is_wide: Whether all processes there may be have all calls in flight that there may be.
        base_url: Where the model listens.
    """

    seed: int
    members: tuple[Member, ...]
    suites: tuple[str, ...]
    ceilings: Ceilings
    price: Price
    max_tokens: tuple[int, ...]
    longest_prompt: int
    share: float
    faults: tuple[str, ...]
    fault_rate: float
    begins: float
    is_wide: bool
    base_url: str | None

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs, each once."""
        return tuple(dict.fromkeys(member.run for member in self.members))

    @property
    def is_one_account(self) -> bool:
        """Whether every call of every process counts against the same ceilings."""
        return not self.ceilings.suites and (self.ceilings.run is None or len(self.runs) == 1)

    @property
    def endpoint(self) -> Endpoint:
        """The model that everybody asks."""
        return Endpoint(
            name="m",
            provider="openai",
            model="m",
            identity='{"model":"m"}',
            price=self.price,
            base_url=self.base_url,
            timeout_seconds=60.0 if self.is_wide else DEADLINE_SECONDS,
        )

    def request(self, rng: Random, suite: str, case_id: str) -> ModelRequest:
        """A question that nobody has asked before."""
        filler = "x" * rng.randint(0, self.longest_prompt - 60)
        return ModelRequest(
            model=self.endpoint.identity,
            messages=(Message(role="user", content=f"{case_id} {filler}"),),
            params={"max_tokens": rng.choice(self.max_tokens)},
            endpoint="m",
            suite=suite,
            case_id=case_id,
        )


class Questions:
    """What one process of a schedule asks, for ever.

    Args:
        schedule: The schedule.
        number: Which of its processes.
        most: After so many the ceilings must have been reached.
    """

    def __init__(self, schedule: Schedule, number: int, *, most: int) -> None:
        self._schedule = schedule
        self._most = most
        self._number = number
        self._rng = Random(schedule.seed * 64 + number)
        self._asked = 0

    def next(self, suites: Sequence[str]) -> ModelRequest:
        """One more, in one of these suites."""
        self._asked += 1
        assert self._asked < self._most, "a ceiling that is never reached"
        suite = self._rng.choice(suites)
        run = self._schedule.members[self._number].run
        case_id = f"{run}/{suite}/{self._number}-{self._asked}"
        return self._schedule.request(self._rng, suite, case_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the provider makes of one request.

    Attributes:
        fault: What goes wrong; ``None`` for an answer.
        usage: Prompt, cached and completion tokens.
        cost: What the provider bills: 0 where it did no work.
    """

    fault: str | None
    usage: tuple[int, int, int]
    cost: int


def served(
    schedule: Schedule, rng: Random, messages: list[Mapping[str, str]], max_tokens: int
) -> Served:
    """The provider's own arithmetic: nothing of the product's is used."""
    bytes_ = sum(len(message["content"]) for message in messages)
    prompt = rng.randint(1, bytes_ + OVERHEAD * len(messages))
    cached = rng.choice((0, 0, rng.randint(0, prompt)))
    completion = rng.randint(0, max(1, int(schedule.share * max_tokens)))
    price = schedule.price
    cached_rate = price.input if price.cached_input is None else price.cached_input
    cost = (prompt - cached) * price.input + cached * cached_rate + completion * price.output
    fault = rng.choice(schedule.faults) if rng.random() < schedule.fault_rate else None
    billed = fault in {None, "silent", "garbled"} or (
        fault in {"cut", "late"} and rng.random() < 0.5
    )
    return Served(fault=fault, usage=(prompt, cached, completion), cost=cost if billed else 0)


def drawn(
    seed: int,
    *,
    most_calls: int,
    begins: float | None = None,
    base_url: str | None = None,
) -> Schedule:
    """The schedule of a seed; one of a seed that :data:`WIDE_EVERY` divides is wide.

    Args:
        seed: The same one gives the same schedule.
        most_calls: About how many calls the ceilings leave room for, at the most.
        begins: When it begins; drawn where not given, near the end of a month at times.
        base_url: Where the model listens.
    """
    rng = Random(seed)
    is_wide = seed % WIDE_EVERY == 0
    price = _price(rng)
    max_tokens = tuple(rng.sample((16, 64, 256, 1024), 1 if is_wide else rng.randint(1, 3)))
    longest_prompt = rng.choice((80, 200, 600))
    share = 1.0 if is_wide else rng.choice((0.03, 0.3, 1.0))
    dearest = _worst(price, longest_prompt, max(max_tokens))
    usual = price.input * longest_prompt // 2 + int(price.output * share * max(max_tokens)) // 2 + 1
    calls = int(2 ** rng.uniform(0, most_calls.bit_length()))
    room = max(int(calls * usual), int(dearest * rng.uniform(0.5, 3)))
    members = _members(rng, WIDE if is_wide else None)
    suites = tuple(f"s{number}" for number in range(rng.randint(1, 3)))
    ceilings = _ceilings(rng, room, suites)
    if is_wide:
        ceilings = Ceilings(month=Picodollars(len(members) * members[0].width * dearest))
    return Schedule(
        seed=seed,
        members=members,
        suites=suites,
        faults=FAULTS if rng.random() < 0.2 and not is_wide else FAULTS[:-1],
        ceilings=ceilings,
        price=price,
        max_tokens=max_tokens,
        longest_prompt=longest_prompt,
        share=share,
        fault_rate=rng.choice((0.0, 0.05, 0.3)),
        begins=_beginning(rng) if begins is None else begins,
        is_wide=is_wide,
        base_url=base_url,
    )


def _beginning(rng: Random) -> float:
    return rng.choice((MID_MONTH,) * 9 + (MONTH_END - rng.uniform(0, 20),))


def dearest_call(schedule: Schedule) -> int:
    """The dearest worst case of any call of a schedule."""
    return _worst(schedule.price, schedule.longest_prompt, max(schedule.max_tokens))


def _worst(price: Price, prompt_bytes: int, max_tokens: int) -> int:
    rate = max(price.input, price.cached_input or 0)
    return (prompt_bytes + OVERHEAD) * rate + max_tokens * price.output


def _price(rng: Random) -> Price:
    def per_token(usd_per_mtok: str) -> Picodollars:
        return Picodollars(int(float(usd_per_mtok) * 1_000_000))

    cached = rng.choice((None, "0.01", "0.3", "4"))
    return Price(
        input=per_token(rng.choice(("0.05", "0.15", "1.25", "3"))),
        output=per_token(rng.choice(("0.05", "0.6", "10", "75"))),
        cached_input=None if cached is None else per_token(cached),
    )


def _members(rng: Random, size: tuple[int, int] | None) -> tuple[Member, ...]:
    runs, deadly = rng.randint(1, 3), rng.choice((0.0, 0.3, 0.8))
    count = size[0] if size else rng.choice((1, 2, 4, 16, rng.randint(1, 16)))
    return tuple(
        Member(
            run=f"r{rng.randrange(runs)}",
            width=size[1] if size else rng.choice((1, 2, 8, 32, 256, rng.randint(1, 256))),
            dies_after=int(2 ** rng.uniform(0, 9)) if rng.random() < deadly else None,
        )
        for _ in range(count)
    )


def _ceilings(rng: Random, room: int, suites: tuple[str, ...]) -> Ceilings:
    run = Picodollars(room) if rng.random() < 0.7 else None
    month = Picodollars(int(room * rng.uniform(0.5, 2.5))) if rng.random() < 0.5 else None
    if run is None and month is None:
        run = Picodollars(room)
    limited = [suite for suite in suites if rng.random() < 0.4]
    return Ceilings(
        run=run,
        month=month,
        suites={suite: Picodollars(int(room * rng.uniform(0.1, 1.2))) for suite in limited},
    )
