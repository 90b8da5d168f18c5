"""What evals have cost, line by line: a ledger's past grouped by what somebody wants to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from evalrunner.engine.ports import LedgerRecords, RunRow
from evalrunner.values.ceilings import utc_day
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import ZERO, Picodollars
from evalrunner.values.spending import SpendCell

TAGS: Final = ("pr", "branch", "sha", "ci_run", "event", "repo")
"""What lines can be grouped by that a run's origin tells."""

KEYS: Final = {
    "suite": "suite",
    "tier": "tier",
    "model": "model",
    "day": "day",
    "endpoint": "endpoint",
    "role": "role",
    "check": "check",
    "case": "case_id",
    "run": "run_id",
}
"""What lines can be grouped by that each call tells, and the column that does."""

_OF_RUNS: Final = ("suite", "day", "run", *TAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLine:
    """What one suite, tier, model, day or pull request has cost.

    Attributes:
        key: Which one; ``None`` where nobody said.
        cell: The sums of its calls.
        cases: Cases that its runs ended with; ``None`` where a line is a part of a case.
        passed: Those among them that passed.
        runs: Its runs; ``None`` where a run is a part of several lines.
        hits: Requests that the cache answered.
        avoided: What the cache spared its runs; ``None`` is unknown.
    """

    key: str | None
    cell: SpendCell
    cases: int | None = None
    passed: int | None = None
    runs: int | None = None
    hits: int | None = None
    avoided: Picodollars | None = None

    @property
    def unit_costs(self) -> dict[str, Fraction | None]:
        """Picodollars a call, case, passed case and million tokens; ``None`` where it has no meaning.

        They are of what is known to have been paid, and unknown as soon as one call's cost is.
        """
        cell = self.cell
        tokens = cell.input_tokens + cell.output_tokens
        paid = None if cell.unpriced else cell.settled
        return {
            "call": _each(paid, cell.calls - cell.open),
            "case": _each(paid, self.cases),
            "passed_case": _each(paid, self.passed),
            "million_tokens": _each(None if paid is None else paid * 10**6, tokens),
        }


def _each(paid: int | None, count: int | None) -> Fraction | None:
    return Fraction(paid, count) if paid is not None and count else None


def spend_lines(
    ledger: LedgerRecords, since: float, until: float, *, by: str
) -> tuple[list[SpendLine], SpendLine]:
    """The lines of a span of time, the dearest first (days in order), and their total.

    Args:
        ledger: Whose rows are added up.
        since: The span's beginning, in seconds since 1970.
        until: Its end, which is not in it.
        by: One of :data:`KEYS` or :data:`TAGS`.
    """
    rows = ledger.runs(since, until)
    tags = _tags(ledger, rows)
    if by in TAGS:
        cells = _by_tag(ledger.spending(since, until, ["run_id"]), tags, by)
    else:
        cells = {cell.key[0]: cell for cell in ledger.spending(since, until, [KEYS[by]])}
    lines = {key: SpendLine(key=key, cell=cell) for key, cell in cells.items()}
    if by in _OF_RUNS:
        lines = _with_runs(lines, rows, _key_of(by, tags))
    whole = _with_runs(
        {None: SpendLine(key=None, cell=sum(cells.values(), SpendCell()))}, rows, lambda _: None
    )[None]
    if by == "day":
        return sorted(lines.values(), key=lambda line: line.key or ""), whole
    return sorted(lines.values(), key=lambda line: (-line.cell.upper, line.key or "")), whole


def dearest(lines: Sequence[SpendLine], count: int | None) -> list[SpendLine]:
    """So many of the lines that cost the most, in the order in which they stood."""
    if count is None or count >= len(lines):
        return list(lines)
    kept = sorted(range(len(lines)), key=lambda place: -lines[place].cell.upper)[:count]
    return [lines[place] for place in sorted(kept)]


def _tags(ledger: LedgerRecords, rows: Iterable[RunRow]) -> dict[str, Mapping[str, str]]:
    tags: dict[str, Mapping[str, str]] = {row.run_id: row.tags for row in rows}
    return tags | {origin.run_id: origin.tags for origin in ledger.origins() if origin.tags}


def _by_tag(
    cells: Iterable[SpendCell], tags: Mapping[str, Mapping[str, str]], tag: str
) -> dict[str | None, SpendCell]:
    sums: dict[str | None, SpendCell] = {}
    for cell in cells:
        key = tags.get(str(cell.key[0]), {}).get(tag)
        sums[key] = sums.get(key, SpendCell(key=(key,))) + cell
    return sums


def _key_of(by: str, tags: Mapping[str, Mapping[str, str]]) -> Callable[[RunRow], str | None]:
    if by == "suite":
        return lambda row: row.suite
    if by == "day":
        return lambda row: utc_day(row.at)
    if by == "run":
        return lambda row: row.run_id
    return lambda row: tags.get(row.run_id, {}).get(by)


def _with_runs(
    lines: Mapping[str | None, SpendLine],
    rows: Sequence[RunRow],
    key_of: Callable[[RunRow], str | None],
) -> dict[str | None, SpendLine]:
    """The lines with the figures that runs tell, those that paid nothing among them."""
    found = dict(lines)
    parts: dict[str | None, list[RunRow]] = {}
    for row in rows:
        parts.setdefault(key_of(row), []).append(row)
    for key, part in parts.items():
        line = found.get(key) or SpendLine(key=key, cell=SpendCell(key=(key,)))
        found[key] = replace(
            line,
            cases=sum(row.cases for row in part),
            passed=sum(row.passed for row in part),
            runs=len({row.run_id for row in part}),
            hits=sum(row.hits for row in part),
            avoided=_avoided(part),
        )
    return found


def _avoided(rows: Iterable[RunRow]) -> Picodollars | None:
    avoided = ZERO
    for row in rows:
        if row.nominal is None or row.incurred is None:
            return None
        avoided = Picodollars(avoided + row.nominal - row.incurred)
    return avoided
