"""What went through a litellm proxy: its daily activity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Final

from evalrunner.adapters.spend_http import (
    MOST_PAGES,
    Sleep,
    SpendApi,
    required_key,
    rows_of,
    text_or_none,
)
from evalrunner.adapters.spend_rows import SpendRows, day_or_none, require_facts
from evalrunner.errors import SpendError
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd

FACTS: Final = ("api_key", "key_alias", "team_id")

_PAGE_SIZE: Final = 1000
_FLOAT_NOISE: Final = Fraction(1, 10**9)
"""The proxy adds binary floats: what it says of a day differs that much from what it says of keys."""


class LitellmSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for ``/user/daily/activity`` of a proxy.

    Spend is split by virtual key. With a ``tag``, only requests with that one tag are looked at; the
    proxy counts a request once for each of its tags, so two would be too much.

    A model that the proxy does not know the price of is booked at nothing. Such models leave the sum
    open, unless ``free`` names them.

    Args:
        spec: ``base_url``, ``api_key_env`` (``LITELLM_MASTER_KEY``), ``tag`` and ``free``.
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
        """The spend by day and virtual key; see the port."""
        return asyncio.run(self._fetch(since, until))

    async def _fetch(self, since: str, until: str) -> SpendRead:
        rows = SpendRows(self._spec, since, until)
        tag = self._spec.text("tag")
        path = "/tag/daily/activity" if tag else "/user/daily/activity"
        query = [("start_date", since), ("end_date", until), ("page_size", str(_PAGE_SIZE))]
        query += [("tags", tag)] if tag else []
        api = self._api()
        try:
            for number in range(1, MOST_PAGES + 1):
                page = await api.get(path, [*query, ("page", str(number))])
                for result in rows_of(page, "results", self._spec.name):
                    self._add(rows, result)
                if not _has_more(page, number):
                    return rows.read(fetched_at=self._now())
        finally:
            await api.aclose()
        raise SpendError(f"{self._spec.name} does not come to an end of its pages")

    def _api(self) -> SpendApi:
        variable = self._spec.text("api_key_env", "LITELLM_MASTER_KEY")
        key = required_key(variable, self._spec.name, self._environ)
        return SpendApi(
            name=self._spec.name,
            base_url=self._spec.text("base_url"),
            headers={"authorization": f"Bearer {key}"},
            environ=self._environ,
            secrets=[key],
            sleep=self._sleep,
        )

    def _add(self, rows: SpendRows, result: Mapping[str, Any]) -> None:
        """One day's part of one page: each key, and what belongs to no key."""
        name = self._spec.name
        day = day_or_none(result.get("date"))
        metrics = result.get("metrics")
        if day is None or not isinstance(metrics, dict):
            raise SpendError(f"{name} answered with a day without a date or figures")
        breakdown = result.get("breakdown")
        parts = breakdown if isinstance(breakdown, dict) else {}
        rest = exact_usd(metrics.get("spend"))
        if rest is None:
            rows.add(day, None, {})
            return
        for key, spend, details in _groups(parts.get("api_keys")):
            facts = {"api_key": key, **{fact: _fact(details, fact) for fact in FACTS[1:]}}
            rows.add(day, spend, facts, label=facts["key_alias"] or key[:12])
            rest -= spend or Fraction(0)
        if abs(rest) > _FLOAT_NOISE:
            rows.add(day, rest, dict.fromkeys(FACTS), label="no key")
        self._note_unpriced(rows, day, parts.get("models"))

    def _note_unpriced(self, rows: SpendRows, day: str, models: object) -> None:
        free = self._spec.texts("free")
        for model, spend, details in _groups(models):
            figures = details.get("metrics")
            asked = figures.get("successful_requests") if isinstance(figures, dict) else None
            unpriced = spend == 0 and type(asked) is int and asked > 0
            if unpriced and not any(fnmatchcase(model, pattern) for pattern in free):
                rows.add(day, None, dict.fromkeys(FACTS), label=model)
                rows.note(f"the proxy books {model!r} at $0: give it a price there, or say free:")


def _groups(breakdown: object) -> Iterator[tuple[str, Fraction | None, Mapping[str, Any]]]:
    """The entries of a breakdown: name, spend, all of it."""
    for name, entry in breakdown.items() if isinstance(breakdown, dict) else ():
        details = entry if isinstance(entry, dict) else {}
        figures = details.get("metrics")
        yield (
            str(name),
            exact_usd(figures.get("spend") if isinstance(figures, dict) else None),
            details,
        )


def _fact(details: Mapping[str, Any], name: str) -> str | None:
    metadata = details.get("metadata")
    return text_or_none(metadata.get(name)) if isinstance(metadata, dict) else None


def _has_more(page: Mapping[str, Any], number: int) -> bool:
    metadata = page.get("metadata")
    if not isinstance(metadata, dict):
        return False
    pages = metadata.get("total_pages")
    return metadata.get("has_more") is True or (type(pages) is int and number < pages)
