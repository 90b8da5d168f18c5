"""The ratio said: as a gate's decision and as the run document's figures, never against the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from evalrunner.values.amount import Amount
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.money import PICO_PER_USD, Picodollars, dollars
from evalrunner.values.project import CostGateConfig
from evalrunner.values.result import CostRatio, Decision, GateDecision
from evalrunner.verdict.cost_ratio import (
    INSUFFICIENT,
    Evidence,
    Judgement,
    Share,
    lines_of,
    over_production,
)
from evalrunner.verdict.gates import percent

RATIO_GATE: Final = "testing_to_inference"

_MOST_DIGITS: Final = 40
_FEWEST_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The ratio gate's outcome: the decision, and the figures that it stands on."""

    gate: GateDecision
    ratio: CostRatio


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is told beside the judgement.

    Attributes:
        phase: ``preflight``, ``postrun`` or ``gate``.
        previous: The ratio of the window before.
        runs_per_month: How often a month this run is taken to be paid for.
        assumed: Whether nobody has said so, and the ledger is too young to tell.
        sources: The sources of production spend, as the document shows them.
        problems: Why something is not exact, one line each.
    """

    phase: str
    previous: Share | None = None
    runs_per_month: Fraction = Fraction(0)
    assumed: bool = False
    sources: tuple[Mapping[str, Json], ...] = ()
    problems: Sequence[str] = ()


def ruling_of(
    judged: Judgement, evidence: Evidence, policy: CostGateConfig, background: Background
) -> Ruling:
    """The judgement as a gate's decision and as the document's ``cost_ratio``."""
    detail = _detail(judged, evidence, policy, background)
    return Ruling(
        gate=GateDecision(
            name=RATIO_GATE,
            decision=judged.decision,
            observed=_observed(judged, policy),
            limit=_limit(policy),
            detail=detail,
            on_inconclusive=policy.on_inconclusive,
        ),
        ratio=_figures(judged, evidence, policy, background, detail),
    )


def skipped(policy: CostGateConfig, why: str, *, phase: str) -> Ruling:
    """The outcome where there is nothing to judge."""
    gate = GateDecision(name=RATIO_GATE, decision=Decision.SKIPPED, detail=why)
    ratio = CostRatio(basis=policy.basis, window_days=policy.window_days, phase=phase, detail=why)
    return Ruling(gate=gate, ratio=ratio)


def ratio_text(share: Fraction, lines: Iterable[Fraction]) -> str:
    """A ratio as a decimal string that lies where the ratio does: on a line only if that does.

    Nor is it 0 for more than nothing, or 1 for less than all.

    Example:
        >>> ratio_text(Fraction(1, 3), [Fraction(3, 10)])
        '0.3333'
        >>> ratio_text(Fraction(3, 10) + Fraction(1, 10**7), [Fraction(3, 10)])
        '0.3000001'
    """
    marks = [line for line in (*lines, Fraction(0), Fraction(1)) if line != share or _ends(line)]
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS):
        shown = Fraction(round(share * 10**digits), 10**digits)
        if all(_order(shown, mark) == _order(share, mark) for mark in marks):
            return f"{Decimal(shown.numerator) / Decimal(shown.denominator):f}"
    return f"{share.numerator}/{share.denominator}"


def _ends(value: Fraction) -> bool:
    """Whether its decimals come to an end, so that a text can be equal to it."""
    return bool(10**_MOST_DIGITS % value.denominator == 0)


def _figures(
    judged: Judgement,
    evidence: Evidence,
    policy: CostGateConfig,
    background: Background,
    detail: str,
) -> CostRatio:
    failed = judged.decision is Decision.FAIL
    window, projected = judged.window, judged.projected
    previous = background.previous
    runs = background.runs_per_month
    return CostRatio(
        status=judged.status,
        basis=policy.basis,
        ratio_total=_total_text(window, policy, low=_by_low(window, failed=failed)),
        ratio_production=_production_text(window, policy, low=_by_low(window, failed=failed)),
        projected_total=_total_text(projected, policy, low=_by_low(projected, failed=failed)),
        projected_production=_production_text(
            projected, policy, low=_by_low(projected, failed=failed)
        ),
        previous_total=_total_text(previous, policy, low=False),
        runs_per_month=ratio_text(runs, ()) if runs else None,
        phase=background.phase,
        bound=_bound(window, failed=failed),
        testing=_pico(evidence.testing.low),
        inference=_pico(evidence.production.low),
        window_days=policy.window_days,
        sources=background.sources,
        detail=detail,
    )


def _by_low(share: Share | None, *, failed: bool) -> bool:
    """Whether the lower end is the one to show: it is what failed, or the only one that is known."""
    return share is not None and (failed or share.high == 1)


def _bound(share: Share | None, *, failed: bool) -> str:
    if share is None or share.exact:
        return "exact"
    return "lower" if _by_low(share, failed=failed) else "upper"


def _total_text(share: Share | None, policy: CostGateConfig, *, low: bool) -> str | None:
    shown = _end(share, low=low)
    return None if shown is None else ratio_text(shown, lines_of(policy))


def _production_text(share: Share | None, policy: CostGateConfig, *, low: bool) -> str | None:
    shown = _end(share, low=low)
    over = None if shown is None else over_production(shown)
    if over is None:
        return None
    lines = (over_production(line) for line in lines_of(policy))
    return ratio_text(over, [line for line in lines if line is not None])


def _end(share: Share | None, *, low: bool) -> Fraction | None:
    """The end to show; ``None`` where nothing is known of the ratio."""
    if share is None or (share.low == 0 and share.high == 1):
        return None
    return share.low if low else share.high


def _observed(judged: Judgement, policy: CostGateConfig) -> str | None:
    if judged.shown is None:
        return None
    text = _total_text if policy.basis == "total" else _production_text
    return text(Share(low=judged.shown, high=judged.shown), policy, low=True)


def _limit(policy: CostGateConfig) -> str | None:
    line = _line(policy)
    return None if line is None else f"{line.normalize():f}"


def _line(policy: CostGateConfig) -> Decimal | None:
    """The line that fails, as written."""
    lines = {"watch": policy.healthy, "warning": policy.warning, "critical": policy.critical}
    return lines.get(policy.fail_on)


def _detail(
    judged: Judgement, evidence: Evidence, policy: CostGateConfig, background: Background
) -> str:
    parts = [judged.status.replace("_", " ")]
    window = _said(judged.window, policy, low=_by_low(judged.window, failed=_failed(judged)))
    amounts = f"{_usd(evidence.testing)} of evals, {_usd(evidence.production)} of production"
    whole = "model spend" if policy.basis == "total" else "production spend"
    over = f"of {whole} in {policy.window_days} days ({amounts})"
    parts.append(f"evals are {window or 'an unknown part'} {over}")
    projected = _said(
        judged.projected, policy, low=_by_low(judged.projected, failed=_failed(judged))
    )
    if projected and judged.status != INSUFFICIENT:
        parts.append(f"{projected} in a month{_pace(background)}")
    problems = list(dict.fromkeys(background.problems))
    return "; ".join([": ".join(parts[:2]), *parts[2:], _ending(judged, policy), *problems[:4]])


def _failed(judged: Judgement) -> bool:
    return judged.decision is Decision.FAIL


def _said(share: Share | None, policy: CostGateConfig, *, low: bool) -> str | None:
    """A ratio for people, on the policy's basis: ``8.3 %``, ``at most 8.3 %``."""
    shown = _end(share, low=low)
    convert: Callable[[Fraction], Fraction | None]
    convert = over_production if policy.basis == "production" else Fraction
    value = None if shown is None else convert(shown)
    if share is None or value is None:
        return None
    written = map(Fraction, (policy.healthy, policy.warning, policy.critical))
    bound = "" if share.exact else ("at least " if low else "at most ")
    return bound + percent(value, *written)


