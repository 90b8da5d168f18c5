"""Gates: what was observed against what was asked for, decided exactly and said without contradiction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exit_code import RANK, ExitCode
from evalrunner.values.kept import KeptRows
from evalrunner.values.result import CaseResult, Decision, Failure, GateDecision, Outcome
from evalrunner.values.spec import GateSpec, RepeatSpec
from evalrunner.values.summary import Summary, Tally
from evalrunner.verdict.compare import Comparison, compare
from evalrunner.verdict.stats import clopper_pearson
from evalrunner.verdict.summary import ONE_DRAW, count, row_outcomes, summarise

PASS_RATE: Final = "pass_rate"
REGRESSIONS: Final = "regressions"

_FORGIVABLE: Final = frozenset({ExitCode.QUALITY, ExitCode.COST, ExitCode.INCONCLUSIVE})
_NOT_RUN_CODES: Final[Mapping[str, ExitCode]] = {
    "frozen_miss": ExitCode.FROZEN_MISS,
    "budget": ExitCode.CEILING,
    "interrupted": ExitCode.INTERRUPTED,
    "pending": ExitCode.PENDING,
}
_DECIDED: Final = "decided"
_NONE_KEPT: Final = KeptRows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run came to: every gate, every reason not to exit with 0, and the code that rules."""

    gates: tuple[GateDecision, ...]
    failures: tuple[Failure, ...]
    exit_code: ExitCode


def decide(
    cases: Sequence[CaseResult],
    gate_specs: Mapping[str, GateSpec],
    *,
    repeats: Mapping[str, RepeatSpec] | None = None,
    baseline: Sequence[CaseResult] | None = None,
    further: Iterable[GateDecision] = (),
    stopped: ExitCode | None = None,
    warn_only: bool = False,
    kept: KeptRows = _NONE_KEPT,
    sums: Summary | None = None,
) -> Verdict:
    """Every gate of every suite, and what follows.

    Args:
        cases: All cases of the run.
        gate_specs: When each suite holds; a suite with cases that is not named has the default gate.
        repeats: How often each suite's rows are drawn; not named is once.
        baseline: The cases of the run to compare with, where there is one.
        further: Decisions made elsewhere: the ratio, the budget.
        stopped: 130 or 143 where a signal ended the run.
        warn_only: Quality, cost and inconclusive gates do not change the exit code.
        kept: Further rows, which passed and have no case among *cases*.
        sums: The figures of all of them, where they are at hand.
    """
    sums = kept.summary + summarise(cases) if sums is None else sums
    own = suite_gates(cases, gate_specs, repeats=repeats, baseline=baseline, kept=kept)
    gates = (*own, *further)
    found = failures(sums.total, gates, stopped=stopped)
    return Verdict(gates=gates, failures=found, exit_code=exit_code(found, warn_only=warn_only))


def suite_gates(
    cases: Iterable[CaseResult],
    gate_specs: Mapping[str, GateSpec],
    *,
    repeats: Mapping[str, RepeatSpec] | None = None,
    baseline: Iterable[CaseResult] | None = None,
    kept: KeptRows = _NONE_KEPT,
) -> tuple[GateDecision, ...]:
    """The pass-rate gate and, where asked for, the regressions gate of each suite, in order of name."""
    head = _by_suite(cases)
    base = None if baseline is None else _by_suite(baseline)
    decisions: list[GateDecision] = []
    for suite in sorted(head.keys() | gate_specs.keys()):
        gate = gate_specs.get(suite, GateSpec())
        repeat = (repeats or {}).get(suite, ONE_DRAW)
        rows = row_outcomes(head.get(suite, ()), repeat)
        further = kept.passed.get(suite, ())
        decisions.append(pass_rate_gate(suite, gate, rows, further=len(further)))
        if gate.max_regressions is not None:
            before = None if base is None else row_outcomes(base.get(suite, ()), repeat)
            rows |= dict.fromkeys(further if before is not None else (), Outcome.PASSED)
            paired = None if before is None else compare(before, rows)
            decisions.append(regressions_gate(suite, gate, paired))
    return tuple(decisions)


