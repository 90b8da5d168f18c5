from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.values.exit_code import RANK, ExitCode
from evalrunner.values.result import Decision, Failure, GateDecision, Outcome
from evalrunner.values.spec import GateSpec, RepeatSpec
from evalrunner.verdict.compare import compare
from evalrunner.verdict.gates import (
    decide,
    exit_code,
    failures,
    merged_regressions,
    pass_rate_gate,
    percent,
    regressions_gate,
)
from evalrunner.verdict.summary import summarise
from tests.verdict.cases import case

P, F, E, S, N = (Outcome(word) for word in ("passed", "failed", "errored", "skipped", "not_run"))
PASS, FAIL, UNKNOWN = Decision.PASS, Decision.FAIL, Decision.INCONCLUSIVE


def rows(passed: int, failed: int = 0, errored: int = 0) -> dict[str, Outcome]:
    outcomes = [P] * passed + [F] * failed + [E] * errored
    return {str(index): outcome for index, outcome in enumerate(outcomes)}


@pytest.mark.parametrize(
    ("found", "limit", "confidence", "decision"),
    [
        (rows(20), "1", None, PASS),
        (rows(19, 1), "1", None, FAIL),
        (rows(19, 1), "0.95", None, PASS),
        (rows(94, 6), "0.95", None, FAIL),
        (rows(18, 1, 1), "0.95", None, FAIL),
        (rows(19, 0, 5), "0.95", None, PASS),
        (rows(0, 1), "0", None, PASS),
        (rows(2, 1), "0.6666666666666667", None, FAIL),
        (rows(2, 1), "0.6666666666666666", None, PASS),
        (rows(0), "0", None, Decision.SKIPPED),
        (rows(0, 0, 3), "0.5", None, UNKNOWN),
        (rows(5), "NaN", None, FAIL),
        (rows(5), "Infinity", None, FAIL),
        (rows(5), "0.5", float("nan"), FAIL),
        (rows(5), "0.5", 1.0, FAIL),
        (rows(100), "0.95", 0.95, PASS),
        (rows(20), "0.95", 0.95, UNKNOWN),
        (rows(20), "1", 0.95, UNKNOWN),
        (rows(60, 40), "0.95", 0.95, FAIL),
        (rows(95, 5), "0.95", 0.95, UNKNOWN),
    ],
)
def test_pass_rate(
    found: dict[str, Outcome], limit: str, confidence: float | None, decision: Decision
) -> None:
    gate = GateSpec(min_pass_rate=Decimal(limit), confidence=confidence)
    assert pass_rate_gate("s", gate, found).decision is decision


def test_the_evidence_is_exact_and_complete() -> None:
    gate = GateSpec(min_pass_rate=Decimal("0.95"), confidence=0.9, on_inconclusive="warn")
    found = pass_rate_gate("s", gate, rows(19, 1, 2))
    assert (found.suite, found.observed, found.limit) == ("s", "19/20", "0.95")
    assert found.detail == (
        "95 % of 20 passed, at least 95 % must; the 90 % interval is 78.4 % to 99.7 %; "
        "2 cases without a verdict"
    )
    assert found.on_inconclusive == "warn"


@given(
    passed=st.integers(0, 3000),
    failed=st.integers(0, 3000),
    limit=st.decimals(0, 1, allow_nan=False, places=6),
)
def test_the_text_never_contradicts_the_decision(passed: int, failed: int, limit: Decimal) -> None:
    found = pass_rate_gate("s", GateSpec(min_pass_rate=limit), rows(passed, failed))
    if passed + failed == 0:
        assert found.decision is Decision.SKIPPED
        return
    shown, _, rest = found.detail.partition(" % of ")
    asked = rest.split("at least ")[1].split(" %")[0]
    assert (Decimal(shown) >= Decimal(asked)) is (found.decision is PASS)
    assert (shown == "100") is (failed == 0)
    assert (shown == "0") is (passed == 0)


@given(st.fractions(0, 1), st.fractions(0, 1, max_denominator=10**6))
def test_percent_keeps_the_order(rate: Fraction, limit: Fraction) -> None:
    text = percent(rate, limit)
    if text.endswith(" %") and (limit * 10**8).denominator == 1:
        shown = Fraction(text.removesuffix(" %")) / 100
        assert (shown >= limit) is (rate >= limit)


@pytest.mark.parametrize(("allowed", "decision"), [(0, FAIL), (1, PASS)])
def test_regressions(allowed: int, decision: Decision) -> None:
    paired = compare({"a": P, "b": P, "c": F}, {"a": F, "b": P, "c": P})
    found = regressions_gate("s", GateSpec(max_regressions=allowed), paired)
    assert (found.decision, found.observed, found.limit) == (decision, "1", str(allowed))
    assert "1 improvement" in found.detail


def test_regressions_without_a_baseline_are_skipped() -> None:
    found = regressions_gate("s", GateSpec(max_regressions=0), None)
    assert found.decision is Decision.SKIPPED and found.observed is None


