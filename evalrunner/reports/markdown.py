"""One screen of Markdown for a pull request or a job summary, never above 60 KB.

Text that a model or a stranger wrote stands in code spans and fences only: it mentions nobody,
links nothing and cannot pass for the report's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from evalrunner.reports.phrases import (
    TROUBLE,
    avoided_line,
    cache_line,
    calls_line,
    cost_line,
    counted,
    dollars,
    estimate_line,
    failed_check,
    headline,
    misses_line,
    normalized_line,
    outcome_counts,
    price_of,
    price_words,
    prompt_head,
    remedy_words,
    share,
    unknown_lines,
    verified_line,
)
from evalrunner.reports.ratio_lines import paid_line, ratio_lines
from evalrunner.reports.safe_text import Text, for_markdown_code, for_markdown_fence, visible
from evalrunner.reports.variants import Variant, variants
from evalrunner.values.result import CaseResult, Decision, GateDecision, RunReport
from evalrunner.values.summary import Tally
from evalrunner.verdict.summary import summary_of

MAX_BYTES: Final = 60_000
MARKER: Final = "<!-- evalrunner:report -->"
"""The first line, by which a comment is found again (together with its author)."""

_MOST_CASES: Final = 10
_MOST_ROWS: Final = 30
_FIELD_LIMIT: Final = 400
_SIGNS: Final = {
    Decision.PASS: "✅",
    Decision.FAIL: "❌",
    Decision.INCONCLUSIVE: "❔",
    Decision.SKIPPED: "⏭️",
}


def render(report: RunReport, *, contents: bool = True) -> str:
    """The page.

    Args:
        report: What to say.
        contents: Whether prompts, answers and reasons stand in it, in fences.
    """
    sections = [
        _head(report),
        _variants(variants(report.cases)),
        _gates(report.gates),
        _facts(report),
        _notes(report),
    ]
    page = "\n\n".join(filter(None, sections))
    room = MAX_BYTES - len(page.encode()) - 200
    return f"{page}\n{_trouble(report.cases, room, contents=contents)}"


def _head(report: RunReport) -> str:
    total = summary_of(report).total
    sign = "✅" if report.run.exit_code == 0 else "❌"
    decided = total.passed + total.failed
    return (
        f"{MARKER}\n### {sign} evalrunner: {headline(report)}\n\n"
        f"{counted(total.cases, 'case')}: {outcome_counts(total)}"
        f" (pass rate {share(total.passed, decided)} of {decided:,})"
    )


def _variants(found: Sequence[Variant]) -> str:
    rows = [
        (
            for_markdown_code(each.suite, 60),
            for_markdown_code(each.prompt, 60),
            for_markdown_code(each.target, 60),
            f"{each.passed}/{each.decided} ({share(each.passed, each.decided)})",
            dollars(each.nominal),
            "" if each.latency_seconds is None else f"{each.latency_seconds:.2f} s",
        )
        for each in found
    ]
    return _table(("suite", "prompt", "target", "passed", "cost", "median latency"), rows)


def _gates(gates: Sequence[GateDecision]) -> str:
    rows = [
        (
            f"{_SIGNS[gate.decision]} {gate.decision}",
            for_markdown_code(gate.name, 40),
            for_markdown_code(gate.suite or "", 60),
            for_markdown_code(gate.observed or "", 40),
            for_markdown_code(gate.limit or "", 40),
            for_markdown_code(gate.detail, 200),
        )
        for gate in gates
    ]
    return _table(("gate", "", "suite", "observed", "limit", "detail"), rows)


def _facts(report: RunReport) -> str:
    return "\n".join(f"- {line}" for line in _fact_lines(report))


def _fact_lines(report: RunReport) -> Iterator[str]:
    total = summary_of(report).total
    yield f"Cost: {cost_line(total, report.possibly_paid)}"
    if estimate := estimate_line(report.estimate, total):
        yield f"Estimate: {estimate}"
    for line in unknown_lines(total.unpriced, total.unmetered):
        yield for_markdown_code(line, 300)
    if avoided := avoided_line(total):
        yield f"Avoided: {avoided}"
    yield from _cache_lines(report, total)
    if paid := paid_line(report):
        yield f"Paid: {for_markdown_code(paid, 250)}"
    missing = price_of(report.cases)
    if missing is not None:
        yield f"To ask for what the cache lacks would cost {price_words(missing)}"
    if report.cost_ratio.status != "skipped":
        for name, text in ratio_lines(report.cost_ratio):
            yield f"{name.capitalize()}: {for_markdown_code(text, 250)}"


def _cache_lines(report: RunReport, total: Tally) -> Iterator[str]:
    yield f"Cache: {for_markdown_code(cache_line(report, total), 200)}"
    if report.misses:
        yield for_markdown_code(misses_line(report.misses), 600)
    yield f"Calls: {calls_line(total)}"
    if total.normalized:
        yield for_markdown_code(normalized_line(report, total), 300)
    if total.verified:
        yield f"Verified: {for_markdown_code(verified_line(report, total), 400)}"


def _notes(report: RunReport) -> str:
    failures = [
        f"- exit {int(failure.code)}: {for_markdown_code(failure.message, 250)}"
        for failure in report.failures[:_MOST_ROWS]
    ]
    failures += [
        f"- remedy: {for_markdown_code(remedy_words(remedy), 250)}" for remedy in report.remedies
    ]
    warnings = [f"- warning: {for_markdown_code(line, 250)}" for line in report.warnings]
    return "\n".join([*failures, *warnings[:_MOST_ROWS]])


def _trouble(cases: Iterable[CaseResult], room: int, *, contents: bool) -> str:
    found = [case for kind in TROUBLE for case in cases if case.outcome is kind]
    parts: list[str] = []
    for case in found[:_MOST_CASES]:
        part = "\n".join(_case(case, contents=contents))
        room -= len(part.encode()) + 1
        if room < 0:
            break
        parts.append(part)
    if len(parts) < len(found):
        parts.append(f"\n…and {len(found) - len(parts):,} more in the full report.\n")
    return "\n".join(parts)


def _case(case: CaseResult, *, contents: bool) -> Iterator[str]:
    check, reason = failed_check(case)
    where = case.case.source
    yield f"\n**{case.outcome.value.replace('_', ' ')}** {for_markdown_code(case.case.id)}"
    yield f"{for_markdown_code(f'{where.file}:{where.line}')} {for_markdown_code(check, 60)}"
    if case.price is not None:
        yield f"to ask would cost {price_words(case.price)}"
    if contents:
        yield ""
        yield for_markdown_fence(_contents(case, reason), 4 * _FIELD_LIMIT)
    yield ""


def _contents(case: CaseResult, reason: Text) -> str:
    """All that a fence holds, as visible text; the fence itself is chosen around it."""
    lines = [f"prompt: {visible(prompt_head(case), _FIELD_LIMIT)}"]
    if case.subject is not None:
        lines.append(f"answer: {visible(case.subject.response.text, _FIELD_LIMIT)}")
    lines.append(f"reason: {visible(reason, _FIELD_LIMIT)}")
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows[:_MOST_ROWS]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = len(rows) - _MOST_ROWS
    return f"{table}\n\n…and {left:,} more." if left > 0 else table