def _pace(background: Background) -> str:
    runs = background.runs_per_month
    if not runs:
        return ""
    assumed = ", assumed: say cost.runs_per_month" if background.assumed else ""
    return f" of {round(float(runs), 1):g} paid runs{assumed}"


def _ending(judged: Judgement, policy: CostGateConfig) -> str:
    """What follows from it, in one clause."""
    if judged.status == INSUFFICIENT:
        return _limits_ending(judged, policy)
    line = _line(policy)
    border = (
        "nothing fails" if line is None else f"fails {_above(policy)} {percent(Fraction(line))}"
    )
    match judged.decision:
        case Decision.FAIL:
            return f"that is {_above(policy)} {percent(Fraction(line or 0))}"
        case Decision.SKIPPED:
            return "this run pays nothing, so that it fails nothing"
        case Decision.INCONCLUSIVE:
            return f"that cannot be decided ({border})"
        case _:
            return border


def _above(policy: CostGateConfig) -> str:
    return "from" if policy.fail_on == "watch" else "above"


def _limits_ending(judged: Judgement, policy: CostGateConfig) -> str:
    least = dollars(policy.min_production_usd)
    why = f"too little production to divide by (at least {least} and 7 days)"
    if judged.decision is Decision.PASS:
        return f"{why}: the ceilings decide, and they hold"
    if judged.limits:
        return f"{why}: the ceiling {judged.limits[0].name} is passed"
    if judged.decision is Decision.SKIPPED:
        return f"{why}; this run pays nothing"
    return f"{why}: set cost.max_usd_per_run or cost.max_usd_per_month to decide by"


def _usd(amount: Amount) -> str:
    low = dollars(_pico(amount.low))
    if amount.exact:
        return low
    return f"at least {low}" if amount.high is None else f"{low} to {dollars(_pico(amount.high))}"


def _pico(amount: Fraction) -> Picodollars:
    return Picodollars(amount.numerator * PICO_PER_USD // amount.denominator)


def _order(left: Fraction, right: Fraction) -> int:
    return (left > right) - (left < right)