@pytest.mark.parametrize(
    ("counts", "limit", "decision"),
    [
        ((1, 1), 1, FAIL),
        ((1, 0), 1, PASS),
        ((0, None), 1, UNKNOWN),
        ((2, None), 1, FAIL),
        ((None, None), 1, Decision.SKIPPED),
    ],
)
def test_regressions_of_shards_add_up(
    counts: tuple[int | None, ...], limit: int, decision: Decision
) -> None:
    parts = [
        GateDecision(
            name="regressions",
            decision=PASS if count is not None else Decision.SKIPPED,
            suite="s",
            observed=None if count is None else str(count),
            limit=str(limit),
        )
        for count in counts
    ]
    assert merged_regressions(parts).decision is decision


def gate(name: str, decision: Decision, on_inconclusive: str = "fail") -> GateDecision:
    return GateDecision(name=name, decision=decision, on_inconclusive=on_inconclusive)


@pytest.mark.parametrize(
    ("cases", "gates", "code"),
    [
        ([case()], [gate("pass_rate", PASS)], 0),
        ([], [], 5),
        ([case(outcome=E)], [gate("pass_rate", FAIL)], 6),
        ([case(outcome=N, reason="frozen_miss"), case(outcome=E)], [], 7),
        ([case(outcome=N, reason="frozen_miss"), case(outcome=N, reason="budget")], [], 8),
        ([case(outcome=N, reason="interrupted"), case(outcome=N, reason="budget")], [], 130),
        ([case(outcome=N, reason="pending")], [gate("pass_rate", FAIL)], 9),
        ([case(outcome=N, reason="decided")], [], 0),
        ([case(outcome=N, reason="something else")], [], 6),
        ([case(outcome=N)], [], 6),
        ([case(outcome=F)], [gate("pass_rate", FAIL)], 1),
        ([case()], [gate("regressions", FAIL)], 1),
        ([case()], [gate("testing_to_inference", FAIL), gate("pass_rate", FAIL)], 3),
        ([case()], [gate("budget", Decision.INCONCLUSIVE)], 4),
        ([case()], [gate("pass_rate", Decision.INCONCLUSIVE, "warn")], 0),
        ([case()], [gate("testing_to_inference", Decision.SKIPPED)], 0),
    ],
)
def test_the_exit_code(cases, gates, code) -> None:  # type: ignore[no-untyped-def]
    assert exit_code(failures(summarise(cases).total, gates)) == code


@pytest.mark.parametrize("stopped", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_signal_rules(stopped: ExitCode) -> None:
    found = failures(summarise([case(outcome=E)]).total, [], stopped=stopped)
    assert found[0].code is stopped and found[1].code is ExitCode.INFRASTRUCTURE
    cut = failures(summarise([case(outcome=N, reason="interrupted")]).total, [], stopped=stopped)
    assert [failure.code for failure in cut] == [stopped]


@given(st.lists(st.sampled_from(RANK)), st.booleans())
def test_the_first_of_the_rank_rules_and_warn_only_forgives_three(
    codes: list[ExitCode], warn_only: bool
) -> None:
    found = [Failure(code=code, rule="r", message="m") for code in codes]
    left = [code for code in codes if not (warn_only and code in (1, 3, 4))]
    assert exit_code(found, warn_only=warn_only) == min(left, key=RANK.index, default=0)


def test_decide_counts_rows_not_draws() -> None:
    draws = [case("s/1", P), case("s/1", P, repeat=1), case("s/1", F, repeat=2)]
    strict = decide(draws, {})
    assert (strict.exit_code, strict.gates[0].observed) == (ExitCode.QUALITY, "2/3")
    lenient = decide(draws, {}, repeats={"s": RepeatSpec(n=3, required=2)})
    assert (lenient.exit_code, lenient.gates[0].observed) == (ExitCode.OK, "1/1")


def test_decide_judges_each_suite_by_its_own_gate() -> None:
    cases = [case("a/1", F), case("a/2"), case("b/1", F), case("b/2")]
    specs = {"a": GateSpec(min_pass_rate=Decimal("0.5")), "b": GateSpec()}
    found = decide(cases, specs, further=[gate("budget", PASS)])
    assert [(each.suite, each.decision) for each in found.gates] == [
        ("a", PASS),
        ("b", FAIL),
        (None, PASS),
    ]
    assert [failure.message[:3] for failure in found.failures] == ["b: "]
    assert decide(cases, specs, warn_only=True).exit_code is ExitCode.OK


def test_a_suite_that_a_filter_leaves_out_is_skipped() -> None:
    found = decide([case("a/1")], {"a": GateSpec(), "b": GateSpec()})
    assert [(each.suite, each.decision) for each in found.gates] == [
        ("a", PASS),
        ("b", Decision.SKIPPED),
    ]
    assert (found.exit_code, found.failures) == (ExitCode.OK, ())
    nothing = decide([], {"a": GateSpec()})
    assert [failure.code for failure in nothing.failures] == [ExitCode.NOTHING_SELECTED]


def test_decide_compares_with_a_baseline_even_an_empty_one() -> None:
    specs = {"s": GateSpec(min_pass_rate=Decimal(0), max_regressions=0)}
    now = [case("s/1", F)]
    assert decide(now, specs, baseline=[case("s/1")]).exit_code is ExitCode.QUALITY
    assert decide(now, specs, baseline=[]).gates[1].decision is PASS
    assert decide(now, specs).gates[1].decision is Decision.SKIPPED
