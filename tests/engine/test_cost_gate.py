"""What the gate takes from a ledger's history: windows, paces, trends, and what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest

from evalrunner.engine.cost_gate import CostGate, RunCost
from evalrunner.engine.ports import LedgerDay, PastEstimate
from evalrunner.errors import LedgerError
from evalrunner.values.amount import NOTHING, UNKNOWN, Amount
from evalrunner.values.ceilings import utc_day
from evalrunner.values.money import ZERO, Picodollars, from_usd
from evalrunner.values.project import CostConfig, CostGateConfig
from evalrunner.values.result import CostEstimate
from evalrunner.values.spend import (
    SourceSeen,
    SpendPart,
    SpendRead,
    SpendSpec,
    days_between,
    shifted,
)
from evalrunner.values.summary import ModelTally, Spent, Summary, Tally
from evalrunner.verdict.ratio_words import Ruling

NOW = 1_795_300_000.0
TODAY = utc_day(NOW)
DAY = 86_400.0
SPEC = SpendSpec(source="fixed", name="fixed")


@dataclass
class Past:
    """A ledger that tells what a test says; dollars by how many days ago."""

    spent: Mapping[int, str] = field(default_factory=dict)
    age: int | None = 100
    possibly: Mapping[int, str] = field(default_factory=dict)
    unpriced: int = 0
    unmetered: int = 0
    paid_runs: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)
    broken: bool = False

    def began(self) -> float | None:
        if self.broken:
            raise LedgerError("damaged")
        return None if self.age is None else NOW - self.age * DAY

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        ages = sorted({*self.spent, *self.possibly, 0}, reverse=True)
        found = [
            LedgerDay(
                day=shifted(TODAY, -ago),
                settled=from_usd(self.spent.get(ago, "0")),
                possibly_paid=from_usd(self.possibly.get(ago, "0")),
                unpriced_calls=self.unpriced if ago == 0 else 0,
                unmetered_calls=self.unmetered if ago == 0 else 0,
                runs=1,
            )
            for ago in ages
        ]
        return [day for day in found if utc_day(since) <= day.day <= utc_day(until)]

    def held_in_month(self, at: float) -> Picodollars:
        return from_usd("3")

    def usual_usage(self) -> Mapping[Any, Any]:
        return {}

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        return [
            PastEstimate(
                run_id="r",
                at=NOW - ago * DAY,
                expected=from_usd(usd),
                maximum=from_usd(usd),
                incurred=from_usd(usd),
            )
            for ago, usd in self.paid_runs.get(suite, ())
        ]


def spend(daily: str = "10", *, days: int = 66, spec: SpendSpec = SPEC) -> SourceSeen:
    last = shifted(TODAY, -1)
    since = shifted(last, 1 - days)
    parts = [
        SpendPart(day=shifted(since, n), usd=Fraction(daily))
        for n in range(days_between(since, last))
    ]
    read = SpendRead(parts=tuple(parts), since=since, through=last, fetched_at=NOW)
    return SourceSeen(spec=spec, read=read)


def gate(past: Past, *seen: SourceSeen, cost: CostConfig | None = None, **policy: Any) -> CostGate:
    config = replace(cost or CostConfig(), production=(SPEC,), gate=CostGateConfig(**policy))
    sources = seen or (spend(),)
    return CostGate(cost=config, policy=config.gate, ledger=past, look=lambda ask: sources, now=NOW)


def before(one: CostGate, usd: str | None, *suites: str, **by_suite: str) -> Ruling:
    parts = {
        name: CostEstimate(expected=from_usd(part), maximum=None) for name, part in by_suite.items()
    }
    amount = None if usd is None else from_usd(usd)
    return one.before(CostEstimate(expected=amount, maximum=None), parts, suites or ("s",))


def test_the_window_is_28_days_and_holds_this_run_once() -> None:
    past = Past(spent={27: "8", 28: "1000", 0: "2"})
    ruling = before(gate(past, on=("window",)), "10")
    assert ruling.ratio.testing == from_usd("20")
    assert ruling.ratio.inference == from_usd("280")
    assert (ruling.ratio.ratio_total, ruling.ratio.bound) == ("0.0667", "exact")
    sums = Summary(by_suite={"s": Tally(incurred=Spent(known=from_usd("2")))})
    after = gate(past, on=("window",)).after(sums, ZERO)
    assert after.ratio.testing == from_usd("10"), "the ledger has what was paid already"


def test_the_trend_is_told_where_both_windows_are_known() -> None:
    past = Past(spent={1: "14", 30: "28"})
    assert before(gate(past), "1").ratio.previous_total == "0.0909"
    assert before(gate(replace(past, age=40)), "1").ratio.previous_total is None
    assert before(gate(past, spend(days=40)), "1").ratio.previous_total is None


def test_only_runs_that_paid_set_the_pace_of_a_suite() -> None:
    """Twelve runs in 28 days, of which two were paid for: this one is the third."""
    past = Past(spent=dict.fromkeys(range(1, 12), "0"), paid_runs={"s": [(20, "1"), (3, "1")]})
    ruling = before(gate(past), "5")
    assert ruling.ratio.runs_per_month == "3.2571"
    assert "assumed" not in ruling.gate.detail


@pytest.mark.parametrize(("said", "runs"), [(None, "110"), (Fraction(7), "7")])
def test_a_young_ledger_takes_the_pace_that_is_said_or_the_usual_one(said: Any, runs: str) -> None:
    cost = CostConfig(runs_per_month=said)
    ruling = before(gate(Past(age=None), cost=cost), "0.01")
    assert ruling.ratio.runs_per_month == runs
    assert ("assumed" in ruling.gate.detail) == (said is None)
    assert ruling.ratio.bound == "lower"
    assert ruling.gate.decision == "pass"


def test_other_suites_go_on_as_they_were() -> None:
    """$56 in 28 days, $28 of them by other suites: 30.4 a month; this one pays 1 three times."""
    past = Past(spent={5: "56"}, paid_runs={"s": [(20, "14"), (3, "14")]})
    ruling = before(gate(past, on=("projected",)), "0.0001")
    month = Fraction(304, 10)
    mine = Fraction(1, 10_000) * 3 * month / 28
    assert Fraction(ruling.ratio.projected_total or "") == pytest.approx(
        (month + mine) / (month + mine + 10 * month), abs=1e-3
    )


def test_a_suite_is_projected_by_its_own_part() -> None:
    one = gate(Past(age=None), cost=CostConfig(runs_per_month=10))  # type: ignore[arg-type]
    both = before(one, "3", "a", "b", a="1", b="2")
    month = Fraction(30)
    assert Fraction(both.ratio.projected_total or "") == pytest.approx(
        month / (month + 304), abs=1e-3
    )


@pytest.mark.parametrize(
    "past",
    [
        Past(unpriced=1),
        Past(unmetered=1),
        Past(broken=True),
    ],
    ids=["unpriced", "unmetered", "broken"],
)
def test_what_the_ledger_does_not_know_never_passes(past: Past) -> None:
    ruling = before(gate(past, on=("window",), fail_on="never"), None if past.broken else "1")
    assert ruling.gate.decision == "inconclusive"
    assert ruling.ratio.status == "inconclusive"


def test_what_was_possibly_paid_passes_if_its_upper_end_does() -> None:
    for possibly, decision in (("40", "pass"), ("60", "inconclusive")):
        past = Past(spent={1: "1"}, possibly={1: possibly})
        assert before(gate(past, on=("window",)), "1").gate.decision == decision
    dead = Past(spent={1: "1"}, possibly={1: "40"})
    assert before(gate(dead, on=("window",)), "1").ratio.bound == "upper"


def test_an_unpriced_run_is_inconclusive_unless_what_is_known_is_too_much() -> None:
    assert before(gate(Past()), None).gate.decision == "inconclusive"
    assert before(gate(Past(spent={1: "500"})), None).gate.decision == "fail"


def test_a_missing_source_leaves_production_open() -> None:
    other = SourceSeen(spec=replace(SPEC, name="bill"), read=None, error="no answer")
    ruling = before(gate(Past(), spend(), other, on=("window",)), "1")
    assert (ruling.gate.decision, ruling.ratio.bound) == ("pass", "upper")
    assert "bill says nothing: no answer" in ruling.gate.detail
    ruling = before(gate(Past(), spend(), other, on=("window",)), "100")
    assert ruling.gate.decision == "inconclusive"


def test_a_source_that_includes_the_evals_has_them_taken_off() -> None:
    """A bill of $10 a day, $56 of which were evals: 224 are production."""
    whole = spend(spec=replace(SPEC, includes_evals=True))
    ruling = before(gate(Past(spent={3: "56"}), whole, on=("window",)), "0.000001")
    assert ruling.ratio.inference == from_usd("224")
    assert ruling.gate.decision == "fail"


def test_alone_it_judges_the_pace_of_late() -> None:
    ruling = gate(Past(spent={3: "56"})).alone()
    assert ruling.ratio.phase == "gate"
    assert ruling.ratio.ratio_total == ruling.ratio.projected_total == "0.1667"
    assert ruling.gate.decision == "fail"


def test_nobody_is_asked_for_a_run_that_pays_nothing() -> None:
    asked: list[bool] = []

    def look(ask: bool) -> Sequence[SourceSeen]:
        asked.append(ask)
        return (spend(),)

    config = CostConfig(production=(SPEC,))
    one = CostGate(cost=config, policy=config.gate, ledger=Past(), look=look, now=NOW)
    assert one.rule(RunCost(amount=NOTHING), ["s"], phase="preflight").gate.decision == "pass"
    assert asked == [False]
    one.rule(RunCost(amount=UNKNOWN), ["s"], phase="preflight")
    one.rule(RunCost(amount=Amount.exactly(1)), ["s"], phase="postrun")
    assert asked == [False, True], "it is looked once, however often it has to rule"


UNMETERED = CostEstimate(expected=from_usd("1"), maximum=None, unmetered=True)


def test_an_application_that_never_said_what_it_costs_may_begin_and_show_it() -> None:
    """The ratio is open above, which is told; whether that fails is decided after the run."""
    gate_before = gate(Past()).before(UNMETERED, {}, ["s"]).gate
    assert (gate_before.decision, gate_before.on_inconclusive) == ("inconclusive", "warn")
    least = replace(UNMETERED, expected=ZERO)
    gate_before = gate(Past()).before(least, {}, ["s"]).gate
    assert (gate_before.decision, gate_before.on_inconclusive) == ("inconclusive", "warn")


def test_what_it_costs_at_least_may_refuse_it_all_the_same() -> None:
    dear = replace(UNMETERED, expected=from_usd("1000"))
    assert gate(Past()).before(dear, {}, ["s"]).gate.decision == "fail"


def test_what_is_open_besides_is_not_forgiven_for_it() -> None:
    other = SourceSeen(spec=replace(SPEC, name="bill"), read=None, error="no answer")
    dear = replace(UNMETERED, expected=from_usd("100"))
    gate_before = gate(Past(), spend(), other, on=("window",)).before(dear, {}, ["s"]).gate
    assert (gate_before.decision, gate_before.on_inconclusive) == ("inconclusive", "fail")


def test_a_run_that_asked_such_an_application_paid_for_more_than_nothing() -> None:
    models = {"s:app": ModelTally(calls=3, unmetered=3)}
    sums = Summary(by_suite={"s": Tally(by_model=models)})
    ruling = gate(Past(unmetered=3)).after(sums, ZERO)
    assert (ruling.gate.decision, ruling.gate.on_inconclusive) == ("inconclusive", "fail")
    kept = {"s:app": ModelTally(hits=3, unmetered=3)}
    ruling = gate(Past(unmetered=3)).after(Summary(by_suite={"s": Tally(by_model=kept)}), ZERO)
    assert ruling.gate.decision == "skipped", "answers from the cache were not paid for"


def test_an_empty_ledger_alone_decides_nothing() -> None:
    """Else a machine that lost its ledger would pass for ever."""
    ruling = gate(Past(age=None)).alone()
    assert ruling.gate.decision == "inconclusive"
    assert "the ledger is empty" in ruling.gate.detail
    assert gate(Past(age=0)).alone().gate.decision == "pass"