def pass_rate_gate(
    suite: str, gate: GateSpec, rows: Mapping[str, Outcome], *, further: int = 0
) -> GateDecision:
    """The observed rate of rows that passed over rows with a verdict, against ``min_pass_rate``.

    Without ``confidence`` the exact rational decides. With it the exact interval does: pass if its
    lower end reaches the limit, fail if its upper end does not, else inconclusive. Errored and
    not-run rows are not in n; an n of 0 is inconclusive; a limit that is not a number fails. A suite
    of which a filter or a shard took no row has nothing to hold and is skipped. *further* rows passed
    and are not among *rows*.
    """
    passed, n = (number + further for number in count(rows))
    limit, confidence = gate.min_pass_rate, gate.confidence
    if not limit.is_finite() or not 0 < (0.5 if confidence is None else confidence) < 1:
        decision, detail = Decision.FAIL, f"no rate can meet a limit of {limit} at {confidence}"
    elif not rows and not further:
        decision, detail = Decision.SKIPPED, "none of its cases was selected"
    elif n == 0:
        decision, detail = Decision.INCONCLUSIVE, f"no verdict in {_plural(len(rows), 'case')}"
    else:
        decision, detail = _rate_decision(Fraction(passed, n), n, limit, confidence)
    return GateDecision(
        name=PASS_RATE,
        suite=suite,
        decision=decision,
        observed=f"{passed}/{n}" if n else None,
        limit=str(limit),
        detail=detail + _without_verdict(len(rows) + further - n if n else 0),
        on_inconclusive=gate.on_inconclusive,
    )


def regressions_gate(suite: str, gate: GateSpec, paired: Comparison | None) -> GateDecision:
    """The rows that failed although they passed in the baseline, against ``max_regressions``.

    Without a baseline it is skipped.
    """
    limit = gate.max_regressions or 0
    if paired is None:
        return _regressions(suite, Decision.SKIPPED, None, limit, "no baseline to compare with")
    observed = len(paired.regressions)
    decision = Decision.PASS if observed <= limit else Decision.FAIL
    detail = (
        f"{_plural(observed, 'regression')}, at most {limit} allowed; "
        f"{_plural(len(paired.improvements), 'improvement')}, {len(paired.added)} added, "
        f"{len(paired.removed)} removed (McNemar p = {paired.p_value:.3g})"
    )
    return _regressions(suite, decision, observed, limit, detail)


def merged_regressions(decisions: Sequence[GateDecision]) -> GateDecision:
    """One regressions gate from those of a suite's shards, whose counts add up.

    Skipped where all were; inconclusive where only some were, since the others' rows are unknown.
    """
    first = decisions[0]
    suite, limit = first.suite or "", int(first.limit or 0)
    counts = [int(part.observed) for part in decisions if part.observed is not None]
    if not counts:
        return first
    observed = sum(counts)
    detail = f"{_plural(observed, 'regression')} in {_plural(len(counts), 'shard')}"
    detail += f", at most {limit} allowed"
    if observed > limit:
        return _regressions(suite, Decision.FAIL, observed, limit, detail)
    if len(counts) < len(decisions):
        return _regressions(suite, Decision.INCONCLUSIVE, observed, limit, detail)
    return _regressions(suite, Decision.PASS, observed, limit, detail)


def failures(
    total: Tally, gates: Iterable[GateDecision], *, stopped: ExitCode | None = None
) -> tuple[Failure, ...]:
    """Every reason not to exit with 0, the ruling one first.

    A case without a verdict is always a reason, whatever the gates say, unless it was left out
    because the verdict of its row was settled without it.
    """
    found = [
        *_unfinished(total, stopped),
        *gate_failures(gates),
    ]
    if total.cases == 0:
        message = "no case is left by --filter, --tag, --only-failed and --shard"
        found.append(Failure(code=ExitCode.NOTHING_SELECTED, rule="selection", message=message))
    if stopped is not None and all(failure.code is not stopped for failure in found):
        found.append(Failure(code=stopped, rule="signal", message="the run was told to stop"))
    return tuple(sorted(found, key=lambda failure: RANK.index(failure.code)))


def gate_failures(gates: Iterable[GateDecision]) -> tuple[Failure, ...]:
    """The reasons that gates alone give not to exit with 0."""
    return tuple(_gate_failure(gate) for gate in gates if blocks(gate))


