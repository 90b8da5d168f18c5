"""Prices as the command line tells them: each with its source, and where sources disagree."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evalrunner.adapters.prices import ConfiguredPrices, ListedPrices
from evalrunner.suite.config import load_project
from evalrunner.suite.endpoints import endpoint_for
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars, Price, usd_text
from evalrunner.values.pricing import Unknown, processing_of
from evalrunner.values.spec import Endpoint

_RATES = {
    "input": "input",
    "output": "output",
    "cached_input": "cached input",
    "cache_write": "cache write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One line about one model, and whether its price is known."""

    text: str
    known: bool


def price_lines(models: Sequence[str], *, config: Path | None = None) -> Iterator[PriceLine]:
    """What each model costs and who says so; without *models* all that the project names.

    Raises:
        ConfigError: The configuration cannot be used, or an id is none.
    """
    book = ConfiguredPrices(at=time.time())
    for endpoint in _endpoints(models, config):
        found = book.explain(endpoint)
        yield PriceLine(text=f"{endpoint.name}: {described(found)}", known=isinstance(found, Price))


def disagreements(models: Sequence[str], *, config: Path | None = None) -> Iterator[PriceLine]:
    """For each model what its sources say, where they differ; or that they agree.

    Raises:
        ConfigError: The configuration cannot be used, or an id is none.
    """
    at, lists = time.time(), ListedPrices()
    for endpoint in _endpoints(models, config):
        provider, model, url = endpoint.provider, endpoint.model, endpoint.base_url
        said: list[Price | Unknown] = [] if endpoint.price is None else [endpoint.price]
        if provider != "local":
            way = processing_of(endpoint.params)
            said.append(lists.from_list(provider, model, at=at, processing=way, base_url=url))
            if url is None:
                said.append(lists.from_map(provider, model, processing=way))
        known = [one for one in said if isinstance(one, Price)]
        text = "; ".join(map(described, said)) or "local: free"
        if len({replace(one, source="") for one in known}) > 1:
            yield PriceLine(text=f"{endpoint.name}: disagree: {text}", known=True)
        elif known or provider == "local":
            count = f"{len(known)} source{'' if len(known) == 1 else 's'}"
            yield PriceLine(text=f"{endpoint.name}: agreed by {count}: {text}", known=True)
        else:
            yield PriceLine(text=f"{endpoint.name}: {text}", known=False)


def _endpoints(models: Sequence[str], config: Path | None) -> list[Endpoint]:
    project = load_project(Path.cwd(), config=config)
    if not models:
        return list(project.models.values())
    return [endpoint_for(project, name) for name in models]


def described(price: Price | Unknown) -> str:
    """A price in dollars a million tokens, with its source; or why there is none.

    Example:
        >>> described(
        ...     Price(input=Picodollars(1_250_000), output=Picodollars(10**7), source="list@1")
        ... )
        '$1.25 input, $10 output a million tokens (list@1)'
    """
    if isinstance(price, Unknown):
        return f"unknown: {price.reason}"
    if price.free:
        return f"free ({price.source})"
    parts = [
        f"${usd_text(Picodollars(rate * 10**6))} {name}"
        for field, name in _RATES.items()
        if (rate := getattr(price, field))
    ]
    text = f"{', '.join(parts)} a million tokens" if parts else ""
    if price.per_second:
        # A second's price is rounded up to whole picodollars: less than a hundred-thousandth of a cent.
        hour = Picodollars(price.per_second * 3600 // 10**5 * 10**5)
        text += f"{' and ' if text else ''}${usd_text(hour)} an hour"
    for step in price.steps:
        above = f"${usd_text(Picodollars(step.input * 10**6))} input"
        text += f"; above {step.above:,} tokens {above}"
        text += f", ${usd_text(Picodollars(step.output * 10**6))} output"
    return f"{text} ({price.source})"
