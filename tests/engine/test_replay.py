"""What the store knows is never asked: replays over kept answers, in bulk and in order."""

from __future__ import annotations

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.replay import BLOCK, StoreReader, replay
from evalrunner.engine.stored import response_to_bytes
from evalrunner.errors import FrozenMiss
from evalrunner.testing import FixedClock, MemoryStore
from evalrunner.values.exchange import ModelResponse, TargetRequest
from evalrunner.values.fingerprint import Fingerprint, fingerprint
from evalrunner.values.money import Price
from evalrunner.values.result import Outcome
from evalrunner.values.spec import CheckSpec, Endpoint
from tests.engine.builders import COST, ENDPOINTS, answer, case, contains, question, verdict

RUBRIC = CheckSpec(type="llm-rubric", value="polite")


class Book:
    def resolve(self, endpoint: Endpoint) -> Price | None:
        return endpoint.price


class CountingStore(MemoryStore):
    """Counts look-ups."""

    look_ups = 0

    def get_many(
        self, keys: list[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:  # type: ignore[override]
        self.look_ups += 1
        return super().get_many(keys, stored_after=stored_after)


def reader(store: MemoryStore | None, *, stored_after: float | None = None) -> StoreReader:
    return StoreReader(store, Accounts(Book(), ENDPOINTS), stored_after=stored_after)


def kept(store: MemoryStore, text: str, response: ModelResponse) -> None:
    store.put_many({fingerprint(question(text)): response_to_bytes(response)})


def test_a_case_ends_on_kept_answers_alone() -> None:
    store = MemoryStore()
    kept(store, "hi", answer("ok"))
    found = replay([case(contains("ok"))], reader(store))
    assert found.open == []
    result = found.finished[0]
    assert result.outcome is Outcome.PASSED
    record = result.records[0].record
    assert (record.cached, record.incurred, record.nominal, record.worth) == (True, 0, COST, COST)


def test_what_is_not_kept_waits_with_its_request() -> None:
    store = MemoryStore()
    kept(store, "b", answer("ok"))
    cases = [case(contains("ok"), text=text, number=i) for i, text in enumerate("abc")]
    found = replay(cases, reader(store))
    assert sorted(found.finished) == [1]
    assert [(one.index, one.request) for one in found.open] == [
        (0, question("a")),
        (2, question("c")),
    ]
    assert [one.key for one in found.open] == [fingerprint(one.request) for one in found.open]


def test_judgements_of_kept_answers_are_found_too() -> None:
    store = MemoryStore()
    kept(store, "hi", answer("ok"))
    waiting = replay([case(RUBRIC)], reader(store)).open[0]
    assert waiting.request.role == "judge"
    store.put_many({waiting.key: response_to_bytes(verdict(passed=True))})
    assert replay([case(RUBRIC)], reader(store)).finished[0].outcome is Outcome.PASSED


def test_the_first_use_of_an_answer_carries_its_cost() -> None:
    store = MemoryStore()
    kept(store, "hi", answer("ok"))
    found = replay([case(contains("ok"), number=i) for i in range(3)], reader(store))
    nominal = [found.finished[i].records[0].record.nominal for i in range(3)]
    worth = {found.finished[i].records[0].record.worth for i in range(3)}
    assert (nominal, worth) == ([COST, 0, 0], {COST})


def test_many_cases_are_looked_up_together() -> None:
    store = CountingStore()
    replay([case(contains("ok"), text=str(i), number=i) for i in range(BLOCK + 1)], reader(store))
    assert store.look_ups == 2


def test_without_a_store_everything_waits() -> None:
    assert len(replay([case(contains("ok"))], reader(None)).open) == 1


def test_a_body_that_is_no_answer_is_a_miss() -> None:
    store = MemoryStore()
    store.put_many({fingerprint(question("hi")): b'{"text": 1}'})
    assert len(replay([case(contains("ok"))], reader(store)).open) == 1


def test_an_answer_older_than_allowed_is_a_miss() -> None:
    clock = FixedClock()
    store = MemoryStore(now=clock.now)
    kept(store, "hi", answer("ok"))
    assert replay([case(contains("ok"))], reader(store, stored_after=clock.now() + 1)).open
    assert not replay([case(contains("ok"))], reader(store, stored_after=clock.now())).open


def test_an_application_without_identity_is_never_looked_up() -> None:
    store = CountingStore()
    request = TargetRequest(target="{}", prompt="hi", vars={}, cacheable=False, endpoint="app")
    store.put_many({fingerprint(request): response_to_bytes(answer("ok"))})
    assert reader(store).find([(request, fingerprint(request))]) == [None]


def test_an_open_case_can_be_closed_by_a_refusal() -> None:
    waiting = replay([case(contains("ok"))], reader(None)).open[0]
    result = waiting.throw(FrozenMiss("frozen"))
    assert result is not None
    assert (result.outcome, result.reason) == (Outcome.NOT_RUN, "frozen_miss")


def test_an_answer_of_unknown_price_is_worth_nobody_knows_what() -> None:
    store = MemoryStore()
    kept(store, "hi", answer("ok"))
    unpriced = {"large": Endpoint(name="large", provider="x", model="y", identity="{}")}
    found = replay([case(contains("ok"))], StoreReader(store, Accounts(Book(), unpriced)))
    assert found.finished[0].records[0].record.nominal is None
