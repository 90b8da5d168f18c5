"""What goes from the stores: by age, by last use, by size, by what the suites no longer ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.wiring.cache_known import Uses
from evalrunner.wiring.shelves import Shelf, Shelves

UNKNOWN_SUITE: Final = "(unknown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which entries go: those that any of the rules names.

    Attributes:
        older_than: Stored longer ago than that, in seconds.
        unused_for: Not used for so long by a run of this machine, in seconds.
        max_bytes: More than that in one store: those go whose last use is longest ago.
        reached: The entries that a run of the suites would use; all others go.
        damaged: Those that are not believed go.
    """

    older_than: float | None = None
    unused_for: float | None = None
    max_bytes: int | None = None
    reached: AbstractSet[Fingerprint] | None = None
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went from one store, or would go.

    Attributes:
        store: Where it is.
        entries: How many there were.
        bytes: And how large they were, as they lie in the store.
        removed: How many went.
        removed_bytes: How large those were.
        by_reason: How many of them by the first rule that named them.
        by_suite: How many of them by the suite that paid for them.
        trouble: Why not all of them could go; ``None`` where they could.
    """

    store: str
    entries: int
    bytes: int
    removed: int
    removed_bytes: int
    by_reason: Mapping[str, int]
    by_suite: Mapping[str, int]
    trouble: str | None


class _Entry(NamedTuple):
    """One entry: ``stored_at`` is ``None`` where it is not believed."""

    key: Fingerprint
    size: int
    stored_at: float | None
    used_at: float


def prune(
    shelves: Shelves,
    rules: Rules,
    *,
    uses: Uses,
    suites: Mapping[Fingerprint, str],
    now: float,
    dry_run: bool,
) -> list[Pruned]:
    """Removes from every store that this project writes what the rules name.

    Args:
        shelves: The stores.
        rules: What goes.
        uses: When entries were used. What others use on a server is not known here, so that nothing
            goes from one for its use.
        suites: Which suite paid for an entry, as far as that is known.
        now: Seconds since 1970.
        dry_run: Only says what would go.
    """
    return [_pruned(shelf, rules, uses, suites, now, dry_run=dry_run) for shelf in shelves.kept]


def clear(shelves: Shelves) -> dict[str, int]:
    """Removes everything of this project from the stores that it writes. Returns how many, by store."""
    removed: Counter[str] = Counter()
    for shelf in shelves.kept:
        removed[shelf.name] += shelf.store.clear()
    return dict(removed)


def _pruned(
    shelf: Shelf,
    rules: Rules,
    uses: Uses,
    suites: Mapping[Fingerprint, str],
    now: float,
    *,
    dry_run: bool,
) -> Pruned:
    entries = list(_entries(shelf, uses, now))
    going = dict(_named(shelf, entries, rules, now))
    removed = len(going)
    if going and not dry_run:
        removed = shelf.store.delete_many(sorted(going))
    return Pruned(
        store=shelf.name,
        entries=len(entries),
        bytes=sum(entry.size for entry in entries),
        removed=removed,
        removed_bytes=sum(entry.size for entry in entries if entry.key in going),
        by_reason=dict(Counter(going.values())),
        by_suite=dict(Counter(suites.get(key, UNKNOWN_SUITE) for key in going)),
        trouble=shelf.store.stats().degraded,
    )


def _entries(shelf: Shelf, uses: Uses, now: float) -> Iterator[_Entry]:
    for listed in shelf.store.scan():
        stored_at = listed.kept.stored_at if listed.kept else None
        used_at = now if stored_at is None else uses.of(listed.key, stored_at, now=now)
        yield _Entry(listed.key, listed.size, stored_at, used_at)


def _named(
    shelf: Shelf, entries: Sequence[_Entry], rules: Rules, now: float
) -> Iterator[tuple[Fingerprint, str]]:
    """The keys that go, each with the rule that named it."""
    staying: list[_Entry] = []
    use_is_known = not isinstance(shelf.store, RedisStore)
    for entry in entries:
        reason = _reason(entry, rules, now, use_is_known=use_is_known)
        if reason is None:
            staying.append(entry)
        else:
            yield entry.key, reason
    if rules.max_bytes is None:
        return
    size = sum(entry.size for entry in staying)
    staying.sort(key=lambda entry: (entry.used_at, entry.key))
    for entry in staying:
        if size <= rules.max_bytes:
            return
        size -= entry.size
        yield entry.key, "size"


def _reason(entry: _Entry, rules: Rules, now: float, *, use_is_known: bool) -> str | None:
    if entry.stored_at is None:
        return "damaged" if rules.damaged else None
    if rules.older_than is not None and entry.stored_at < now - rules.older_than:
        return "age"
    if rules.unused_for is not None and use_is_known and entry.used_at < now - rules.unused_for:
        return "unused"
    if rules.reached is not None and entry.key not in rules.reached:
        return "unreachable"
    return None
