"""FOCUS files (FinOps Open Cost and Usage Specification, 1.0 to 1.4 and the draft of 1.5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Final

from evalrunner.adapters.spend_rows import SpendRows
from evalrunner.adapters.spend_tables import AskedColumns, Row, cell_mapping, cell_text, table_rows
from evalrunner.errors import SpendError
from evalrunner.values.spend import SpendRead, SpendSpec, exact_usd, shifted

_RENAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "ServiceProviderName": ("ProviderName", "PublisherName"),
    "ProviderName": ("ServiceProviderName",),
    "HostProviderName": ("ProviderName",),
}
"""Columns that later versions renamed: a filter on either name finds the other."""

_JSON_COLUMNS: Final = ("Tags", "SkuPriceDetails")
_REQUESTERS: Final = ("RequesterDetails", "CredentialDetails")
_ALIASES: Final = {"CacheAction": "TokenCacheAction"}
_DAY: Final = timedelta(days=1)


class FocusSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` for files.

    A filter names a column, a tag as ``Tags.NAME``, a price detail as ``SkuPriceDetails.NAME``, or
    a credential as ``Credential.Name``. A charge that lasts for several days is spread over them
    evenly. Charges that are no usage (taxes, purchases, credits) are left out unless ``charges``
    names them.

    Args:
        spec: ``path`` (globs), ``cost`` (the column), ``charges`` (charge categories).
        root: What paths are relative to.
        now: The clock, in seconds since 1970.
    """

    def __init__(self, spec: SpendSpec, *, root: Path, now: Callable[[], float]) -> None:
        self._spec = spec
        self._root = root
        self._now = now
        self._cost = spec.text("cost", "EffectiveCost")
        self._charges = frozenset(map(str.lower, spec.texts("charges") or ("Usage",)))

    def fetch(self, since: str, until: str) -> SpendRead:
        """The charges of these days; see the port. It speaks of the days that its files hold."""
        rows = SpendRows(self._spec, since, until)
        first, last = "9999-12-31", ""
        asked, undated = AskedColumns(self._spec, _tells), list[Row]()
        tomorrow = shifted(until, 1)
        for file, row in table_rows(self._spec, self._root, rows.note):
            if "ChargePeriodStart" not in row or self._cost not in row:
                raise SpendError(
                    f"{self._spec.name}: {file!r} has no column "
                    f"{'ChargePeriodStart' if 'ChargePeriodStart' not in row else self._cost!r}",
                    hint="is it a FOCUS export? any other CSV is source: csv",
                )
            asked.see(file, row)
            span = _span(row)
            if span is None:
                undated.append(row)
                rows.note(f"{file}: a row without a charge period is not counted")
                continue
            begin, end = span
            first = min(first, begin.date().isoformat())
            last = max(last, (end - timedelta(microseconds=1)).date().isoformat())
            self._add(
                rows,
                row,
                begin,
                min(end, _midnight(tomorrow)) if begin < _midnight(tomorrow) else end,
            )
        if first > last:
            raise SpendError(f"{self._spec.name}: its files hold no rows")
        asked.require()
        for row in undated:  # of any day, and so of the last that every window has
            rows.add(
                min(last, rows.settled),
                None,
                self._facts(row),
                label="no period",
                left_out=self._category(row),
            )
        return rows.read(fetched_at=self._now(), since=max(first, since), through=min(last, until))

    def _add(self, rows: SpendRows, row: Row, begin: datetime, end: datetime) -> None:
        """A row, in parts as large as its share of each day."""
        amount, currency = self._amount(row)
        facts, left_out = self._facts(row), self._category(row)
        label = facts.get("SkuPriceDetails.ModelId") or facts.get("ServiceName") or ""
        for day, share in _days(begin, end):
            part = None if amount is None else amount * share
            rows.add(day, part, facts, label=label, currency=currency, left_out=left_out)

    def _facts(self, row: Row) -> _RowFacts:
        return _RowFacts(row, self._spec.name)

    def _category(self, row: Row) -> str | None:
        """Why a row is not counted that is no usage."""
        category = (cell_text(row.get("ChargeCategory")) or "Usage").lower()
        return None if category in self._charges else category

    def _amount(self, row: Row) -> tuple[Fraction | None, str]:
        """The cost and its currency; dollars where the pricing currency is dollars."""
        billed = (cell_text(row.get("BillingCurrency")) or "USD").upper()
        pricing = (cell_text(row.get("PricingCurrency")) or "").upper()
        priced = exact_usd(cell_text(row.get("PricingCurrencyEffectiveCost")))
        if (
            billed != "USD"
            and pricing == "USD"
            and self._cost == "EffectiveCost"
            and priced is not None
        ):
            return priced, "USD"
        return exact_usd(cell_text(row[self._cost])), billed


