"""One screen for people: what failed and why, what it cost, what the cache did, what the gates say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, Protocol, TextIO

from evalrunner.reports.phrases import (
    TROUBLE,
    cache_line,
    calls_line,
    cost_line,
    headline,
    misses_line,
    normalized_line,
    outcome_counts,
    verified_line,
)
from evalrunner.reports.ratio_lines import paid_line, ratio_lines
from evalrunner.reports.safe_text import neutral, one_line
from evalrunner.reports.variants import variants
from evalrunner.values.result import Decision, GateDecision, RunReport
from evalrunner.values.summary import Tally
from evalrunner.verdict.summary import summary_of

WIDTH: Final = 80
MOST_ROWS: Final = 12

Words = list[tuple[str, str]]
"""Pieces of a line, each with its style."""

_SIGNS: Final = {
    Decision.PASS: ("✓", "green"),
    Decision.FAIL: ("✗", "red"),
    Decision.INCONCLUSIVE: ("?", "yellow"),
    Decision.SKIPPED: ("-", "dim"),
}
_NARROW: Final = frozenset("✓✗…≥≤·")


class Stream(Protocol):
    """What a page may be written to."""

    def isatty(self) -> bool:
        """Whether a person is looking."""
        ...


def wants_color(stream: Stream, environ: Mapping[str, str]) -> bool:
    """Whether to colour what goes to *stream*: a terminal that is not dumb, and no ``NO_COLOR``."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def print_report(
    report: RunReport,
    stream: TextIO,
    *,
    quiet: bool = False,
    verbose: bool = False,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Writes the screen to *stream*, as wide and as colourful as it can take."""
    environ = os.environ if environ is None else environ
    width = _columns(environ) if stream.isatty() else WIDTH
    color = wants_color(stream, environ)
    page = render_report(report, width=width, color=color, quiet=quiet, verbose=verbose)
    encoding = stream.encoding or "utf-8"
    stream.write(page.encode(encoding, "replace").decode(encoding))


def render_report(
    report: RunReport,
    *,
    width: int = WIDTH,
    color: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> str:
    """The screen, ending in a newline.

    Without *color* it holds no control character but the newline; with it only colour codes. No
    line of it is a workflow command of a CI runner. *quiet* leaves the verdict and its reasons,
    *verbose* shows every case that did not pass instead of the first ten.
    """
    total = summary_of(report).total
    facts = None if quiet else list(_facts(report, total))
    verdict = _verdict(report, total)
    page = None if color else _plain(report, facts, verdict, width)
    if page is None:
        # rich takes longer to import than a run of few rows takes to run.
        from evalrunner.reports.screen import draw

        page = draw(report, facts, verdict, width=width, color=color, verbose=verbose)
    lines = (line.rstrip(" ") for line in page.split("\n"))
    return neutral("\n".join(lines).rstrip("\n") + "\n")


def _plain(
    report: RunReport, facts: list[tuple[str, Words]] | None, verdict: Words, width: int
) -> str | None:
    """The same screen without rich; ``None`` where it holds more than lines that fit."""
    lines: list[str] = []
    if facts is not None:
        if any(case.outcome in TROUBLE for case in report.cases) or variants(report.cases):
            return None
        indent = max(len(name) for name, _ in facts) + 2
        lines = [name.ljust(indent) + _joined(words) for name, words in facts]
        lines.append("")
    lines += _joined(verdict).split("\n")
    return "\n".join(lines) if all(_fits(line, width) for line in lines) else None


def _joined(words: Words) -> str:
    return "".join(text for text, _ in words)


def _fits(line: str, width: int) -> bool:
    """Whether the line needs no wrapping for certain: each character of it takes one column."""
    return len(line) <= width and all(" " <= char <= "~" or char in _NARROW for char in line)


def _columns(environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isdecimal() and len(given) < 5:
        return int(given)
    try:
        return min(os.get_terminal_size().columns, 120) or WIDTH
    except OSError:
        return WIDTH


def _facts(report: RunReport, total: Tally) -> Iterator[tuple[str, Words]]:
    yield "cost", [(cost_line(total, report.possibly_paid), "")]
    if total.unpriced:
        names = ", ".join(one_line(name, 40) for name in total.unpriced[:6])
        yield "", [(f"cost unknown for {names}", "yellow")]
    yield "cache", [(one_line(cache_line(report, total), 200), "")]
    if report.misses:
        yield "", [(one_line(misses_line(report.misses), 600), "dim")]
    if total.normalized:
        yield "", [(one_line(normalized_line(report, total), 300), "yellow")]
    if total.verified:
        style = "yellow" if total.differed else ""
        yield "verified", [(one_line(verified_line(report, total), 400), style)]
    yield "calls", [(one_line(calls_line(total), 200), "")]
    if paid := paid_line(report):
        yield "paid", [(one_line(paid, 300), "")]
    for name, text in ratio_lines(report.cost_ratio):
        yield name, [(one_line(text, 300), "")]
    for gate in report.gates[:MOST_ROWS]:
        yield "gate", _gate(gate)
    if len(report.gates) > MOST_ROWS:
        yield "", [(f"and {len(report.gates) - MOST_ROWS} more gates", "dim")]
    for warning in report.warnings[:MOST_ROWS]:
        yield "warning", [(one_line(warning, 300), "yellow")]


def _gate(gate: GateDecision) -> Words:
    sign, style = _SIGNS[gate.decision]
    suite = f" {one_line(gate.suite, 60)}" if gate.suite else ""
    detail = one_line(gate.detail, 300) if gate.detail else _observed(gate)
    tail = f": {detail}" if detail else ""
    return [(f"{sign} ", style), (f"{one_line(gate.name, 40)}{suite} {gate.decision}{tail}", "")]


def _observed(gate: GateDecision) -> str:
    parts = [(gate.observed, "observed"), (gate.limit, "limit")]
    return ", ".join(f"{word} {one_line(value, 60)}" for value, word in parts if value is not None)


def _verdict(report: RunReport, total: Tally) -> Words:
    good = report.run.exit_code == 0
    line = [
        (headline(report), "bold green" if good else "bold red"),
        (f"  {total.cases:,} cases: {outcome_counts(total)}", ""),
    ]
    if not good:
        line.append((f"\nexit {report.run.exit_code}", "bold"))
        line += [
            (f"\n  {int(failure.code)}  {one_line(failure.message, 300)}", "")
            for failure in report.failures[:MOST_ROWS]
        ]
    return line
