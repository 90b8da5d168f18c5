"""What Langfuse has traced: costs by day, environment and model, as its price definitions compute them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
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
from evalrunner.values.spend import (
    EVALS,
    SpendRead,
    SpendSpec,
    days_between,
    exact_usd,
    shifted,
)

BASE_URL: Final = "https://cloud.langfuse.com"
FACTS: Final = (
    "environment",
    "providedModelName",
    "name",
    "release",
    "tags",
    "traceName",
    "version",
)
OWN_JUDGES: Final = "langfuse-llm-as-a-judge"
"""The environment of Langfuse's own judges: they are testing, wherever they run."""

_ROW_LIMIT: Final = 1000
_COST_NAMES: Final = ("sum_totalCost", "totalCost_sum", "totalCost")
_DAY_NAMES: Final = ("time_dimension", "timeDimension", "date")


class LangfuseSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for the metrics interface.

    A model without a price definition costs nothing there: it is ``null``, and leaves the sum open.

    Args:
        spec: ``public_key_env``, ``secret_key_env`` and ``base_url``.
        environ: Where the keys are looked up.
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
        self._facts = sorted(spec.filter.names | {"environment", "providedModelName"})

    def fetch(self, since: str, until: str) -> SpendRead:
        """The costs by day, environment and model; see the port."""
        return asyncio.run(self._fetch(since, until))

    async def _fetch(self, since: str, until: str) -> SpendRead:
        rows = SpendRows(self._spec, since, until)
        api = self._api()
        try:
            await self._read(api, rows, since, until)
        finally:
            await api.aclose()
        return rows.read(fetched_at=self._now())

    async def _read(self, api: SpendApi, rows: SpendRows, since: str, until: str) -> None:
        """Reads a span of days; one that fills the answer to its limit is read in halves."""
        page = await api.get("/api/public/v2/metrics", [("query", self._query(since, until))])
        found = rows_of(page, "data", self._spec.name)
        if len(found) < _ROW_LIMIT:
            for row in found:
                self._add(rows, row, since if since == until else None)
            return
        days = days_between(since, until)
        if days == 1:
            raise SpendError(
                f"{self._spec.name} has more than {_ROW_LIMIT} kinds of calls on {since}",
                hint="name fewer facts in where: and exclude:",
            )
        middle = shifted(since, days // 2 - 1)
        await self._read(api, rows, since, middle)
        await self._read(api, rows, shifted(middle, 1), until)

    def _query(self, since: str, until: str) -> str:
        return json.dumps(
            {
                "view": "observations",
                "dimensions": [{"field": fact} for fact in self._facts],
                "metrics": [{"measure": "totalCost", "aggregation": "sum"}],
                "filters": [],
                "timeDimension": {"granularity": "day"},
                "fromTimestamp": f"{since}T00:00:00Z",
                "toTimestamp": f"{shifted(until, 1)}T00:00:00Z",
                "config": {"row_limit": _ROW_LIMIT},
            }
        )

    def _add(self, rows: SpendRows, row: Mapping[str, Any], only_day: str | None) -> None:
        day = day_or_none(_first(row, _DAY_NAMES)) or only_day
        if day is None:
            raise SpendError(f"{self._spec.name} answered with a row without a day")
        facts = {fact: text_or_none(row.get(fact)) for fact in self._facts}
        model = facts["providedModelName"]
        cost = _first(row, _COST_NAMES)
        if cost is None and model is None:
            return  # a span that called no model
        rows.add(
            day,
            exact_usd(cost),
            facts,
            label=model or "",
            left_out=EVALS if facts["environment"] == OWN_JUDGES else None,
        )

    def _api(self) -> SpendApi:
        name = self._spec.name
        public = required_key(
            self._spec.text("public_key_env", "LANGFUSE_PUBLIC_KEY"), name, self._environ
        )
        secret = required_key(
            self._spec.text("secret_key_env", "LANGFUSE_SECRET_KEY"), name, self._environ
        )
        pair = base64.b64encode(f"{public}:{secret}".encode()).decode("ascii")
        return SpendApi(
            name=name,
            base_url=self._spec.text("base_url", BASE_URL),
            headers={"authorization": f"Basic {pair}"},
            environ=self._environ,
            secrets=[secret, pair, public],
            sleep=self._sleep,
        )


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)
