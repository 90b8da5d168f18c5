"""What an OpenAI organization paid: its costs, which are what the invoice says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from evalrunner.adapters.spend_http import (
    Sleep,
    SpendApi,
    required_key,
    rows_of,
    text_or_none,
)
from evalrunner.adapters.spend_rows import SpendRows, require_facts
from evalrunner.errors import SpendError
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd, shifted

BASE_URL: Final = "https://api.openai.com/v1"
FACTS: Final = ("project_id", "api_key_id", "user_id", "line_item")

_DAYS_PER_PAGE: Final = 180


class OpenAISpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for ``/organization/costs``.

    Args:
        spec: ``api_key_env`` (an admin key, ``OPENAI_ADMIN_KEY``) and ``base_url``.
        environ: Where the key is looked up.
        now: The clock, in seconds since 1970.
        sleep: How it waits.
    """

    def __init__(
        self,
        spec: SpendSpec,
        *,
        environ: Mapping[str, str],
        now: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        require_facts(spec, FACTS)
        self._spec = spec
        self._environ = environ
        self._now = now
        self._sleep = sleep

    def fetch(self, since: str, until: str) -> SpendRead:
        """The costs by day and line item, and by what the filter asks for; see the port."""
        return asyncio.run(self._fetch(since, until))

    async def _fetch(self, since: str, until: str) -> SpendRead:
        name = self._spec.name
        rows = SpendRows(self._spec, since, until)
        api = self._api()
        query = [
            ("start_time", _seconds(since)),
            ("end_time", _seconds(shifted(until, 1))),
            ("bucket_width", "1d"),
            ("limit", str(_DAYS_PER_PAGE)),
            *(("group_by[]", fact) for fact in sorted(self._spec.filter.names | {"line_item"})),
        ]
        try:
            async for bucket in api.buckets("/organization/costs", query):
                day = _day(bucket.get("start_time"), name)
                for result in rows_of(bucket, "results", name):
                    _add(rows, day, result)
        finally:
            await api.aclose()
        return rows.read(fetched_at=self._now())

    def _api(self) -> SpendApi:
        variable = self._spec.text("api_key_env", "OPENAI_ADMIN_KEY")
        key = required_key(variable, self._spec.name, self._environ)
        return SpendApi(
            name=self._spec.name,
            base_url=self._spec.text("base_url", BASE_URL),
            headers={"authorization": f"Bearer {key}"},
            environ=self._environ,
            secrets=[key],
            sleep=self._sleep,
        )


def _add(rows: SpendRows, day: str, result: Mapping[str, Any]) -> None:
    amount = result.get("amount")
    value = amount.get("value") if isinstance(amount, dict) else None
    currency = amount.get("currency") if isinstance(amount, dict) else None
    facts = {name: text_or_none(result.get(name)) for name in FACTS}
    rows.add(
        day,
        exact_usd(value) if isinstance(currency, str) else None,
        facts,
        label=(facts["line_item"] or "").split(",")[0],
        currency=str(currency or "usd").upper(),
    )


def _seconds(day: str) -> str:
    return str(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()))


def _day(moment: object, name: str) -> str:
    """The UTC day of a bucket."""
    if isinstance(moment, int) and 0 <= moment < 2**33:
        return datetime.fromtimestamp(moment, UTC).date().isoformat()
    raise SpendError(f"{name} answered with a bucket without a time")