class _RowFacts(dict[str, "str | None"]):
    """What a row says, looked up as a filter asks for it."""

    def __init__(self, row: Row, source: str) -> None:
        super().__init__()
        self._row = row
        self._source = source

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """The fact of that name."""
        if name not in self:
            try:
                self[name] = _fact(self._row, name)
            except ValueError as error:
                raise SpendError(
                    f"{self._source}: {error}, so that {name!r} is not known of a row"
                ) from None
        found = self[name]
        return default if found is None else found


def _fact(row: Row, name: str) -> str | None:
    if name in row:
        return cell_text(row[name])
    column, _, key = name.partition(".")
    if key and column in _JSON_COLUMNS:
        return _detail(_mapping(row, column), key)
    if key and column == "Credential":
        return _credential(row, key)
    if name in {"TokenCacheAction", "CacheAction", "TokenDirection"}:
        return _detail(_mapping(row, "SkuPriceDetails"), name)
    others = _RENAMED.get(name, ())
    return next((cell_text(row[other]) for other in others if other in row), None)


def _mapping(row: Row, column: str) -> Mapping[str, object]:
    found = cell_mapping(row.get(column))
    if found is None:
        raise ValueError(f"the column {column!r} holds something else than a JSON object")
    return found


def _tells(row: Row, name: str) -> bool:
    """Whether a row with these columns may say something about what a filter names."""
    column, _, key = name.partition(".")
    if name in {"TokenCacheAction", "CacheAction", "TokenDirection"}:
        column = "SkuPriceDetails"
    if key and column == "Credential":
        return any(other in row for other in (*_REQUESTERS, "CredentialId"))
    return any(other in row for other in (name, column, *_RENAMED.get(name, ())))


def _detail(details: Mapping[str, object], key: str) -> str | None:
    both = (key, *(one for pair in _ALIASES.items() if key in pair for one in pair))
    return next((cell_text(details[name]) for name in both if name in details), None)


def _credential(row: Row, key: str) -> str | None:
    """A detail of the credential, however the draft spells it at the moment."""
    for column in _REQUESTERS:
        for entry in _entries(row.get(column)):
            if entry.get("key") == "Credential":
                return _detail(cell_mapping(entry.get("value")) or {}, key)
        found = _detail(cell_mapping(row.get(column)) or {}, key)
        if found is not None:
            return found
    return cell_text(row.get("CredentialId")) if key in {"Id", "Name"} else None


def _entries(value: object) -> list[Mapping[str, object]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    return (
        [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
    )


def _span(row: Row) -> tuple[datetime, datetime] | None:
    """The charge period, its end not in it; a day where there is no end."""
    begin = _moment(row.get("ChargePeriodStart"))
    if begin is None:
        return None
    end = _moment(row.get("ChargePeriodEnd"))
    return begin, end if end is not None and end > begin else begin + _DAY


def _moment(value: object) -> datetime | None:
    text = cell_text(value)
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _days(begin: datetime, end: datetime) -> list[tuple[str, Fraction]]:
    """The UTC days of a period, each with its share of it."""
    first = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    if end <= first + _DAY:
        return [(first.date().isoformat(), Fraction(1))]
    whole = (end - begin) // timedelta(microseconds=1)
    found: list[tuple[str, Fraction]] = []
    day = first
    while day < end and len(found) < 400:
        part = (min(end, day + _DAY) - max(begin, day)) // timedelta(microseconds=1)
        found.append((day.date().isoformat(), Fraction(part, whole)))
        day += _DAY
    return found
