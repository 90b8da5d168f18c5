"""One screen for people: what failed and why, what it cost, what the cache did, what the gates say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from evalrunner.reports.facts import (
    WIDTH,
    Words,
    fits,
    gate_words,
    joined,
    wants_color,
    width_of,
    write_page,
)
from evalrunner.reports.phrases import (
    TROUBLE,
    avoided_line,
    cache_line,
    calls_line,
    cost_line,
    counted,
    estimate_line,
    headline,
    misses_line,
    normalized_line,
    outcome_counts,
    remedy_words,
    unknown_lines,
    verified_line,
)
from evalrunner.reports.ratio_lines import paid_line, ratio_lines
from evalrunner.reports.safe_text import neutral, one_line
from evalrunner.reports.variants import variants
from evalrunner.values.result import RunReport
from evalrunner.values.summary import Tally
from evalrunner.verdict.summary import summary_of

MOST_ROWS: Final = 12


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
    width, color = width_of(stream, environ), wants_color(stream, environ)
    page = render_report(report, width=width, color=color, quiet=quiet, verbose=verbose)
    write_page(page, stream)


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
        lines = [name.ljust(indent) + joined(words) for name, words in facts]
        lines.append("")
    lines += joined(verdict).split("\n")
    return "\n".join(lines) if all(fits(line, width) for line in lines) else None


def _facts(report: RunReport, total: Tally) -> Iterator[tuple[str, Words]]:
    yield "cost", [(cost_line(total, report.possibly_paid), "")]
    if avoided := avoided_line(total):
        yield "avoided", [(avoided, "")]
    for line in unknown_lines(total.unpriced, total.unmetered):
        yield "", [(one_line(line, 300), "yellow")]
    if planned := estimate_line(report.estimate, total):
        yield "planned", [(planned, "")]
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
    yield from _rulings(report)


def _rulings(report: RunReport) -> Iterator[tuple[str, Words]]:
    """What the gates say, and what follows."""
    for gate in report.gates[:MOST_ROWS]:
        yield "gate", gate_words(gate)
    if len(report.gates) > MOST_ROWS:
        yield "", [(f"and {len(report.gates) - MOST_ROWS} more gates", "dim")]
    for remedy in report.remedies:
        yield "remedy", [(one_line(remedy_words(remedy), 300), "")]
    for warning in report.warnings[:MOST_ROWS]:
        yield "warning", [(one_line(warning, 300), "yellow")]


def _verdict(report: RunReport, total: Tally) -> Words:
    good = report.run.exit_code == 0
    line = [
        (headline(report), "bold green" if good else "bold red"),
        (f"  {counted(total.cases, 'case')}: {outcome_counts(total)}", ""),
    ]
    if not good:
        line.append((f"\nexit {report.run.exit_code}", "bold"))
        line += [
            (f"\n  {int(failure.code)}  {one_line(failure.message, 300)}", "")
            for failure in report.failures[:MOST_ROWS]
        ]
    return line
