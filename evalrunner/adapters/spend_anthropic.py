"""What an Anthropic organization paid: its cost report, or its usage at list prices."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from evalrunner.adapters.spend_http import (
    Sleep,
    SpendApi,
    required_key,
    rows_of,
    text_or_none,
)
from evalrunner.adapters.spend_rows import SpendRows, day_or_none, require_facts
from evalrunner.errors import SpendError
from evalrunner.values.money import PICO_PER_USD, Price
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd, shifted

BASE_URL: Final = "https://api.anthropic.com"
VERSION: Final = "2023-06-01"
DEFAULT_WORKSPACE: Final = "default"
"""What the workspace is called in filters that Anthropic names ``null``."""

COST_FACTS: Final = (
    "workspace_id",
    "description",
    "model",
    "cost_type",
    "token_type",
    "service_tier",
)
USAGE_FACTS: Final = (
    "api_key_id",
    "workspace_id",
    "model",
    "service_tier",
    "context_window",
    "inference_geo",
)

_MOST_DAYS: Final = 31
_DISCOUNT: Final = {"standard": Fraction(1), "batch": Fraction(1, 2)}
"""What a tier's tokens cost, in list prices; the others are agreed upon, and not public."""

_LONG_PROMPT: Final = re.compile(r"(\d+)k-")
"""How the reports name the prompts above a length: ``200k-1M``."""

_AT_HOME: Final = Fraction(11, 10)
"""What a token costs that may be worked on in the United States alone, by Anthropic's price list."""

PriceOf = Callable[[str], Price | None]
"""The list price of a model."""


class AnthropicSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for the cost report or the usage report.

    The cost report is what was billed, by workspace. Only the usage report knows API keys: it is
    priced here, and what has no public price leaves the sum open.

    Args:
        spec: ``report`` (``cost`` or ``usage``), ``api_key_env`` (an admin key,
            ``ANTHROPIC_ADMIN_KEY``) and ``base_url``.
        environ: Where the key is looked up.
        now: The clock, in seconds since 1970.
        price_of: Prices the usage.
        sleep: How it waits.
    """

    def __init__(
        self,
        spec: SpendSpec,
        *,
        environ: Mapping[str, str],
        now: Callable[[], float],
        price_of: PriceOf,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._by_usage = spec.text("report", "cost") == "usage"
        require_facts(spec, USAGE_FACTS if self._by_usage else COST_FACTS)
        self._spec = spec
        self._environ = environ
        self._now = now
        self._price_of = price_of
        self._sleep = sleep

    def fetch(self, since: str, until: str) -> SpendRead:
        """The costs by day, workspace and kind, or the usage by day, key and model; see the port."""
        return asyncio.run(self._fetch(since, until))

    async def _fetch(self, since: str, until: str) -> SpendRead:
        report = "usage_report/messages" if self._by_usage else "cost_report"
        groups = USAGE_FACTS if self._by_usage else ("workspace_id", "description")
        query = [
            ("starting_at", f"{since}T00:00:00Z"),
            ("ending_at", f"{shifted(until, 1)}T00:00:00Z"),
            ("bucket_width", "1d"),
            ("limit", str(_MOST_DAYS)),
            *(("group_by[]", group) for group in groups),
        ]
        rows = SpendRows(self._spec, since, until)
        api = self._api()
        try:
            async for bucket in api.buckets(f"/v1/organizations/{report}", query):
                day = day_or_none(bucket.get("starting_at"))
                if day is None:
                    raise SpendError(f"{self._spec.name} answered with a bucket without a time")
                for result in rows_of(bucket, "results", self._spec.name):
                    self._add(rows, day, result)
        finally:
            await api.aclose()
        return rows.read(fetched_at=self._now())

    def _add(self, rows: SpendRows, day: str, result: Mapping[str, Any]) -> None:
        names = USAGE_FACTS if self._by_usage else COST_FACTS
        facts = {name: text_or_none(result.get(name)) for name in names}
        facts["workspace_id"] = facts["workspace_id"] or DEFAULT_WORKSPACE
        if self._by_usage:
            usd, currency = _usage_cost(result, facts, self._price_of), "USD"
        else:
            cents = exact_usd(result.get("amount"))
            usd = None if cents is None else cents / 100
            currency = str(result.get("currency") or "USD").upper()
        label = facts["model"] or facts.get("description") or ""
        rows.add(day, usd, facts, label=label, currency=currency)

    def _api(self) -> SpendApi:
        variable = self._spec.text("api_key_env", "ANTHROPIC_ADMIN_KEY")
        key = required_key(variable, self._spec.name, self._environ)
        return SpendApi(
            name=self._spec.name,
            base_url=self._spec.text("base_url", BASE_URL),
            headers={"x-api-key": key, "anthropic-version": VERSION},
            environ=self._environ,
            secrets=[key],
            sleep=self._sleep,
        )


def _usage_cost(
    result: Mapping[str, Any], facts: Mapping[str, str | None], price_of: PriceOf
) -> Fraction | None:
    """A row's tokens at list prices; ``None`` where one of them has none.

    A write that lasts an hour costs twice an input token, by Anthropic's price list; a long prompt costs
    what the price says of it. Tools on their server are billed by the use, and are not priced here.
    """
    price = price_of(facts["model"] or "")
    part = _DISCOUNT.get(facts["service_tier"] or "")
    long = _LONG_PROMPT.match(facts["context_window"] or "")
    written = result.get("cache_creation")
    writes = written if isinstance(written, dict) else {}
    tools = result.get("server_tool_use")
    used = [_count(value) for value in tools.values()] if isinstance(tools, dict) else []
    counts = [
        _count(result.get("uncached_input_tokens")),
        _count(result.get("cache_read_input_tokens")),
        _count(writes.get("ephemeral_5m_input_tokens")),
        _count(writes.get("ephemeral_1h_input_tokens")),
        _count(result.get("output_tokens")),
    ]
    if price is None or part is None or any(used) or None in [*counts, *used]:
        return None
    price = price.at(int(long[1]) * 1000 + 1 if long else 0)
    rates = (
        price.input,
        price.input if price.cached_input is None else price.cached_input,
        price.input if price.cache_write is None else price.cache_write,
        2 * price.input,
        price.output,
    )
    cost = sum((count or 0) * rate for count, rate in zip(counts, rates, strict=True))
    place = _AT_HOME if facts["inference_geo"] == "us" else 1
    return part * place * Fraction(cost, PICO_PER_USD)


def _count(value: object) -> int | None:
    """A number of tokens; a missing one is none, an impossible one is unknown."""
    if value is None:
        return 0
    return value if type(value) is int and 0 <= value < 2**53 else None
