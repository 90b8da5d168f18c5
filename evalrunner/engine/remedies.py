"""What would bring a run below its limits: what each way out saves, computed and not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.estimate import Estimator
from evalrunner.engine.habits import MILLION
from evalrunner.engine.replay import OpenCase
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Tier
from evalrunner.values.forecast import CallForecast, Forecast
from evalrunner.values.money import Picodollars, Price, usd_text
from evalrunner.values.result import Remedy
from evalrunner.values.spec import Endpoint

MOST_REMEDIES: Final = 3
FLEX: Final = Fraction(1, 2)
"""What OpenAI's flex processing costs, as a part of the standard price."""

Holds = Callable[[Forecast], bool]
"""Whether every gate would let a run with that forecast begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A run that was refused.

    Attributes:
        cases: Its selected cases, in order.
        waiting: Those that wait for an answer.
        estimator: Prices one of them alone.
        forecast: What all of them will ask and cost.
        accounts: The prices.
        proxy: The cheap tier's model, where one is configured.
        from_cache: What the run would ask if it used what the cache holds, where it was told not to;
            and what to leave out for that.
    """

    cases: Sequence[EvalCase]
    waiting: Sequence[OpenCase]
    estimator: Estimator
    forecast: Forecast
    accounts: Accounts
    proxy: Endpoint | None = None
    from_cache: tuple[str, Forecast] | None = None


def remedies(situation: Situation, holds: Holds) -> tuple[Remedy, ...]:
    """The ways out, those that are enough first, then by what they save.

    There are none where a price is unknown.
    """
    before = situation.forecast.estimate.expected
    if not before:
        return ()
    found = [
        Remedy(
            action=action,
            expected=after,
            saves=Picodollars(before - after),
            enough=holds(changed),
        )
        for action, changed in _changes(situation, holds)
        if (after := changed.estimate.expected) is not None and after < before
    ]
    found.sort(key=lambda remedy: (not remedy.enough, -remedy.saves))
    return tuple(found[:MOST_REMEDIES])


def _changes(situation: Situation, holds: Holds) -> Iterator[tuple[str, Forecast]]:
    """What could be done, and what would then be asked."""
    if situation.from_cache is not None:
        yield situation.from_cache
    yield from _on_proxy(situation)
    yield from _flex(situation)
    yield from _sampled(situation, holds)


def _on_proxy(situation: Situation) -> Iterator[tuple[str, Forecast]]:
    """Verdicts, or answers, of the cheap model instead of the dear one."""
    proxy = situation.proxy
    price = None if proxy is None else situation.accounts.price(proxy.name)
    if proxy is None or price is None:
        return
    for action, roles in (
        ("routing: {semantic: {judge: proxy}}", ("judge",)),
        ("target: proxy", ("subject", "confirm")),
    ):
        moved = [
            _moved(part, proxy.name, price, situation.forecast)
            if part.role in roles and part.tier is Tier.FRONTIER
            else part
            for part in situation.forecast.calls
        ]
        yield action, replace(situation.forecast, calls=tuple(moved))


def _moved(part: CallForecast, name: str, price: Price, forecast: Forecast) -> CallForecast:
    correction = Fraction(forecast.corrections.get(part.suite, MILLION), MILLION)
    cost = correction * (part.input_tokens * price.input + part.output_tokens * price.output)
    return replace(part, endpoint=name, tier=Tier.PROXY, expected=cost)


def _flex(situation: Situation) -> Iterator[tuple[str, Forecast]]:
    """Slower processing at half the price, of models that OpenAI serves itself."""
    spent: dict[str, Fraction] = {}
    for part in situation.forecast.calls:
        if part.expected is not None and situation.accounts.takes_flex(part.endpoint):
            spent[part.endpoint] = spent.get(part.endpoint, Fraction(0)) + part.expected
    for name in sorted(spent, key=lambda name: -spent[name])[:1]:
        price = situation.accounts.price(name)
        if price is None:
            continue
        halved = (
            replace(part, expected=part.expected * FLEX)
            if part.endpoint == name and part.expected is not None
            else part
            for part in situation.forecast.calls
        )
        rates = f"input_per_mtok: {_half(price.input)}, output_per_mtok: {_half(price.output)}"
        action = f"models: {name}: {{params: {{service_tier: flex}}, price: {{{rates}}}}}"
        yield action, replace(situation.forecast, calls=tuple(halved))


def _half(rate: Picodollars) -> str | None:
    """Half a rate in picodollars a token, as dollars a million tokens."""
    return usd_text(Picodollars(int(rate * FLEX * MILLION)))


def _sampled(situation: Situation, holds: Holds) -> Iterator[tuple[str, Forecast]]:
    """The largest number of rows of each suite that every gate lets through."""
    costs = _costs_by_row(situation)
    most = max((len(rows) for rows in costs.values()), default=0)
    low, high = 0, most - 1
    while low < high:
        middle = (low + high + 1) // 2
        if holds(_first_rows(situation.forecast, costs, middle)):
            low = middle
        else:
            high = middle - 1
    if 0 < low < most:
        yield f"-n {low}", _first_rows(situation.forecast, costs, low)


def _costs_by_row(situation: Situation) -> dict[str, list[Fraction]]:
    """For each suite, what its rows cost one by one, in their order."""
    places: dict[str, dict[str, int]] = {}
    for case in situation.cases:
        rows = places.setdefault(case.ref.suite, {})
        rows.setdefault(case.ref.row_id, len(rows))
    costs = {suite: [Fraction(0)] * len(rows) for suite, rows in places.items()}
    for waiting in situation.waiting:
        ref = waiting.case.ref
        price = situation.estimator.price(waiting).expected
        costs[ref.suite][places[ref.suite][ref.row_id]] += price or 0
    return costs


def _first_rows(
    forecast: Forecast, costs: Mapping[str, Sequence[Fraction]], count: int
) -> Forecast:
    """The forecast of the first so many rows of each suite."""
    parts = {suite: _part(rows, count) for suite, rows in costs.items()}
    return replace(
        forecast,
        calls=tuple(_scaled(part, parts.get(part.suite, _ALL)) for part in forecast.calls),
    )


def _part(rows: Sequence[Fraction], count: int) -> Fraction:
    whole = _sum(rows)
    return _sum(rows[:count]) / whole if whole else _ALL


def _scaled(part: CallForecast, share: Fraction) -> CallForecast:
    return replace(
        part,
        calls=part.calls * share,
        expected=None if part.expected is None else part.expected * share,
    )


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    return sum(amounts, Fraction(0))


_ALL: Final = Fraction(1)
