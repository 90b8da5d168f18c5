"""The ratio gate: founding cases and lines as exact fractions, and that ignorance never passes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.amount import NOTHING, UNKNOWN, Amount
from evalrunner.values.money import Picodollars, from_usd
from evalrunner.values.project import CostGateConfig
from evalrunner.values.result import Decision
from evalrunner.verdict.cost_ratio import (
    MONTH_DAYS,
    Band,
    Evidence,
    Judgement,
    Limit,
    band_of,
    judge,
    lines_of,
    over_production,
    share_of,
)
from evalrunner.verdict.ratio_words import Background, ratio_text, ruling_of

POLICY = CostGateConfig()
MICRO = Fraction(1, 10**6)
WEEKS = MONTH_DAYS / 28


def usd(amount: Fraction | int | str) -> Amount:
    return Amount.exactly(Fraction(amount))


def evidence(testing: Amount, production: Amount, **further: Any) -> Evidence:
    """A window whose month is like it, unless *further* says otherwise."""
    further.setdefault("month", testing.times(WEEKS))
    further.setdefault("production_days", 28)
    return Evidence(testing=testing, production=production, **further)


def judged(testing: Amount, production: Amount, **further: Any) -> Judgement:
    return judge(evidence(testing, production, **further), POLICY)


# ---------------------------------------------------------------- the founding cases


def test_a_suite_of_10_000_calls_five_times_a_day_on_22_days() -> None:
    """800 tokens in at $2, 200 out at $12 a million: $40 a run, $4,400 a month."""
    call = 800 * Fraction(2, 10**6) + 200 * Fraction(12, 10**6)
    run = 10_000 * call
    assert run == 40
    month = usd(run).times(5 * 22)
    assert month == usd(4400)
    enough = Fraction(4400 * 85, 15) / MONTH_DAYS * 28  # production at which 4,400 is 15 % exactly
    first = evidence(usd(run), usd(enough), month=month, complete=False)
    passed = judge(first, POLICY)
    assert passed.projected is not None
    assert (passed.projected.low, passed.projected.high) == (Fraction(15, 100),) * 2
    assert (passed.decision, passed.status, passed.rule) == ("pass", "watch", "projected")
    failed = judge(replace(first, production=usd(enough - MICRO)), POLICY)
    assert (failed.decision, failed.status) == ("fail", "warning")


def test_the_enterprise_that_tests_for_three_times_what_it_sells() -> None:
    """300 % of production is 75 % of the total: critical."""
    found = judged(usd(30_000), usd(10_000))
    assert found.window is not None
    assert found.window.low == found.window.high == Fraction(3, 4)
    assert over_production(found.window.low) == 3
    assert (found.decision, found.status) == (Decision.FAIL, "critical")


@pytest.mark.parametrize(
    ("share", "below", "at", "above"),
    [
        (5, Band.HEALTHY, Band.WATCH, Band.WATCH),
        (15, Band.WATCH, Band.WATCH, Band.WARNING),
        (30, Band.WARNING, Band.WARNING, Band.CRITICAL),
    ],
)
def test_the_lines_exactly_and_one_micro_dollar_beside_each(
    share: int, below: Band, at: Band, above: Band
) -> None:
    production = usd(1000 * (100 - share))
    for testing, band in (
        (usd(1000 * share - MICRO), below),
        (usd(1000 * share), at),
        (usd(1000 * share + MICRO), above),
    ):
        found = judged(testing, production)
        fails = band in {Band.WARNING, Band.CRITICAL}
        assert (found.status, found.decision) == (band, "fail" if fails else "pass")


@pytest.mark.parametrize(("share", "over"), [(5, "5/95"), (15, "15/85"), (30, "30/70")])
def test_the_two_bases_are_one_order(share: int, over: str) -> None:
    assert over_production(Fraction(share, 100)) == Fraction(over)
    policy = CostGateConfig(basis="production", healthy=Decimal("0.05"))
    assert lines_of(policy) == (Fraction(5, 105), Fraction(15, 115), Fraction(30, 130))
    for testing, decision in ((usd(15), "pass"), (usd(15 + MICRO), "fail")):
        found = judge(evidence(testing, usd(100)), policy)
        assert found.decision == decision


# ---------------------------------------------------------------- policies


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        ("watch", {"watch", "warning", "critical"}),
        ("warning", {"warning", "critical"}),
        ("critical", {"critical"}),
        ("never", set()),
    ],
)
def test_what_fails_is_what_the_policy_says(fail_on: str, failing: set[str]) -> None:
    policy = CostGateConfig(fail_on=fail_on)
    for testing in (1, 10, 20, 40):
        found = judge(evidence(usd(testing), usd(100 - testing)), policy)
        assert (found.decision == "fail") == (found.status in failing)
        assert found.decision in {"pass", "fail"}


def test_the_worse_of_window_and_projection_rules() -> None:
    low, high = usd(1), usd(100)
    for on, decision in ((("window",), "pass"), (("projected",), "fail"), (POLICY.on, "fail")):
        found = judge(evidence(low, usd(99), month=high), CostGateConfig(on=on))
        assert found.decision == decision
    assert judge(evidence(high, usd(99), month=NOTHING), POLICY).rule == "window"


# ---------------------------------------------------------------- bounds


def test_a_partial_production_may_pass_and_never_fails() -> None:
    """The denominator can only be larger, so what is shown is the most that the ratio can be."""
    assert judged(usd(10), Amount.at_least(90)).decision == "pass"
    assert judged(usd(90), Amount.at_least(90)).decision == "inconclusive"


def test_an_incomplete_ledger_may_fail_and_never_passes() -> None:
    assert judged(Amount.at_least(1), usd(99)).decision == "inconclusive"
    assert judged(Amount.at_least(900), usd(100)).decision == "fail"


def test_what_was_possibly_paid_makes_an_interval_whose_upper_end_has_to_pass() -> None:
    assert judged(Amount.between(10, 15), usd(85)).decision == "pass"
    assert judged(Amount.between(10, 16), usd(85)).decision == "inconclusive"
    assert judged(Amount.between(16, 20), usd(84)).decision == "fail"


def test_a_ledger_that_begins_with_this_run_may_fail_but_the_projection_passes_it() -> None:
    young = {"complete": False}
    passed = judged(usd(1), usd(999), month=usd(1), **young)
    assert (passed.decision, passed.rule) == ("pass", "projected")
    dear = judged(usd(1), usd(999), month=usd(900), **young)
    assert (dear.decision, dear.rule) == ("fail", "projected")
    seen = judged(Amount.at_least(500), usd(500), month=usd(1), **young)
    assert (seen.decision, seen.rule) == ("fail", "window")
    only_window = CostGateConfig(on=("window",))
    found = judge(evidence(usd(1), usd(999), month=usd(900), **young), only_window)
    assert found.rule == "projected", "a young window decides nothing that is good"


def test_a_run_that_pays_nothing_is_told_its_band_and_fails_nothing() -> None:
    critical = judged(usd(90), usd(10 * 10), pays=False)
    assert (critical.decision, critical.status) == ("skipped", "critical")
    assert judged(usd(1), usd(999), pays=False).decision == "pass"
    assert judged(usd(1), UNKNOWN, pays=False).decision == "skipped"


# ---------------------------------------------------------------- too little production


def limit(spent: int, most: int) -> Limit:
    return Limit(name="max_usd_per_month", spent=usd(spent), limit=Fraction(most))


@pytest.mark.parametrize(
    ("limits", "decision"),
    [
        ((), "inconclusive"),
        ((limit(5, 5),), "pass"),
        ((limit(6, 5),), "fail"),
        ((limit(1, 5), limit(6, 5)), "fail"),
    ],
)
def test_ceilings_take_over_where_production_is_too_small(
    limits: tuple[Limit, ...], decision: str
) -> None:
    for production, days in ((usd(Fraction("49.999999")), 28), (usd(0), 28), (usd(900), 6)):
        found = judged(usd(1), production, limits=limits, production_days=days)
        assert (found.decision, found.status) == (decision, "insufficient_production")
    assert judged(usd(1), usd(50), limits=limits).status == "healthy"


def test_a_production_of_nothing_is_too_small_whatever_the_least_is() -> None:
    policy = CostGateConfig(min_production_usd=Picodollars(0))
    for testing in (usd(0), usd(1)):
        found = judge(evidence(testing, usd(0)), policy)
        assert (found.decision, found.status) == ("inconclusive", "insufficient_production")


def test_a_ceiling_whose_spend_is_unknown_does_not_hold() -> None:
    unsure = Limit(name="m", spent=Amount.at_least(1), limit=Fraction(5))
    assert judged(usd(1), usd(1), limits=(unsure,)).decision == "inconclusive"


# ---------------------------------------------------------------- unknown never passes

ABSURD = (
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal(-1),
    Decimal("-1e-12"),
    Decimal("1e400"),
    Decimal("sNaN"),
    math.nan,
    math.inf,
    -math.inf,
    -0.5,
    None,
    "",
    "twelve",
    True,
    [],
)


def absurd_amount(chance: random.Random) -> Amount:
    """Money that is none, as an adapter would hand it on."""
    value = chance.choice(ABSURD)
    if isinstance(value, Decimal | str) and not isinstance(value, bool):
        try:
            pico = from_usd(value)
        except (ValueError, ArithmeticError):
            return UNKNOWN
        return Amount.of(Picodollars(int(pico)))
    if isinstance(value, float) and math.isfinite(value):
        return Amount.exactly(Fraction(value))
    return UNKNOWN


def some_amount(chance: random.Random) -> Amount:
    low = Fraction(chance.randrange(10**9), 10 ** chance.randrange(9))
    kind = chance.randrange(4)
    if kind == 0:
        return Amount.at_least(low)
    if kind == 1:
        return Amount.between(low, low + Fraction(chance.randrange(10**6), 1000))
    return Amount.exactly(low)


def test_absurd_money_never_passes(rounds: Callable[[int, int], int]) -> None:
    """One absurd amount among sound ones, in 100,000 cases of a campaign."""
    chance = random.Random(20260604)
    seen = set()
    for _ in range(rounds(4_000, 100_000)):
        amounts = [some_amount(chance) for _ in range(3)]
        place = chance.randrange(3)
        amounts[place] = absurd_amount(chance)
        testing, production, month = amounts
        policy = CostGateConfig(
            on=chance.choice([("window", "projected"), ("projected",), ("window",)]),
            basis=chance.choice(["total", "production"]),
            fail_on=chance.choice(["watch", "warning", "critical", "never"]),
        )
        found = judge(
            evidence(
                testing,
                production,
                month=month,
                complete=chance.random() < 0.5,
                production_days=chance.randrange(29),
                limits=(),
            ),
            policy,
        )
        seen.add(found.decision)
        looked_at = {"window": place != 2, "projected": place != 0}
        if place == 1 or all(looked_at[part] for part in _parts(found, policy)):
            assert found.decision != "pass", (amounts, policy, found)
    assert seen >= {"fail", "inconclusive"}


def _parts(found: Judgement, policy: CostGateConfig) -> tuple[str, ...]:
    """The ratios that the decision rests on: all that the policy names, but a young window."""
    return policy.on if found.rule != "projected" else ("projected",)


money = st.fractions(min_value=0, max_value=10**9, max_denominator=10**12)
amounts = st.one_of(
    money.map(Amount.exactly),
    money.map(Amount.at_least),
    st.tuples(money, money).map(lambda ends: Amount.between(min(ends), max(ends))),
    st.just(UNKNOWN),
)


@given(testing=amounts, production=amounts, share=st.fractions(0, 1), whole=st.fractions(0, 1))
def test_every_sum_inside_the_bounds_would_be_decided_alike(
    testing: Amount, production: Amount, share: Fraction, whole: Fraction
) -> None:
    """A pass or a failure holds for every amount that the truth may be."""
    found = judged(testing, production)
    most_testing = testing.low * 1000 + 1 if testing.high is None else testing.high
    most_production = production.low * 1000 + 1 if production.high is None else production.high
    true_testing = testing.low + (most_testing - testing.low) * share
    true_production = production.low + (most_production - production.low) * whole
    truth = judged(usd(true_testing), usd(true_production))
    if found.decision in {"pass", "fail"}:
        assert truth.decision == found.decision or truth.status == "insufficient_production"
    assert share_of(testing, production) is None or true_testing + true_production >= 0


@given(testing=money, production=money, more=money)
def test_more_testing_never_looks_better(
    testing: Fraction, production: Fraction, more: Fraction
) -> None:
    order = list(Band)
    less = share_of(usd(testing), usd(production))
    greater = share_of(usd(testing + more), usd(production))
    if less is not None and greater is not None:
        assert less.high <= greater.high
        assert order.index(band_of(less.high, POLICY)) <= order.index(band_of(greater.high, POLICY))


# ---------------------------------------------------------------- what is said


@given(share=st.fractions(0, 1, max_denominator=10**15))
def test_rounding_never_moves_a_ratio_across_a_line(share: Fraction) -> None:
    shown = Fraction(ratio_text(share, lines_of(POLICY)))
    assert band_of(shown, POLICY) == band_of(share, POLICY)


def say(
    testing: Amount, production: Amount, policy: CostGateConfig = POLICY, **further: Any
) -> Any:
    given_ = evidence(testing, production, **further)
    background = Background(phase="gate", runs_per_month=Fraction(110))
    return ruling_of(judge(given_, policy), given_, policy, background)


def test_the_figures_hold_both_bases_and_both_ratios() -> None:
    ruling = say(usd(15), usd(85), month=usd(15).times(WEEKS * 2))
    ratio = ruling.ratio
    assert (ratio.ratio_total, ratio.ratio_production) == ("0.15", "0.1765")
    assert ratio.projected_total == "0.2609"
    assert (ratio.status, ratio.bound) == ("warning", "exact")
    assert (ratio.testing, ratio.inference) == (15 * 10**12, 85 * 10**12)
    assert (ruling.gate.observed, ruling.gate.limit) == ("0.2609", "0.15")
    assert ruling.gate.detail == (
        "warning: evals are 15 % of model spend in 28 days ($15.00 of evals, $85.00 of production); "
        "26.1 % in a month of 110 paid runs; that is above 15 %"
    )


def test_a_bound_is_named_and_shown_by_the_end_that_decides() -> None:
    upper = say(usd(10), Amount.at_least(90))
    assert (upper.ratio.bound, upper.ratio.ratio_total) == ("upper", "0.1")
    assert "at most 10 %" in upper.gate.detail
    lower = say(Amount.at_least(50), usd(50), month=NOTHING)
    assert (lower.ratio.bound, lower.ratio.ratio_total) == ("lower", "0.5")
    assert "at least 50 %" in lower.gate.detail
    nothing = say(usd(1), UNKNOWN)
    assert nothing.ratio.ratio_total is None
    assert nothing.gate.decision == "inconclusive"


@given(
    testing=st.fractions(0, 100, max_denominator=10**9),
    fail_on=st.sampled_from(["watch", "warning", "critical"]),
    basis=st.sampled_from(["total", "production"]),
)
def test_the_text_never_contradicts_the_decision(
    testing: Fraction, fail_on: str, basis: str
) -> None:
    policy = CostGateConfig(fail_on=fail_on, basis=basis)
    ruling = say(usd(testing), usd(100), policy)
    observed, line = Fraction(ruling.gate.observed), Fraction(ruling.gate.limit)
    past = observed >= line if fail_on == "watch" else observed > line
    assert past == (ruling.gate.decision == "fail")
