"""What models cost: the user's own price first, then genai-prices, then litellm's map, else unknown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from evalrunner.adapters.price_list import DISTRIBUTION, PriceList, list_price, load_price_list
from evalrunner.adapters.price_map import PriceMap, load_price_map
from evalrunner.values.money import Price
from evalrunner.values.pricing import Unknown, processing_of
from evalrunner.values.spec import Endpoint

_FREE: Final = Price(source="local")


class ListedPrices:
    """The published lists, in the order in which they are believed.

    Args:
        load: Gives the first list; for tests.
        load_map: Gives the second, which is read only where the first knows nothing; for tests.
    """

    def __init__(
        self,
        *,
        load: Callable[[], PriceList | None] | None = None,
        load_map: Callable[[], PriceMap | None] | None = None,
    ) -> None:
        self._load = load or load_price_list
        self._load_map = load_map or load_price_map

    def resolve(
        self,
        provider: str,
        model: str,
        *,
        at: float,
        processing: str = "standard",
        base_url: str | None = None,
    ) -> Price | Unknown:
        """The price of a model at a moment; the first list that knows it says so.

        Args:
            provider: As litellm writes it.
            model: The id after the provider.
            at: The moment whose prices hold, in seconds since 1970.
            processing: One of :data:`~evalrunner.values.pricing.PROCESSINGS`.
            base_url: The address, where it is not the provider's ordinary one: what listens elsewhere
                has a price only where the first list knows that address.
        """
        found = self.from_list(provider, model, at=at, processing=processing, base_url=base_url)
        if isinstance(found, Price) or base_url is not None:
            return found
        other = self.from_map(provider, model, processing=processing)
        if isinstance(other, Price):
            return other
        return Unknown(reason=f"{found.reason}; {other.reason}")

    def from_list(
        self,
        provider: str,
        model: str,
        *,
        at: float,
        processing: str = "standard",
        base_url: str | None = None,
    ) -> Price | Unknown:
        """What genai-prices says."""
        if self._list is None:
            return Unknown(reason=f"{DISTRIBUTION} is not installed, or cannot be read")
        found = self._list.find(provider, model, base_url)
        if found is None:
            return Unknown(reason=f"{self._list.source} does not list it")
        day = datetime.fromtimestamp(at, UTC).date()
        return list_price(found, day, self._list.source, processing)

    def from_map(
        self, provider: str, model: str, *, processing: str = "standard"
    ) -> Price | Unknown:
        """What litellm's map says."""
        if self._map is None:
            return Unknown(reason="litellm is not installed")
        return self._map.price(provider, model, processing)

    @cached_property
    def _list(self) -> PriceList | None:
        return self._load()

    @cached_property
    def _map(self) -> PriceMap | None:
        return self._load_map()


class ConfiguredPrices:
    """A :class:`~evalrunner.engine.ports.PriceBook`: every price stays the same for a whole run.

    Args:
        at: The moment whose prices hold, in seconds since 1970.
        lists: What is looked into where the user says nothing.
    """

    def __init__(self, *, at: float, lists: ListedPrices | None = None) -> None:
        self._at = at
        self._lists = lists or ListedPrices()
        self._known: dict[tuple[str, str, str | None, str], Price | Unknown] = {}

    def resolve(self, endpoint: Endpoint) -> Price | None:
        """The price of an endpoint, or ``None`` where nobody knows it.

        What the user wrote rules. ``local/`` is free unless the user said what an hour costs. An
        endpoint with an address of its own has a list price only where that address is a listed
        provider's. A list price that is missing or zero is unknown.
        """
        found = self.explain(endpoint)
        return found if isinstance(found, Price) else None

    def explain(self, endpoint: Endpoint) -> Price | Unknown:
        """The same, with the reason where nobody knows it."""
        if endpoint.price is not None:
            return endpoint.price
        if endpoint.provider == "local":
            return _FREE
        provider, model, url = endpoint.provider, endpoint.model, endpoint.base_url
        processing = processing_of(endpoint.params)
        wanted = (provider, model, url, processing)
        if wanted not in self._known:
            self._known[wanted] = self._lists.resolve(
                provider, model, at=self._at, processing=processing, base_url=url
            )
        return self._known[wanted]
