"""What the open part of a run will ask and cost: expected, and at most, before the first call.

What the store answers is known exactly and costs nothing. Of the rest, the questions that wait now are
known word by word; confirmations and verdicts that may follow are predicted from earlier runs, and bounded
by every one of them, each tried as often as the retries allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.habits import MILLION, Habits, Kind
from evalrunner.engine.judging import Foreteller, JudgeCall, judges, later_judges
from evalrunner.engine.limits import RetryPolicy
from evalrunner.engine.replay import OpenCase
from evalrunner.engine.tokens import (
    BYTES_PER_TOKEN,
    MOST_RECOUNTED,
    expected_input_tokens,
    max_output_tokens,
)
from evalrunner.values.exchange import ModelRequest, Request, Tier
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.forecast import CallForecast, Forecast, ceiling
from evalrunner.values.money import ZERO, Picodollars, busy_cost, worst_case
from evalrunner.values.result import CostEstimate

EXPECTED_OUTPUT_TOKENS: Final = 256
"""The answer's length to expect, where ``max_tokens`` is not shorter and no history says better."""

EXPECTED_SECONDS: Final = 5.0
"""How long a call to an endpoint that is paid by the second takes, where no history says better."""

MOST_ATTEMPTS: Final = RetryPolicy().attempts
"""Requests on the wire for one call, if all but the last fail in a way that may have been billed."""


class _Chance(Enum):
    """How a call comes about."""

    CERTAIN = "it is waited for"
    CONFIRMED = "the proxy's answer has to fail"
    JUDGED = "the checks in code have to leave the verdict open"
    JUDGED_CONFIRMED = "both"


class _Place(NamedTuple):
    """Which calls are alike: everything that is predicted of one holds for the others."""

    suite: str
    endpoint: str
    role: str
    tier: Tier
    chance: _Chance
    proxy: str


class _Part(NamedTuple):
    """One call that will or may be made.

    Attributes:
        tokens: Of its prompt, as its size suggests.
        max_tokens: Of its answer.
        most: The most that it can cost, all attempts together; ``None`` is unknown.
        key: What it asks, where that is known now.
    """

    place: _Place
    tokens: int
    max_tokens: int
    most: Picodollars | None
    key: Fingerprint | None


@dataclass(slots=True)
class _Sum:
    """Calls that are alike, added up in whole numbers; probabilities come in at the end."""

    calls: int = 0
    most_calls: int = 0
    prompt_tokens: int = 0
    input_cost: int = 0
    output_rates: int = 0
    max_tokens: int = 0
    maximum: int = 0
    unbounded: bool = False


