"""A session's evals in a few lines, for the end of a test run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from evalrunner.reports.phrases import (
    avoided_line,
    cache_line,
    calls_line,
    cost_line,
    outcome_counts,
    share,
    unknown_lines,
)
from evalrunner.reports.ratio_lines import ratio_lines
from evalrunner.reports.safe_text import for_terminal, neutral, one_line
from evalrunner.values.money import usd_text
from evalrunner.values.result import GateDecision, RunReport
from evalrunner.values.summary import Tally
from evalrunner.verdict.summary import summary_of

MOST_LINES: Final = 12
"""Gates and warnings that are listed; the run document has all of them."""


def session_lines(report: RunReport) -> list[str]:
    """Pass rate, cost, cache, calls, ratio, gates and warnings; nothing in them steers a terminal."""
    facts = _facts(report, summary_of(report).total)
    return [neutral(for_terminal(f"{name:<8}{text}")) for name, text in facts]


def session_properties(report: RunReport) -> dict[str, str]:
    """The same figures for programs, by name; unknown money is ``unknown``."""
    total = summary_of(report).total
    return {
        "evalrunner.run": report.run.id,
        "evalrunner.cases": str(total.cases),
        "evalrunner.passed": str(total.passed),
        "evalrunner.failed": str(total.failed),
        "evalrunner.errored": str(total.errored),
        "evalrunner.not_run": str(total.not_run),
        "evalrunner.cache_hits": str(total.hits),
        "evalrunner.calls": str(total.misses),
        **{f"evalrunner.calls.{tier}": str(n) for tier, n in sorted(total.calls_by_tier.items())},
        "evalrunner.incurred_usd": usd_text(total.incurred.amount) or "unknown",
        "evalrunner.avoided_usd": usd_text(total.avoided_by_cache) or "unknown",
        "evalrunner.ratio_status": report.cost_ratio.status,
        "evalrunner.ratio": report.cost_ratio.ratio_total or "unknown",
    }


def _facts(report: RunReport, total: Tally) -> Iterator[tuple[str, str]]:
    decided = total.passed + total.failed
    counts = outcome_counts(total)
    yield "cases", f"{total.cases:,}: {counts}; pass rate {share(total.passed, decided)}"
    yield "cost", cost_line(total, report.possibly_paid)
    if avoided := avoided_line(total):
        yield "avoided", avoided
    for line in unknown_lines(total.unpriced, total.unmetered):
        yield "", one_line(line, 300)
    yield "cache", cache_line(report, total)
    yield "calls", calls_line(total)
    yield from ratio_lines(report.cost_ratio)
    yield from (("gate", _gate(gate)) for gate in report.gates[:MOST_LINES])
    if len(report.gates) > MOST_LINES:
        yield "", f"and {len(report.gates) - MOST_LINES} more gates"
    for warning in report.warnings[:MOST_LINES]:
        yield "warning", one_line(warning, 300)
    yield "run", report.run.id


def _gate(gate: GateDecision) -> str:
    suite = f" {one_line(gate.suite, 60)}" if gate.suite else ""
    tail = f": {one_line(gate.detail, 300)}" if gate.detail else ""
    return f"{one_line(gate.name, 40)}{suite} {gate.decision.value}{tail}"
