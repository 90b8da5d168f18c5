"""Two runs side by side, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from evalrunner.reports.phrases import dollars
from evalrunner.reports.safe_text import for_markdown_code, for_terminal, one_line, raw
from evalrunner.values.result import RunReport
from evalrunner.verdict.changes import CaseChange, RunChanges
from evalrunner.verdict.summary import summary_of

_MOST: Final = 10
_ID_LIMIT: Final = 120
_REASON_LIMIT: Final = 160


def as_text(changes: RunChanges, base: RunReport, head: RunReport, *, verbose: bool = False) -> str:
    """A screen of plain text; *verbose* names every row. It ends in a newline."""
    most = len(changes.regressions) + len(changes.improvements) if verbose else _MOST
    lines = [
        f"base {one_line(base.run.id, 80)}, head {one_line(head.run.id, 80)}",
        verdict_line(changes),
        *_facts(changes, base, head),
        *_listed("regressed", changes.regressions, most),
        *_listed("improved", changes.improvements, most),
        *_ids("removed", changes.removed, most),
        *_ids("without a verdict", changes.undecided, most),
        *(f"check changed: {line}" for line in _check_lines(changes, most)),
    ]
    return "".join(f"{for_terminal(line)}\n" for line in lines)


def as_markdown(
    changes: RunChanges, base: RunReport, head: RunReport, *, contents: bool = True
) -> str:
    """A section of Markdown; whatever a model or a stranger wrote stands in code spans.

    Args:
        changes: What changed.
        base: The run that it is compared with.
        head: The run that is judged.
        contents: Whether the reasons of failed checks stand in it.
    """
    sign = "❌" if changes.worse else "✅"
    facts = [f"- {line}" for line in _facts(changes, base, head)]
    cases = [
        *_marked("regressed", changes.regressions, contents=contents),
        *_marked("improved", changes.improvements, contents=contents),
        *(f"- removed {for_markdown_code(key, _ID_LIMIT)}" for key in changes.removed[:_MOST]),
        *_more(len(changes.removed), _MOST, "- "),
        *(f"- check changed: {for_markdown_code(ln)}" for ln in _check_lines(changes, _MOST)),
    ]
    parts = [f"{sign} {verdict_line(changes)}", "\n".join(facts), "\n".join(cases)]
    return "\n\n".join(filter(None, parts)) + "\n"


def verdict_line(changes: RunChanges) -> str:
    """Whether the head is worse, better or not told from the base, and how sure that is."""
    chance = changes.chance
    level = f"level {changes.alpha:g}"
    if changes.worse:
        return f"significantly worse than the base (p = {chance.worse:.2g}, {level})"
    if changes.better:
        return f"significantly better than the base (p = {chance.better:.2g}, {level})"
    p = min(1.0, 2 * min(chance.worse, chance.better))
    return f"not told from the base (p = {p:.2g}, {level})"


def _facts(changes: RunChanges, base: RunReport, head: RunReport) -> Iterator[str]:
    yield _rates(changes)
    flaky = len(changes.regressions) - changes.firm_regressions
    counts = [
        f"{len(changes.regressions):,} regressed" + (f" ({flaky:,} flaky)" if flaky else ""),
        f"{len(changes.improvements):,} improved",
        f"{changes.unchanged:,} unchanged",
        f"{len(changes.added):,} added",
        f"{len(changes.removed):,} removed",
    ]
    if changes.undecided:
        counts.append(f"{len(changes.undecided):,} without a verdict")
    yield ", ".join(counts)
    score = changes.score
    if score is not None and score.low is not None and score.high is not None:
        yield (
            f"mean score {score.mean:+.4f} ({_level(score.confidence)} interval "
            f"{score.low:+.4f} to {score.high:+.4f})"
        )
    worse = [name for name, each in changes.by_suite.items() if each.worse <= changes.alpha]
    if worse and len(changes.by_suite) > 1:
        yield "significantly worse alone: " + ", ".join(one_line(name, 60) for name in worse[:5])
    before, after = (summary_of(run).total.nominal.amount for run in (base, head))
    yield f"cost with an empty cache: {dollars(before)} to {dollars(after)}"


def _rates(changes: RunChanges) -> str:
    base, head = changes.base_rate, changes.head_rate
    if base.value is None or head.value is None or head.low is None or head.high is None:
        return "no row has a verdict in both runs"
    return (
        f"pass rate {base.value:.2%} to {head.value:.2%} of {head.n:,} rows in both "
        f"({_level(head.confidence)} interval {head.low:.2%} to {head.high:.2%})"
    )


def _level(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def _listed(word: str, changes: Sequence[CaseChange], most: int) -> Iterator[str]:
    for change in changes[:most]:
        flaky = " (flaky)" if change.flaky else ""
        reason = one_line(change.reason, _REASON_LIMIT)
        why = ": ".join(filter(None, (change.check, reason)))
        yield f"  {word}{flaky} {change.id}" + (f"  {why}" if why else "")
    yield from _more(len(changes), most, "  ")


def _marked(word: str, changes: Sequence[CaseChange], *, contents: bool) -> Iterator[str]:
    for change in changes[:_MOST]:
        flaky = " (flaky)" if change.flaky else ""
        line = f"- {word}{flaky} {for_markdown_code(change.id, _ID_LIMIT)}"
        line += f" {for_markdown_code(change.check, 40)}" if change.check else ""
        if contents and raw(change.reason):
            line += f" {for_markdown_code(change.reason, _REASON_LIMIT)}"
        yield line
    yield from _more(len(changes), _MOST, "- ")


def _ids(word: str, ids: Sequence[str], most: int) -> Iterator[str]:
    yield from (f"  {word} {key}" for key in ids[:most])
    yield from _more(len(ids), most, "  ")


def _check_lines(changes: RunChanges, most: int) -> Iterator[str]:
    for check in changes.checks[:most]:
        rows = "1 row" if check.rows == 1 else f"{check.rows:,} rows"
        yield f"{check.suite}: {check.type} {check.change} ({rows})"
    yield from _more(len(changes.checks), most, "")


def _more(number: int, most: int, lead: str) -> Iterator[str]:
    if number > most:
        yield f"{lead}…and {number - most:,} more"
