"""The ratio for people, in the few lines that every page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from evalrunner.reports.phrases import dollars
from evalrunner.values.result import CostRatio, RunReport
from evalrunner.verdict.summary import summary_of

_BOUNDS: Final = {"upper": "at most ", "lower": "at least "}


def ratio_lines(ratio: CostRatio) -> list[tuple[str, str]]:
    """What is to be said of the ratio, by the word that stands before it. Foreign text is not safe yet.

    Example:
        >>> figures = CostRatio(status="watch", ratio_total="0.0831", ratio_production="0.0906")
        >>> ratio_lines(figures)[0][1]
        'watch: 8.31 % of model spend in 28 days (9.06 % of production)'
    """
    if ratio.status == "skipped":
        return [("ratio", f"skipped, {ratio.detail}")] if ratio.detail else []
    lines = [("ratio", f"{ratio.status.replace('_', ' ')}: {_window(ratio)}")]
    if ratio.projected_total is not None:
        lines.append(("month", _month(ratio)))
    if ratio.testing is not None and ratio.inference is not None:
        lines.append(("spend", f"{_testing(ratio)}, {_production(ratio)}"))
    return lines


def paid_line(report: RunReport) -> str | None:
    """What was paid by tier and by model; ``None`` where nothing was."""
    total = summary_of(report).total
    if not total.incurred.known:
        return None
    tiers: Counter[str] = Counter()
    for case in report.cases:
        for call in case.records:
            tiers[call.tier.value] += call.record.incurred or 0
    models = {name: model.incurred.known for name, model in total.by_model.items()}
    parts = [_split(tiers), _split(models)]
    return "; ".join(part for part in parts if part) or None


def _split(sums: Mapping[str, int]) -> str:
    paid = sorted(((amount, name) for name, amount in sums.items() if amount), reverse=True)
    return ", ".join(f"{name} {dollars(amount)}" for amount, name in paid[:6])


def _window(ratio: CostRatio) -> str:
    if ratio.ratio_total is None:
        return f"no ratio can be told of the last {ratio.window_days} days"
    bound = _BOUNDS.get(ratio.bound, "")
    text = f"{bound}{_percent(ratio.ratio_total)} of model spend in {ratio.window_days} days"
    if ratio.ratio_production is not None:
        text += f" ({_percent(ratio.ratio_production)} of production)"
    return text + _trend(ratio)


def _trend(ratio: CostRatio) -> str:
    """How it compares with the window before."""
    before, now = _number(ratio.previous_total), _number(ratio.ratio_total)
    if before is None or now is None:
        return ""
    way = "up from" if now > before else ("down from" if now < before else "as before:")
    return f", {way} {_percent(ratio.previous_total or '')}"


def _month(ratio: CostRatio) -> str:
    text = f"{_percent(ratio.projected_total or '')} projected"
    if ratio.projected_production is not None:
        text += f" ({_percent(ratio.projected_production)} of production)"
    runs = _number(ratio.runs_per_month)
    return text if runs is None else f"{text} at {round(runs, 1).normalize():f} paid runs a month"


def _testing(ratio: CostRatio) -> str:
    bound = "at least " if ratio.bound == "lower" else ""
    return f"{bound}{dollars(ratio.testing)} testing"


def _production(ratio: CostRatio) -> str:
    """The spend of all sources that count; without an upper end where one does not say everything."""
    counted = [source for source in ratio.sources if not source.get("reconcile_only")]
    whole = all(source.get("exact", source.get("usd") is not None) for source in counted)
    bound = "" if whole else "at least "
    return f"{bound}{dollars(ratio.inference)} production{_sources(ratio)}"


def _sources(ratio: CostRatio) -> str:
    """The sources that production is known from, with what is wrong with them."""
    names: list[str] = []
    for source in ratio.sources:
        status = source.get("status", "")
        name = str(source.get("name") or source.get("source"))
        names.append(name if status in {"fresh", ""} else f"{name} ({status})")
    return f" ({', '.join(names[:8])})" if names else ""


def _percent(text: str) -> str:
    """A ratio's text as per cent, digit by digit, so that no line is crossed."""
    number = _number(text)
    return text if number is None else f"{(number * 100).normalize():f} %"


def _number(text: str | None) -> Decimal | None:
    try:
        number = Decimal(text or "")
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 30 else None