def exit_code(found: Collection[Failure], *, warn_only: bool = False) -> ExitCode:
    """The code that rules. ``warn_only`` forgives codes 1, 3 and 4, nothing else."""
    codes = {failure.code for failure in found}
    if warn_only:
        codes -= _FORGIVABLE
    return min(codes, key=RANK.index, default=ExitCode.OK)


def percent(rate: Fraction, *limits: Fraction) -> str:
    """A rate as per cent, with as many digits as its relation to each of the *limits* needs.

    Rounding never shows 100 % for less, 0 % for more, or a limit for anything but that limit.

    Example:
        >>> percent(Fraction(2, 3)), percent(Fraction(9999, 10000))
        ('66.7 %', '99.99 %')
        >>> percent(Fraction(1899999, 2000000), Fraction(95, 100))
        '94.99995 %'
    """
    landmarks = [Fraction(0), Fraction(1), *limits]
    for digits in range(1, 40):
        shown = Fraction(round(rate * 100 * 10**digits), 100 * 10**digits)
        if all(_order(shown, mark) == _order(rate, mark) for mark in landmarks):
            return f"{_decimal_text(shown * 100, digits)} %"
    return f"{rate.numerator}/{rate.denominator}"


def _rate_decision(
    rate: Fraction, n: int, limit: Decimal, confidence: float | None
) -> tuple[Decision, str]:
    line = Fraction(limit)
    observed = f"{percent(rate, line)} of {n} passed, at least {percent(line)} must"
    if confidence is None:
        return (Decision.PASS if rate >= line else Decision.FAIL), observed
    low, high = map(Fraction, clopper_pearson(int(rate * n), n, confidence))
    ends = f"{percent(low, line)} to {percent(high, line)}"
    detail = f"{observed}; the {percent(Fraction(str(confidence)))} interval is {ends}"
    if low >= line:
        return Decision.PASS, detail
    return (Decision.FAIL if high < line else Decision.INCONCLUSIVE), detail


def _regressions(
    suite: str, decision: Decision, observed: int | None, limit: int, detail: str
) -> GateDecision:
    return GateDecision(
        name=REGRESSIONS,
        suite=suite,
        decision=decision,
        observed=None if observed is None else str(observed),
        limit=str(limit),
        detail=detail,
    )


def _unfinished(total: Tally, stopped: ExitCode | None) -> Iterable[Failure]:
    codes = _NOT_RUN_CODES if stopped is None else {**_NOT_RUN_CODES, "interrupted": stopped}
    if total.errored:
        message = f"{_plural(total.errored, 'case')} errored and got no verdict"
        yield Failure(code=ExitCode.INFRASTRUCTURE, rule="errored", message=message)
    for reason, number in sorted(total.not_run_reasons.items()):
        if reason == _DECIDED or number <= 0:
            continue
        code = codes.get(reason)
        rule = "not_run" if code is None else reason
        message = f"{_plural(number, 'case')} not run ({rule})"
        yield Failure(code=code or ExitCode.INFRASTRUCTURE, rule=rule, message=message)


def blocks(gate: GateDecision) -> bool:
    """Whether a decision is a reason not to go on, and not to exit with 0."""
    if gate.decision is Decision.INCONCLUSIVE:
        return gate.on_inconclusive != "warn"
    return gate.decision is Decision.FAIL


def _gate_failure(gate: GateDecision) -> Failure:
    code = ExitCode.QUALITY if gate.name in (PASS_RATE, REGRESSIONS) else ExitCode.COST
    if gate.decision is Decision.INCONCLUSIVE:
        code = ExitCode.INCONCLUSIVE
    where = f"{gate.suite}: " if gate.suite else ""
    return Failure(code=code, rule=gate.name, message=f"{where}{gate.detail}")


def _without_verdict(number: int) -> str:
    return f"; {_plural(number, 'case')} without a verdict" if number else ""


def _by_suite(cases: Iterable[CaseResult]) -> dict[str, list[CaseResult]]:
    suites: dict[str, list[CaseResult]] = {}
    for case in cases:
        suites.setdefault(case.case.suite, []).append(case)
    return suites


def _order(left: Fraction, right: Fraction) -> int:
    return (left > right) - (left < right)


def _decimal_text(value: Fraction, digits: int) -> str:
    whole, rest = divmod(abs(round(value * 10**digits)), 10**digits)
    text = f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
