"""How much is in the stores, whose it is, how old it is, and how often it was of use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime

from evalrunner.errors import LedgerError
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.wiring.cache_known import FOR_EVER, Uses, open_history, suites_of, uses_of
from evalrunner.wiring.cache_prune import UNKNOWN_SUITE
from evalrunner.wiring.shelves import Shelf, Shelves


@dataclass(slots=True)
class SuitePart:
    """One suite's entries of one store; ``used_at`` is the last use by a run of this machine."""

    entries: int = 0
    bytes: int = 0
    used_at: float | None = None


@dataclass(slots=True, kw_only=True)
class StoreFigures:
    """One store.

    Attributes:
        store: Where it is.
        mode: What it is for.
        namespace: Whose entries these are.
        entries: How many there are.
        bytes: How large they are as they lie in the store.
        unbelieved: How many of them do not verify.
        oldest: When the first of them was stored, in seconds since 1970.
        newest: And the last.
        by_suite: Whose they are, by the suite that paid for them.
        trouble: Why not all is known; ``None`` where it is.
    """

    store: str
    mode: str
    namespace: str
    entries: int = 0
    bytes: int = 0
    unbelieved: int = 0
    oldest: float | None = None
    newest: float | None = None
    by_suite: dict[str, SuitePart] = field(default_factory=dict)
    trouble: str | None = None


@dataclass(slots=True)
class DayRate:
    """One day (UTC) of runs: requests that a store answered, and requests that were asked."""

    day: str
    runs: int = 0
    hits: int = 0
    calls: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The part of all requests that a store answered; ``None`` where there was none."""
        whole = self.hits + self.calls
        return self.hits / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFigures:
    """All of it; ``trouble`` is why the ledger says nothing of past runs."""

    stores: tuple[StoreFigures, ...]
    days: tuple[DayRate, ...]
    trouble: str | None = None


def figures(shelves: Shelves, *, since: float = 0.0) -> CacheFigures:
    """Counts every entry of this project, and the runs since then, in seconds since 1970."""
    suites, uses = suites_of(shelves), uses_of(shelves.state)
    stores = tuple(_store(shelf, suites, uses) for shelf in shelves.all)
    try:
        return CacheFigures(stores=stores, days=_days(shelves, since))
    except LedgerError as error:
        return CacheFigures(stores=stores, days=(), trouble=error.message)


def _store(shelf: Shelf, suites: Mapping[Fingerprint, str], uses: Uses) -> StoreFigures:
    found = StoreFigures(store=shelf.name, mode=shelf.mode, namespace=shelf.seal.namespace)
    for listed in shelf.store.scan():
        part = found.by_suite.setdefault(suites.get(listed.key, UNKNOWN_SUITE), SuitePart())
        part.entries += 1
        part.bytes += listed.size
        used_at = uses.last.get(listed.key)
        if used_at is not None:
            part.used_at = max(part.used_at or used_at, used_at)
        if listed.kept is None:
            found.unbelieved += 1
            continue
        stored_at = listed.kept.stored_at
        found.oldest = min(found.oldest or stored_at, stored_at)
        found.newest = max(found.newest or stored_at, stored_at)
    found.entries = sum(part.entries for part in found.by_suite.values())
    found.bytes = sum(part.bytes for part in found.by_suite.values())
    found.by_suite = dict(sorted(found.by_suite.items()))
    found.trouble = shelf.store.stats().degraded
    return found


def _days(shelves: Shelves, since: float) -> tuple[DayRate, ...]:
    days: dict[str, DayRate] = {}
    seen: set[str] = set()
    with open_history(shelves) as ledger:
        for row in ledger.runs(since, FOR_EVER):
            day = ""
            with suppress(ValueError, OverflowError, OSError):
                day = f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%d}"
            rate = days.setdefault(day, DayRate(day))
            rate.hits += row.hits
            rate.calls += row.calls
            rate.runs += row.run_id not in seen
            seen.add(row.run_id)
    return tuple(days[day] for day in sorted(days))
