"""Small cases for tests of arithmetic."""

from __future__ import annotations

from hypothesis import strategies as st

from evalrunner.values.exchange import CallRecord, Tier
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars
from evalrunner.values.result import CaseRef, CaseResult, ChargedCall, Outcome

KEY = Fingerprint("f" * 64)


def case(
    name: str = "s/1",
    outcome: Outcome = Outcome.PASSED,
    *,
    repeat: int = 0,
    reason: str | None = None,
    records: tuple[ChargedCall, ...] = (),
) -> CaseResult:
    ref = CaseRef(
        id=f"{name}#{repeat}" if repeat else name,
        suite=name.split("/", maxsplit=1)[0],
        prompt="p",
        target="t",
        row=0,
        repeat=repeat,
        rendered="hello",
        vars={},
    )
    return CaseResult(case=ref, outcome=outcome, reason=reason, records=records)


def call(
    *,
    tier: Tier = Tier.PROXY,
    endpoint: str = "small",
    cached: bool = False,
    shared: bool = False,
    incurred: int | None = 5,
    nominal: int | None = 7,
    tiering: int | None = 0,
    cause: str | None = None,
) -> ChargedCall:
    record = CallRecord(
        fingerprint=KEY,
        cached=cached,
        shared=shared,
        attempts=0 if cached or shared else 1,
        incurred=None if incurred is None else Picodollars(incurred),
        nominal=None if nominal is None else Picodollars(nominal),
        miss_cause=cause,
    )
    return ChargedCall(
        tier=tier,
        endpoint=endpoint,
        record=record,
        input_tokens=3,
        output_tokens=2,
        tiering=None if tiering is None else Picodollars(tiering),
    )


money = st.none() | st.integers(0, 10**12)

calls = st.builds(
    call,
    tier=st.sampled_from((Tier.PROXY, Tier.FRONTIER, Tier.TARGET)),
    endpoint=st.sampled_from(("small", "large")),
    cached=st.booleans(),
    shared=st.booleans(),
    incurred=money,
    nominal=money,
    tiering=money,
    cause=st.sampled_from((None, "new", "expired")),
)

cases = st.builds(
    case,
    name=st.sampled_from(("s/1", "s/2", "t/1")),
    outcome=st.sampled_from(list(Outcome)),
    reason=st.sampled_from((None, "frozen_miss", "budget")),
    records=st.lists(calls, max_size=3).map(tuple),
)
