"""One screen for people: what failed and why, what it cost, what the cache did, what the gates say."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

from evalrunner.reports.phrases import (
    TROUBLE,
    cache_line,
    calls_line,
    cost_line,
    dollars,
    failed_check,
    headline,
    outcome_counts,
    prompt_head,
    share,
)
from evalrunner.reports.safe_text import Text, for_terminal, neutral, one_line, raw
from evalrunner.reports.variants import Variant, variants
from evalrunner.values.result import CaseResult, Decision, GateDecision, Outcome, RunReport
from evalrunner.values.summary import Tally
from evalrunner.verdict.summary import summary_of

WIDTH: Final = 80
MOST_CASES: Final = 10
MOST_ROWS: Final = 12

_SIGNS: Final = {
    Decision.PASS: ("✓", "green"),
    Decision.FAIL: ("✗", "red"),
    Decision.INCONCLUSIVE: ("?", "yellow"),
    Decision.SKIPPED: ("-", "dim"),
}
_TITLES: Final = {
    Outcome.FAILED: ("Failed", "red"),
    Outcome.ERRORED: ("Errored", "magenta"),
    Outcome.NOT_RUN: ("Not run", "yellow"),
}


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
    page = io.StringIO()
    console = Console(
        file=page,
        width=max(width, 40),
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
        _environ={},
    )
    total = summary_of(report).total
    most = len(report.cases) if verbose else MOST_CASES
    for part in () if quiet else _parts(report, total, most):
        console.print(part)
    console.print(_verdict(report, total))
    lines = (line.rstrip(" ") for line in page.getvalue().split("\n"))
    return neutral("\n".join(lines).rstrip("\n") + "\n")


def _parts(report: RunReport, total: Tally, most: int) -> Iterator[RenderableType]:
    for outcome in TROUBLE:
        cases = [case for case in report.cases if case.outcome is outcome]
        yield from _trouble(outcome, cases, most)
    found = variants(report.cases)
    if found:
        yield _variants(found)
        yield ""
    yield _facts(report, total)
    yield ""


def _columns(environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isdecimal() and len(given) < 5:
        return int(given)
    try:
        return min(os.get_terminal_size().columns, 120) or WIDTH
    except OSError:
        return WIDTH


def _trouble(outcome: Outcome, cases: Sequence[CaseResult], most: int) -> Iterator[RenderableType]:
    if not cases:
        return
    title, style = _TITLES[outcome]
    yield Line(f"{title} ({len(cases):,})", style=f"bold {style}")
    if outcome is Outcome.NOT_RUN:
        yield from map(_reason_count, _by_reason(cases))
    else:
        for check, group in _by_check(cases[:most]).items():
            if check:
                yield Line(f"  {for_terminal(check, 60)}", style="bold")
            yield from (_case(case, style) for case in group)
        if len(cases) > most:
            more = f"  and {len(cases) - most:,} more: evalrunner report last -o report.html"
            yield Line(more, style="dim")
    yield ""


def _by_check(cases: Iterable[CaseResult]) -> dict[str, list[CaseResult]]:
    groups: dict[str, list[CaseResult]] = {}
    for case in cases:
        groups.setdefault(failed_check(case)[0], []).append(case)
    return groups


def _by_reason(cases: Iterable[CaseResult]) -> list[tuple[str, list[CaseResult]]]:
    groups: dict[str, list[CaseResult]] = {}
    for case in cases:
        groups.setdefault(one_line(case.reason or "no reason given", 40), []).append(case)
    return list(groups.items())[:MOST_CASES]


def _reason_count(group: tuple[str, list[CaseResult]]) -> RenderableType:
    reason, cases = group
    names = ", ".join(one_line(case.case.id, 40) for case in cases[:3])
    tail = ", …" if len(cases) > 3 else ""
    return Line(f"  {reason}: {len(cases):,} ({names}{tail})")


def _case(case: CaseResult, style: str) -> RenderableType:
    where = case.case.source
    head = Line.assemble(
        ("✗ ", style),
        (one_line(case.case.id, 120), "bold"),
        (f"  {one_line(where.file, 60)}:{where.line}" if where.file else "", "dim"),
    )
    facts = _grid()
    _add(facts, "prompt", prompt_head(case), 64)
    if case.subject is not None:
        _add(facts, "answer", case.subject.response.text, 64)
    _add(facts, "why", failed_check(case)[1], 200)
    return Padding(Group(head, Padding(facts, (0, 0, 0, 2))), (0, 0, 0, 4))


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _add(grid: Table, name: str, text: Text, limit: int) -> None:
    if raw(text).strip():
        grid.add_row(name, Line(one_line(text, limit)))


def _variants(found: Sequence[Variant]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("suite", "prompt", "target"):
        table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=20)
    for name in ("passed", "cost", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found[:MOST_ROWS]:
        latency = "-" if each.latency_seconds is None else f"{each.latency_seconds:.2f} s"
        table.add_row(
            Line(one_line(each.suite, 40)),
            Line(one_line(each.prompt, 40)),
            Line(one_line(each.target, 40)),
            f"{each.passed}/{each.decided} {share(each.passed, each.decided):>5}",
            dollars(each.nominal),
            latency,
        )
    return table


def _facts(report: RunReport, total: Tally) -> Table:
    grid = _grid()
    grid.add_row("cost", Line(cost_line(total, report.possibly_paid)))
    if total.unpriced:
        names = ", ".join(one_line(name, 40) for name in total.unpriced[:6])
        grid.add_row("", Line(f"cost unknown for {names}", style="yellow"))
    grid.add_row("cache", Line(one_line(cache_line(report, total), 200)))
    grid.add_row("calls", Line(one_line(calls_line(total), 200)))
    if report.cost_ratio.status != "skipped" or report.cost_ratio.detail:
        grid.add_row("ratio", Line(_ratio(report)))
    for gate in report.gates[:MOST_ROWS]:
        grid.add_row("gate", _gate(gate))
    if len(report.gates) > MOST_ROWS:
        grid.add_row("", Line(f"and {len(report.gates) - MOST_ROWS} more gates", style="dim"))
    for warning in report.warnings[:MOST_ROWS]:
        grid.add_row("warning", Line(one_line(warning, 300), style="yellow"))
    return grid


def _ratio(report: RunReport) -> str:
    ratio = report.cost_ratio
    parts = [one_line(ratio.status, 40)]
    if ratio.ratio_total is not None:
        parts.append(f"{one_line(ratio.ratio_total, 40)} of all model spend")
    if ratio.projected_total is not None:
        parts.append(f"projected {one_line(ratio.projected_total, 40)}")
    if ratio.detail:
        parts.append(one_line(ratio.detail, 200))
    return ", ".join(parts)


def _gate(gate: GateDecision) -> Line:
    sign, style = _SIGNS[gate.decision]
    suite = f" {one_line(gate.suite, 60)}" if gate.suite else ""
    detail = one_line(gate.detail, 300) if gate.detail else _observed(gate)
    tail = f": {detail}" if detail else ""
    return Line.assemble(
        (f"{sign} ", style), f"{one_line(gate.name, 40)}{suite} {gate.decision}{tail}"
    )


def _observed(gate: GateDecision) -> str:
    parts = [(gate.observed, "observed"), (gate.limit, "limit")]
    return ", ".join(f"{word} {one_line(value, 60)}" for value, word in parts if value is not None)


def _verdict(report: RunReport, total: Tally) -> Line:
    good = report.run.exit_code == 0
    line = Line.assemble(
        (headline(report), "bold green" if good else "bold red"),
        f"  {total.cases:,} cases: {outcome_counts(total)}",
    )
    if not good:
        line.append(f"\nexit {report.run.exit_code}", style="bold")
        for failure in report.failures[:MOST_ROWS]:
            line.append(f"\n  {int(failure.code)}  {one_line(failure.message, 300)}")
    return line
