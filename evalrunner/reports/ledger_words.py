"""How a ledger's pages say amounts, and evals' part of all model spend."""

from __future__ import annotations

from fractions import Fraction

from evalrunner.engine.ports import LedgerDay
from evalrunner.values.money import Picodollars, dollars, usd_text
from evalrunner.values.project import CostGateConfig
from evalrunner.values.spending import SpendCell
from evalrunner.verdict.cost_ratio import Share, band_of, over_production
from evalrunner.verdict.gates import percent


def interval(cell: SpendCell) -> str:
    """What was paid: one amount where it is known, else from the least to the most.

    Example:
        >>> interval(
        ...     SpendCell(settled=Picodollars(10**12), possibly_paid=Picodollars(10**11), open=1)
        ... )
        '$1 to $1.1'
    """
    least = short(cell.settled)
    if cell.unpriced or cell.unmetered:
        return f"{least} or more"
    return f"{least} to {short(cell.upper)}" if cell.possibly_paid else least


def short(amount: Picodollars | None) -> str:
    """An amount with the digits that somebody reads: four of them, and never none of them.

    Example:
        >>> short(Picodollars(1_234_567_890_000)), short(Picodollars(12_345)), short(None)
        ('$1.235', '$0.00000001235', 'unknown')
    """
    if amount is None:
        return "unknown"
    digits = len(str(abs(amount)))
    step = 10 ** max(0, min(digits - 4, 10))
    whole, point, cents = (
        usd_text(Picodollars((amount + step // 2) // step * step)) or ""
    ).partition(".")
    return f"${int(whole):,}{point}{cents}"


def of_days(spend: LedgerDay) -> str:
    """What was paid on some days: one amount where it is known, else from the least to the most."""
    least = dollars(spend.settled)
    if spend.unpriced_calls or spend.unmetered_calls:
        return f"{least} or more"
    most = dollars(spend.settled + spend.possibly_paid)
    return f"{least} to {most}" if spend.possibly_paid else least


def written_lines(policy: CostGateConfig) -> tuple[Fraction, Fraction, Fraction]:
    """Where the bands end, as they are written: on the policy's basis."""
    return Fraction(policy.healthy), Fraction(policy.warning), Fraction(policy.critical)


def told_end(share: Share, policy: CostGateConfig) -> Fraction | None:
    """The end of a ratio that can be told, on the policy's basis; ``None`` where neither can.

    That is the upper one, unless nobody knows it.
    """
    end = share.low if share.high == 1 and not share.exact else share.high
    return over_production(end) if policy.basis == "production" else end


def ratio_words(share: Share | None, policy: CostGateConfig) -> str:
    """A ratio and its band: ``8.1 % watch``; empty where nothing is known.

    Example:
        >>> ratio_words(Share(low=Fraction(8, 100), high=Fraction(8, 100)), CostGateConfig())
        '8 % watch'
        >>> ratio_words(Share(low=Fraction(8, 100), high=Fraction(1)), CostGateConfig())
        '≥ 8 % watch'
    """
    told = None if share is None else told_end(share, policy)
    if share is None or told is None or (share.low == 0 and share.high == 1):
        return ""
    low = share.high == 1 and not share.exact
    sign = "" if share.exact else ("≥ " if low else "≤ ")
    band = band_of(share.low if low else share.high, policy)
    return f"{sign}{percent(told, *written_lines(policy))} {band}"