class Estimator:
    """Foresees the calls of open cases.

    Args:
        accounts: The prices.
        habits: What earlier runs tell.
    """

    def __init__(self, accounts: Accounts, habits: Habits | None = None) -> None:
        self._accounts = accounts
        self._habits = habits or Habits()
        self._foreteller = Foreteller()
        self._sums: dict[_Place, _Sum] = {}
        self._answers: dict[str, int] = {}
        self._seen: set[Fingerprint] = set()

    def add(self, case: OpenCase) -> None:
        """Takes the calls of a case in; a question that several cases share is expected once."""
        if case.request.role == "subject":
            self._count_answer(case.case.ref.suite)
        self._add(self._parts(case))

    def add_doubtful(self, case: EvalCase) -> None:
        """Takes in what may follow for a case that ended because user code was not looked at."""
        if case.proxy is not None and case.panel.plan.confirm:
            self._count_answer(case.ref.suite)
            self._add(self._confirmation(case, case.proxy))

    def _count_answer(self, suite: str) -> None:
        self._answers[suite] = self._answers.get(suite, 0) + 1

    def _add(self, parts: Iterable[_Part]) -> None:
        for part in parts:
            found = self._sums.get(part.place)
            if found is None:
                found = self._sums[part.place] = _Sum()
            found.most_calls += MOST_ATTEMPTS
            if part.most is None:
                found.unbounded = True
            else:
                found.maximum += part.most
            if part.key is not None:
                if part.key in self._seen:
                    continue
                self._seen.add(part.key)
            found.calls += 1
            found.prompt_tokens += part.tokens
            found.max_tokens = part.max_tokens
            input_rate, output_rate = self._rates(part)
            found.input_cost += part.tokens * input_rate
            found.output_rates += output_rate

    def _rates(self, part: _Part) -> tuple[int, int]:
        """What a token of the prompt and one of the answer cost; 0 where that is not known by tokens."""
        name = part.place.endpoint
        price = None if self._accounts.is_application(name) else self._accounts.price(name)
        if price is None:
            return 0, 0
        rates = price.at(part.tokens) if price.steps else price
        return rates.input, rates.output

    # ---------------------------------------------------------------- which calls there are

    def _parts(self, case: OpenCase) -> Iterator[_Part]:
        """The call that the case waits for, and all that may follow it."""
        request, eval_case = case.request, case.case
        yield self._exact(request, _Chance.CERTAIN, case.key)
        if isinstance(request, ModelRequest) and request.role == "judge":
            answered = eval_case.proxy or eval_case.target
            later = self._foreteller.calls(eval_case, later_judges(eval_case, request))
            yield from self._judged(answered, later, _Chance.JUDGED)
        else:
            calls = self._foreteller.calls(eval_case, judges(eval_case.panel))
            yield from self._judged(request, calls, _Chance.JUDGED)
        if eval_case.proxy is None or not eval_case.panel.plan.confirm:
            return
        if request.role != "confirm":
            yield from self._confirmation(eval_case, eval_case.proxy)

    def _confirmation(self, case: EvalCase, proxy: ModelRequest) -> Iterator[_Part]:
        """The target's answer, should the proxy's fail, and the verdicts on it."""
        yield self._exact(
            case.target, _Chance.CONFIRMED, None, role="confirm", proxy=proxy.endpoint
        )
        calls = self._foreteller.calls(case, judges(case.panel))
        yield from self._judged(case.target, calls, _Chance.JUDGED_CONFIRMED, proxy=proxy.endpoint)

    def _exact(
        self,
        request: Request,
        chance: _Chance,
        key: Fingerprint | None,
        *,
        role: str | None = None,
        proxy: str = "",
    ) -> _Part:
        place = _Place(
            request.suite, request.endpoint, role or request.role, request.tier, chance, proxy
        )
        most = None
        bounded = self._accounts.max_per_call(request.endpoint) is not None
        if bounded or isinstance(request, ModelRequest):
            most = _tried(self._accounts.worst_case(request))
        return _Part(place, expected_input_tokens(request), max_output_tokens(request), most, key)

    def _judged(
        self, subject: Request, calls: Iterable[JudgeCall], chance: _Chance, *, proxy: str = ""
    ) -> Iterator[_Part]:
        """The verdicts on an answer that is not there yet."""
        role = "confirm" if chance is _Chance.JUDGED_CONFIRMED else subject.role
        answer = self._output((subject.suite, subject.endpoint, role), max_output_tokens(subject))
        for call in calls:
            place = _Place(subject.suite, call.endpoint, "judge", call.tier, chance, proxy)
            said = self._output((subject.suite, call.endpoint, "judge"), call.max_tokens)
            read = ceiling(call.answers * answer + call.said * said)
            tokens = -(-call.known // BYTES_PER_TOKEN) + call.overhead + read
            yield _Part(
                place, tokens, call.max_tokens, self._worst_verdict(call, subject), call.key
            )

    def _worst_verdict(self, call: JudgeCall, subject: Request) -> Picodollars | None:
        price = self._accounts.price(call.endpoint)
        if price is None:
            return None
        if price.free:
            return ZERO
        if not isinstance(subject, ModelRequest) and call.answers:
            return None  # nothing bounds what an application says
        recounted = call.answers * max_output_tokens(subject) + call.said * call.max_tokens
        worst = worst_case(
            price,
            input_tokens=call.known + call.overhead + MOST_RECOUNTED * recounted,
            max_tokens=call.max_tokens,
            seconds=self._accounts.timeout_seconds(call.endpoint),
        )
        return _tried(worst)

    # ---------------------------------------------------------------- what they come to

    def forecast(self) -> Forecast:
        """All calls of all cases that were added."""
        kinds: dict[tuple[str, str, str, Tier], list[tuple[_Place, _Sum]]] = {}
        for place, found in self._sums.items():
            kinds.setdefault(place[:4], []).append((place, found))
        calls = tuple([self._forecast(parts) for parts in kinds.values()])
        strange = {
            call.suite
            for call in calls
            if call.calls and not self._habits.knows((call.suite, call.endpoint, call.role))
        }
        known = {call.suite for call in calls} - strange
        return Forecast(
            calls=calls, corrections={suite: self._habits.correction(suite) for suite in known}
        )

    def price(self, case: OpenCase) -> CostEstimate:
        """What one case will cost, once all cases have been added."""
        expected: Fraction | None = Fraction(0)
        maximum: Picodollars | None = ZERO
        unmetered = False
        for part in self._parts(case):
            place = part.place
            input_rate, output_rate = self._rates(part)
            alone = _Sum(
                calls=1,
                max_tokens=part.max_tokens,
                input_cost=part.tokens * input_rate,
                output_rates=output_rate,
            )
            cost = self._cost(place, alone)
            expected = None if expected is None or cost is None else expected + cost
            known = maximum is not None and part.most is not None
            maximum = Picodollars((maximum or 0) + (part.most or 0)) if known else None
            unmetered = unmetered or self._unmetered((place.suite, place.endpoint, place.role))
        whole = None if expected is None else Picodollars(ceiling(expected))
        if whole is not None and maximum is not None:
            whole = min(whole, maximum)
        return CostEstimate(expected=whole, maximum=maximum, unmetered=unmetered)

    def _forecast(self, parts: Sequence[tuple[_Place, _Sum]]) -> CallForecast:
        """Calls of one kind, whichever way they come about."""
        suite, endpoint, role, tier = parts[0][0][:4]
        kind: Kind = (suite, endpoint, role)
        weights = [self._probability(place) for place, _ in parts]
        costs = [self._cost(place, found) for place, found in parts]
        calls = sum((w * found.calls for w, (_, found) in zip(weights, parts, strict=True)), _NONE)
        prompts = sum(
            (w * found.prompt_tokens for w, (_, found) in zip(weights, parts, strict=True)), _NONE
        )
        unbounded = any(found.unbounded for _, found in parts)
        maximum = None if unbounded else Picodollars(sum(found.maximum for _, found in parts))
        expected = None if None in costs else sum(filter(None, costs), _NONE)
        if expected is not None and maximum is not None:
            expected = min(expected, Fraction(maximum))
        longest = max(found.max_tokens for _, found in parts)
        return CallForecast(
            suite=suite,
            endpoint=endpoint,
            tier=tier,
            role=role,
            calls=calls,
            most_calls=sum(found.most_calls for _, found in parts),
            input_tokens=prompts * self._habits.prompt_ratio(kind),
            output_tokens=calls * self._output(kind, longest),
            expected=expected,
            maximum=maximum,
            unmetered=self._unmetered(kind),
        )

    def _unmetered(self, kind: Kind) -> bool:
        """Whether the calls go to an application that has never said that its answers cost anything."""
        return self._accounts.is_application(kind[1]) and not self._habits.cost(kind)

    def _cost(self, place: _Place, found: _Sum) -> Fraction | None:
        """What these calls are expected to cost, corrected; ``None`` is unknown."""
        kind: Kind = (place.suite, place.endpoint, place.role)
        weight = self._probability(place) * self._habits.correction(place.suite) / MILLION
        if self._accounts.is_application(place.endpoint):
            return weight * found.calls * (self._habits.cost(kind) or 0)
        price = self._accounts.price(place.endpoint)
        if price is None:
            return None
        if price.per_second:
            usual = self._habits.cost(kind)
            busy = busy_cost(price, EXPECTED_SECONDS) if usual is None else usual
            return weight * found.calls * busy
        prompt = found.input_cost * self._habits.prompt_ratio(kind)
        return weight * (prompt + found.output_rates * self._output(kind, found.max_tokens))

    def _output(self, kind: Kind, max_tokens: int) -> Fraction:
        usual = self._habits.output_tokens(kind)
        if usual is None:
            return Fraction(min(max_tokens, EXPECTED_OUTPUT_TOKENS))
        return min(usual, Fraction(max_tokens)) if max_tokens else usual

    def _probability(self, place: _Place) -> Fraction:
        if place.chance is _Chance.CERTAIN:
            return _ONE
        probability = _ONE
        if place.chance in _CONFIRMED:
            probability *= self._confirmed(place)
        if place.chance in _JUDGED:
            probability *= self._judging(place)
        return probability

    def _confirmed(self, place: _Place) -> Fraction:
        if place.role == "confirm":
            return self._habits.confirmed(place.suite, place.proxy, place.endpoint)
        targets = {
            other.endpoint
            for other in self._sums
            if (other.suite, other.role, other.proxy) == (place.suite, "confirm", place.proxy)
        }
        rates = [self._habits.confirmed(place.suite, place.proxy, name) for name in targets]
        return max(rates, default=_NONE)

    def _judging(self, place: _Place) -> Fraction:
        """The part of a judge's foretold verdicts that is asked for, as it was in earlier runs."""
        before = self._habits.judged(place.suite, place.endpoint)
        answers = self._answers.get(place.suite, 0)
        foretold = self._sums.get(place._replace(chance=_Chance.JUDGED, proxy=""))
        if before is None or not answers or foretold is None or not foretold.calls:
            return Fraction(1)
        return min(Fraction(1), before * answers / foretold.calls)


def estimate(
    cases: Sequence[OpenCase], accounts: Accounts, habits: Callable[[], Habits] = Habits
) -> Estimator:
    """The estimator with all of the cases in it; history is asked for only where there is one."""
    estimator = Estimator(accounts, habits() if cases else Habits())
    for case in cases:
        estimator.add(case)
    return estimator


_NONE: Final = Fraction(0)
_ONE: Final = Fraction(1)
_CONFIRMED: Final = (_Chance.CONFIRMED, _Chance.JUDGED_CONFIRMED)
_JUDGED: Final = (_Chance.JUDGED, _Chance.JUDGED_CONFIRMED)


def _tried(worst: Picodollars | None) -> Picodollars | None:
    """The most that a call costs whose every attempt is billed at its worst case."""
    return None if worst is None else Picodollars(worst * MOST_ATTEMPTS)
