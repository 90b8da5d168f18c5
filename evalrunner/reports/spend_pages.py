"""Production spend as the gate sees it: by source and day, with what is left out, and the gate alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from evalrunner.reports.document import cost_ratio_object, failure_object, gate_object
from evalrunner.reports.phrases import dollars
from evalrunner.reports.ratio_lines import ratio_lines
from evalrunner.reports.safe_text import one_line
from evalrunner.values.money import PICO_PER_USD, Picodollars, usd_text
from evalrunner.values.result import CostRatio, Failure, GateDecision
from evalrunner.values.spend import SourceSeen, SpendPart
from evalrunner.verdict.production import Production

MOST_DAYS = 366


def spend_text(seen: Sequence[SourceSeen], production: Production) -> str:
    """Every source, day by day, for a terminal."""
    lines = [
        f"production  {_amount(production)} from {production.since} to {production.through}",
        *(f"  {one_line(problem, 200)}" for problem in production.problems),
    ]
    for one in seen:
        lines += ["", *_source(one, production)]
    return "\n".join(lines) + "\n"


def spend_json(seen: Sequence[SourceSeen], production: Production) -> str:
    """The same for programs."""
    document = {
        "schema": "evalrunner.spend/1",
        "since": production.since,
        "through": production.through,
        "production_usd": _usd(production.amount.low),
        "exact": production.amount.exact,
        "problems": list(production.problems),
        "sources": [
            {**shown, "days": [_day_object(day, parts) for day, parts in _days(one)]}
            for one, shown in zip(seen, production.sources, strict=True)
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def sync_text(seen: Sequence[SourceSeen]) -> str:
    """What came of asking every source."""
    lines: list[str] = []
    for one in seen:
        if one.error or one.read is None:
            lines.append(f"{one.spec.name}: {one_line(one.error or 'nothing is known', 300)}")
        else:
            rows = sum(part.rows for part in one.read.parts)
            lines.append(f"{one.spec.name}: {rows:,} rows, complete through {one.read.through}")
    return "\n".join(lines) + "\n"


def gate_text(
    gate: GateDecision, ratio: CostRatio, failures: Sequence[Failure], exit_code: int
) -> str:
    """The gate alone, for a terminal."""
    lines = [f"{word:7}{one_line(text, 300)}" for word, text in ratio_lines(ratio)]
    said = gate.detail.removeprefix(f"{gate.decision}: ")
    lines.append(f"gate   {gate.name} {gate.decision}: {one_line(said, 600)}")
    lines += [f"exit {exit_code}" for _ in failures[:1] if exit_code]
    return "\n".join(lines) + "\n"


def gate_json(
    gate: GateDecision, ratio: CostRatio, failures: Sequence[Failure], exit_code: int
) -> str:
    """The gate alone, in the words of the run document."""
    document = {
        "schema": "evalrunner.gate/1",
        "gates": [gate_object(gate)],
        "cost_ratio": cost_ratio_object(ratio),
        "failures": [failure_object(failure) for failure in failures],
        "exit_code": exit_code,
    }
    return json.dumps(document, indent=1) + "\n"


def _amount(production: Production) -> str:
    bound = "" if production.amount.exact else "at least "
    return bound + dollars(_pico(production.amount.low))


def _source(one: SourceSeen, production: Production) -> Iterator[str]:
    kind = "" if one.spec.name == one.spec.source else f" ({one.spec.source})"
    alone = ", shown beside the others only" if one.spec.reconcile_only else ""
    read = one.read
    if read is None:
        yield f"{one.spec.name}{kind}: nothing is known{alone}"
        yield f"  {one_line(one.error or '', 300)}"
        return
    kept = "kept" if one.kept else "known"
    yield f"{one.spec.name}{kind}: {kept} through {read.through}{alone}"
    if one.error:
        yield f"  {one_line(one.error, 300)}"
    for note in read.notes:
        yield f"  {one_line(note, 300)}"
    for day, parts in _days(one):
        if production.since <= day <= production.through:
            yield _day_line(day, parts)


def _day_line(day: str, parts: Sequence[SpendPart]) -> str:
    counted = [part for part in parts if part.left_out is None]
    unknown = sum(part.rows for part in counted if part.usd is None)
    text = f"  {day}  {dollars(_pico(_sum(counted))):>12}"
    if unknown:
        text += f"  + {unknown} rows without an amount"
    out = [f"{dollars(_pico(usd))} {one_line(why, 40)}" for why, usd in _left_out(parts)]
    return text + (f"  left out: {', '.join(out)}" if out else "")


def _day_object(day: str, parts: Sequence[SpendPart]) -> dict[str, object]:
    counted = [part for part in parts if part.left_out is None]
    labels = sorted({part.label for part in counted})
    return {
        "day": day,
        "usd": _usd(_sum(counted)),
        "unknown_rows": sum(part.rows for part in counted if part.usd is None),
        "left_out_usd": {why: _usd(usd) for why, usd in _left_out(parts)},
        "by_label": {
            label: _usd(_sum(part for part in counted if part.label == label)) for label in labels
        },
    }


def _days(one: SourceSeen) -> list[tuple[str, list[SpendPart]]]:
    days: dict[str, list[SpendPart]] = {}
    for part in one.read.parts if one.read else ():
        days.setdefault(part.day, []).append(part)
    return sorted(days.items())[-MOST_DAYS:]


def _left_out(parts: Iterable[SpendPart]) -> list[tuple[str, Fraction]]:
    found: dict[str, Fraction] = {}
    for part in parts:
        if part.left_out is not None:
            found[part.left_out] = found.get(part.left_out, Fraction(0)) + (part.usd or 0)
    return sorted(found.items())


def _sum(parts: Iterable[SpendPart]) -> Fraction:
    return sum((part.usd for part in parts if part.usd is not None), Fraction(0))


def _usd(amount: Fraction) -> str | None:
    return usd_text(_pico(amount))


def _pico(amount: Fraction) -> Picodollars:
    return Picodollars(round(amount * PICO_PER_USD))
