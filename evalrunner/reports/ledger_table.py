"""What evals have cost, as a table for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from evalrunner.engine.spend_lines import SpendLine
from evalrunner.reports.ledger_words import interval, short
from evalrunner.reports.safe_text import one_line
from evalrunner.values.money import Picodollars, usd_text
from evalrunner.values.spending import FIGURES

SCHEMA: Final = "evalrunner.ledger-lines/1"
_MONEY: Final = ("settled", "possibly_paid")
_WIDEST: Final = 40
_NOBODY_SAID: Final = "(none)"


def table(lines: Sequence[SpendLine], total: SpendLine, *, by: str) -> str:
    """A line for each, the total below, and unit costs under it."""
    head = (by, "cost", "calls", "tokens in", "tokens out", "hits", "avoided")
    rows = [
        head,
        *(_cells(line, line.key or _NOBODY_SAID) for line in lines),
        _cells(total, "total"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    text = [_row(row, widths) for row in rows]
    text.insert(-1, "-" * len(text[0].rstrip()))
    return "\n".join([*text, *_notes(total)]) + "\n"


def _cells(line: SpendLine, name: str) -> tuple[str, ...]:
    cell = line.cell
    return (
        one_line(name, _WIDEST),
        interval(cell),
        f"{cell.calls:,}" + (f" (+{cell.inner_calls:,})" if cell.inner_calls else ""),
        f"{cell.input_tokens:,}",
        f"{cell.output_tokens:,}",
        "" if line.hits is None else f"{line.hits:,}",
        "" if line.runs is None else short(line.avoided),
    )


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _notes(total: SpendLine) -> list[str]:
    cell = total.cell
    costs = ", ".join(
        f"{short(_rounded(cost))} a {name.replace('_', ' ')}"
        for name, cost in total.unit_costs.items()
        if cost is not None
    )
    notes = [costs if cell.exact else f"at least {costs}"] if costs else []
    if cell.open:
        most = short(cell.possibly_paid)
        notes.append(f"{_calls(cell.open)} may have been paid: {most} at most")
    if cell.unpriced:
        notes.append(f"{_calls(cell.unpriced)} of no known cost, in no sum")
    if cell.unmetered:
        notes.append(f"{_calls(cell.unmetered)} of applications that do not say what they cost")
    return notes


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _rounded(cost: Fraction | None) -> Picodollars | None:
    return None if cost is None else Picodollars(round(cost))


def as_json(
    lines: Sequence[SpendLine], total: SpendLine, *, by: str, since: str, until: str
) -> str:
    """The same for programs: money as decimal strings of dollars, unknown money as null."""
    document = {
        "schema": SCHEMA,
        "by": by,
        "since": since,
        "until": until,
        "lines": [_line(line) for line in lines],
        "total": _line(total),
    }
    return json.dumps(document, indent=2) + "\n"


def _line(line: SpendLine) -> dict[str, object]:
    cell = line.cell
    figures: dict[str, object] = {
        name: getattr(cell, name) for name in FIGURES if name not in _MONEY
    }
    return {
        "key": line.key,
        "settled_usd": usd_text(cell.settled),
        "possibly_paid_usd": usd_text(cell.possibly_paid),
        "exact": cell.exact,
        **figures,
        "cases": line.cases,
        "passed": line.passed,
        "runs": line.runs,
        "hits": line.hits,
        "avoided_usd": usd_text(line.avoided) if line.runs is not None else None,
        "unit_costs_usd": {
            name: usd_text(_rounded(cost)) for name, cost in line.unit_costs.items()
        },
    }
