"""What calls cost: prices resolved once a run, and each answer priced exactly."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from evalrunner.engine.ports import PriceBook
from evalrunner.engine.tokens import max_input_tokens, max_output_tokens
from evalrunner.values.exchange import CallRecord, ModelRequest, ModelResponse, Request
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import ZERO, Picodollars, Price, dollars, worst_case
from evalrunner.values.pricing import price_call
from evalrunner.values.spec import Endpoint


class Accounts:
    """Prices answers and remembers which questions this run has already counted.

    A question that several cases share is worth something to each of them, but with an empty cache it
    would have been paid once: only its first use carries the nominal cost.

    Args:
        book: The prices.
        endpoints: What is asked, by name.
        counted: Questions that were counted before, in cases that are taken over from another run.
        miss_cause: Why the store can have no answer, where that is known before anything is asked.
    """

    def __init__(
        self,
        book: PriceBook,
        endpoints: Mapping[str, Endpoint],
        counted: Container[Fingerprint] = (),
        *,
        miss_cause: str | None = None,
    ) -> None:
        self._book = book
        self._endpoints = endpoints
        self._prices: dict[str, Price | None] = {}
        self._counted: set[Fingerprint] = set()
        self._dearer: dict[str, Picodollars] = {}
        self._counted_before = counted
        self._miss_cause = miss_cause

    def price(self, endpoint: str) -> Price | None:
        """The price of an endpoint by name, looked up once; ``None`` is unknown."""
        if endpoint not in self._prices:
            self._prices[endpoint] = self._book.resolve(self._endpoints[endpoint])
        return self._prices[endpoint]

    def is_application(self, endpoint: str) -> bool:
        """Whether the name is that of an application, which says what it cost when it has answered."""
        return self._endpoints[endpoint].provider == "application"

    def takes_flex(self, endpoint: str) -> bool:
        """Whether the endpoint is OpenAI's own, at the standard price, where flex costs half."""
        found = self._endpoints[endpoint]
        own = found.provider == "openai" and found.base_url is None
        return own and "service_tier" not in found.params

    def timeout_seconds(self, endpoint: str) -> float:
        """The deadline of one attempt at an endpoint."""
        return self._endpoints[endpoint].timeout_seconds

    def worst_case(self, request: Request) -> Picodollars | None:
        """The most that one attempt at the request can cost; ``None`` is unknown.

        Of an application nobody knows a price: it is what the suite says at most, else nothing, and what
        it does not report is unmetered.
        """
        if not isinstance(request, ModelRequest):
            return self.max_per_call(request.endpoint) or ZERO
        price = self.price(request.endpoint)
        if price is None:
            return None
        return worst_case(
            price,
            input_tokens=max_input_tokens(request),
            max_tokens=max_output_tokens(request),
            seconds=self._endpoints[request.endpoint].timeout_seconds,
        )

    def max_per_call(self, endpoint: str) -> Picodollars | None:
        """The most that one call of an application may cost, where its suite says so."""
        return self._endpoints[endpoint].max_per_call

    def charged(self, request: Request, response: ModelResponse) -> Picodollars | None:
        """The worth of an answer that was just paid for; a call dearer than it may be is remembered."""
        cost = self.worth(request, response)
        most = self.max_per_call(request.endpoint)
        if most is not None and cost is not None and cost > most:
            self._dearer[request.endpoint] = max(cost, self._dearer.get(request.endpoint, ZERO))
        return cost

    def broken_bounds(self) -> Iterator[str]:
        """A line for each application that reported more for a call than its suite says at most."""
        for name, cost in sorted(self._dearer.items()):
            yield (
                f"{name}: a call cost {dollars(cost)}, more than its max_usd_per_call of "
                f"{dollars(self.max_per_call(name))}, so that a ceiling may not hold: raise it"
            )

    def worth(self, request: Request, response: ModelResponse) -> Picodollars | None:
        """What the answer costs at today's prices with an empty cache; ``None`` is unknown.

        An application that does not report its cost is unmetered: 0, and the report says so.
        """
        if not isinstance(request, ModelRequest):
            return response.reported_usd or ZERO
        price = self.price(request.endpoint)
        if price is None:
            return None
        return price_call(price, response.usage, response.latency_seconds)

    def hit(self, request: Request, key: Fingerprint, response: ModelResponse) -> CallRecord:
        """The account of an answer from the store."""
        worth = self.worth(request, response)
        first = self._first_use(key)
        return CallRecord(
            fingerprint=key,
            cached=True,
            shared=not first,
            nominal=worth if first else ZERO,
            worth=worth,
            unmetered=first and unmetered(request, response),
        )

    def paid(
        self,
        key: Fingerprint,
        *,
        attempts: int,
        incurred: Picodollars | None,
        worth: Picodollars | None,
        unmetered: bool = False,
    ) -> CallRecord:
        """The account of an answer that this run asked for, and that is worth so much."""
        self._counted.add(key)
        return CallRecord(
            fingerprint=key,
            cached=False,
            attempts=attempts,
            incurred=incurred,
            nominal=worth,
            worth=worth,
            unmetered=unmetered,
            miss_cause=self._miss_cause,
        )

    def shared(self, record: CallRecord) -> CallRecord:
        """The account of another case's use of an answer that this run asked for, or waited for."""
        return CallRecord(
            fingerprint=record.fingerprint,
            cached=record.cached,
            shared=True,
            worth=record.worth,
        )

    def _first_use(self, key: Fingerprint) -> bool:
        if key in self._counted or key in self._counted_before:
            return False
        self._counted.add(key)
        return True


def unmetered(request: Request, response: ModelResponse) -> bool:
    """Whether this is the answer of an application that does not say what it cost."""
    return not isinstance(request, ModelRequest) and response.reported_usd is None
