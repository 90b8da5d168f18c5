"""CSV files of anybody's: a day, an amount, and whatever else the columns say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evalrunner.adapters.spend_rows import SpendRows, day_or_none
from evalrunner.adapters.spend_tables import AskedColumns, cell_text, table_rows
from evalrunner.errors import SpendError
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd


class CsvSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for CSV files (also gzip, and Parquet).

    Args:
        spec: ``path`` (globs); the columns ``day`` and ``usd``; and, where they are, ``currency`` and
            ``label``.
        root: What paths are relative to.
        now: The clock, in seconds since 1970.
    """

    def __init__(self, spec: SpendSpec, *, root: Path, now: Callable[[], float]) -> None:
        self._spec = spec
        self._root = root
        self._now = now

    def fetch(self, since: str, until: str) -> SpendRead:
        """The rows of these days; see the port. It speaks of the days that its files hold."""
        spec = self._spec
        rows = SpendRows(spec, since, until)
        day_column, usd_column = spec.text("day", "date"), spec.text("usd", "usd")
        named = [column for name in ("currency", "label") if (column := spec.text(name))]
        first, last = "9999-12-31", ""
        asked = AskedColumns(spec, lambda row, name: name in row)
        for file, row in table_rows(spec, self._root, rows.note):
            for column in (day_column, usd_column, *named):
                if column not in row:
                    raise SpendError(
                        f"{spec.name}: {file!r} has no column {column!r}",
                        hint=f"it has {', '.join(map(repr, list(row)[:8]))}: say day: and usd:",
                    )
            asked.see(file, row)
            day = day_or_none(cell_text(row[day_column]))
            if day is None:
                raise SpendError(f"{spec.name}: {file!r} has a row without a day")
            first, last = min(first, day), max(last, day)
            rows.add(
                day,
                exact_usd(cell_text(row[usd_column])),
                {name: cell_text(value) for name, value in row.items()},
                label=cell_text(row.get(spec.text("label"))) or "",
                currency=(cell_text(row.get(spec.text("currency"))) or "USD").upper(),
            )
        if first > last:
            raise SpendError(f"{self._spec.name}: its files hold no rows")
        asked.require()
        return rows.read(fetched_at=self._now(), since=max(first, since), through=min(last, until))
