"""A ledger's rows as files: CSV for a spreadsheet, and the JSON in which ledgers are merged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Final

from evalrunner.engine.ledger_json import (
    entry_json,
    origin_json,
    read_entry,
    read_origin,
    read_run,
    run_json,
)
from evalrunner.engine.ports import LedgerEntry, Origin, RunRow
from evalrunner.errors import LedgerError
from evalrunner.reports.safe_text import for_csv_cell

SCHEMA: Final = "evalrunner.ledger/1"
_COLUMNS: Final = (
    "id run_id at suite case_id check role tier provider model endpoint fingerprint worst_case_usd"
    " price_source processing"
).split()
_END_COLUMNS: Final = (
    "status cost_usd input_tokens output_tokens cached_input_tokens cache_write_tokens"
    " reasoning_tokens served_model latency_seconds error calls metered"
).split()

Rows = tuple[list[LedgerEntry], list[RunRow], list[Origin]]


def as_csv(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """A header and a row for each attempt, piece by piece; what has not ended has empty cells."""
    yield _line([*_COLUMNS, *_END_COLUMNS])
    for entry in entries:
        row = entry_json(entry)
        end = row["end"]
        ended = end if isinstance(end, dict) else {}
        cells = [row[name] for name in _COLUMNS] + [ended.get(name) for name in _END_COLUMNS]
        yield _line(["" if cell is None else _cell(cell) for cell in cells])


def _cell(value: object) -> str:
    return for_csv_cell(value) if isinstance(value, str) else str(value)


def _line(cells: list[str]) -> str:
    page = io.StringIO()
    csv.writer(page, lineterminator="\r\n").writerow(cells)
    return page.getvalue()


def as_json(
    entries: Iterable[LedgerEntry], runs: Iterable[RunRow], origins: Iterable[Origin]
) -> Iterator[str]:
    """One document, piece by piece: what ``ledger import`` takes."""
    yield f'{{"schema": "{SCHEMA}",\n'
    parts: list[tuple[str, Iterator[str]]] = [
        ("origins", (json.dumps(origin_json(origin)) for origin in origins)),
        ("runs", (json.dumps(run_json(row)) for row in runs)),
        ("attempts", (json.dumps(entry_json(entry)) for entry in entries)),
    ]
    for number, (name, rows) in enumerate(parts):
        yield f'"{name}": ['
        for count, row in enumerate(rows):
            yield (",\n" if count else "\n") + row
        yield "]" + (",\n" if number < len(parts) - 1 else "}\n")


def read_json(text: str) -> Rows:
    """What :func:`as_json` wrote.

    Raises:
        LedgerError: It is something else.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise LedgerError("the file is no JSON document", hint=_HINT) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise LedgerError(f"the file is no {SCHEMA} document", hint=_HINT)
    parts = [document.get(name) for name in ("attempts", "runs", "origins")]
    attempts, runs, origins = (part if isinstance(part, list) else [] for part in parts)
    return (
        [read_entry(row) for row in attempts],
        [read_run(row) for row in runs],
        [read_origin(row) for row in origins],
    )


_HINT: Final = "write it with: evalrunner ledger export --format json"
