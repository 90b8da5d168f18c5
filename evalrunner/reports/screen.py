"""The screen with colours, tables and wrapped lines: whatever the plain one cannot draw."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

from evalrunner.reports.phrases import (
    TROUBLE,
    dollars,
    failed_check,
    price_of,
    price_words,
    prompt_head,
    share,
)
from evalrunner.reports.safe_text import Text, for_terminal, one_line, raw
from evalrunner.reports.variants import Variant, variants
from evalrunner.values.result import CaseResult, Outcome, RunReport

MOST_CASES: Final = 10
MOST_ROWS: Final = 12

Words: TypeAlias = Sequence[tuple[str, str]]
"""Pieces of a line, each with its style."""

Facts: TypeAlias = Sequence[tuple[str, Words]]
"""Lines, each behind its name."""

_TITLES: Final = {
    Outcome.FAILED: ("Failed", "red"),
    Outcome.ERRORED: ("Errored", "magenta"),
    Outcome.NOT_RUN: ("Not run", "yellow"),
}


def draw(
    report: RunReport,
    facts: Facts | None,
    verdict: Words,
    *,
    width: int,
    color: bool,
    verbose: bool,
) -> str:
    """The screen; without *facts* the verdict alone."""
    parts: Iterable[RenderableType] = ()
    if facts is not None:
        parts = _parts(report, facts, len(report.cases) if verbose else MOST_CASES)
    return _drawn((*parts, Line.assemble(*verdict)), width=width, color=color)


def draw_facts(facts: Facts, verdict: Words, *, width: int, color: bool) -> str:
    """A screen of named lines alone."""
    return _drawn((_named(facts), "", Line.assemble(*verdict)), width=width, color=color)


def _drawn(parts: Iterable[RenderableType], *, width: int, color: bool) -> str:
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
    for part in parts:
        console.print(part)
    return page.getvalue()


def _parts(report: RunReport, facts: Facts, most: int) -> Iterator[RenderableType]:
    for outcome in TROUBLE:
        cases = [case for case in report.cases if case.outcome is outcome]
        yield from _trouble(outcome, cases, most)
    found = variants(report.cases)
    if found:
        yield _variants(found)
        yield ""
    yield _named(facts)
    yield ""


def _named(facts: Facts) -> Table:
    grid = _grid()
    for name, words in facts:
        grid.add_row(name, Line.assemble(*words))
    return grid


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
    names = ", ".join(_unasked(case) for case in cases[:3])
    tail = ", …" if len(cases) > 3 else ""
    whole = price_of(cases)
    asked = "" if whole is None else f"; to ask would cost {price_words(whole)}"
    return Line(f"  {reason}: {len(cases):,} ({names}{tail}){asked}")


def _unasked(case: CaseResult) -> str:
    price = "" if case.price is None else f" {dollars(case.price.expected)}"
    return one_line(case.case.id, 40) + price


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
