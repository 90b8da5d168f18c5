"""What ``evalrunner cache`` found, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evalrunner.values.money import usd_text

if TYPE_CHECKING:
    from evalrunner.wiring.cache_carry import Exported, Imported
    from evalrunner.wiring.cache_prune import Pruned
    from evalrunner.wiring.cache_similar import SimilarRows
    from evalrunner.wiring.cache_stats import CacheFigures, StoreFigures
    from evalrunner.wiring.cache_verify import Verified

MOST_LISTED: Final = 20


def stats_lines(found: CacheFigures, *, now: float) -> Iterator[str]:
    """Stores, their suites, and the days of the ledger."""
    for store in found.stores:
        yield from _store_lines(store, now)
    if found.trouble:
        yield f"hit rates are not known: {found.trouble}"
    elif not found.days:
        yield "no run in this time"
    else:
        yield ""
        yield f"{'day':<12}{'runs':>6}{'hits':>10}{'calls':>10}{'hit rate':>10}"
    for day in found.days:
        rate = "-" if day.hit_rate is None else f"{day.hit_rate:.1%}"
        yield f"{day.day:<12}{day.runs:>6,}{day.hits:>10,}{day.calls:>10,}{rate:>10}"


def _store_lines(store: StoreFigures, now: float) -> Iterator[str]:
    head = f"{store.store} ({store.mode}, namespace {store.namespace!r}): "
    parts = [f"{_entries(store.entries)}, {size(store.bytes)}"]
    if store.oldest is not None and store.newest is not None:
        parts.append(f"stored {age(now - store.oldest)} to {age(now - store.newest)} ago")
    if store.unbelieved:
        parts.append(f"{store.unbelieved:,} not believed (evalrunner cache verify)")
    if store.trouble:
        parts.append(store.trouble)
    yield head + ", ".join(parts)
    for suite, part in store.by_suite.items():
        used = "" if part.used_at is None else f", last used {age(now - part.used_at)} ago"
        yield f"  {suite}: {_entries(part.entries)}, {size(part.bytes)}{used}"


def verify_lines(found: Sequence[Verified]) -> Iterator[str]:
    """One line a store, and the keys of what is wrong."""
    for one in found:
        state = (
            "all sound" if one.sound else f"{one.damaged:,} damaged, {one.untrusted:,} untrusted"
        )
        if one.trouble:
            state += f"; {one.trouble}"
        yield f"{one.store} (namespace {one.namespace!r}): {_entries(one.entries)}, {state}"
        for key in one.wrong[:MOST_LISTED]:
            yield f"  not believed: {key}"
        if len(one.wrong) > MOST_LISTED:
            yield f"  and {one.damaged + one.untrusted - MOST_LISTED:,} more (--json lists them)"
        if one.wrong:
            yield "  they count as misses; evalrunner cache prune --damaged removes them"


def prune_lines(found: Sequence[Pruned], *, dry_run: bool) -> Iterator[str]:
    """What went, and why, and whose it was."""
    done = "would go" if dry_run else "removed"
    for one in found:
        yield (
            f"{one.store}: {one.removed:,} of {_entries(one.entries)} {done}, "
            f"{size(one.removed_bytes)} of {size(one.bytes)}"
        )
        yield from _counts("by rule", one.by_reason)
        yield from _counts("by suite", one.by_suite)
        if one.trouble:
            yield f"  {one.trouble}"


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        yield f"  {title}: " + ", ".join(f"{name} {count:,}" for name, count in parts)


def export_lines(found: Exported) -> Iterator[str]:
    """What went into the file."""
    yield (
        f"{found.path}: {_entries(found.entries)} of the namespace {found.namespace!r}, "
        f"{size(found.bytes)}"
    )
    if found.missing:
        yield f"  {found.missing:,} answers that were used are in no store any more"


def import_lines(found: Imported) -> Iterator[str]:
    """What came out of it."""
    yield (
        f"{found.store}: {found.stored:,} of {_entries(found.entries)} stored, "
        f"{found.known:,} known already, {found.refused:,} refused"
    )
    if found.refused:
        yield "  refused: damaged, of another namespace, or not signed as they must be"
    if found.trouble:
        yield f"  {found.trouble}"


def similar_lines(found: Sequence[SimilarRows], *, output: Path | None) -> Iterator[str]:
    """Pairs of rows, and what a run would save without the second of each."""
    for one in found:
        count = len(one.similar)
        yield f"{one.suite}: {count:,} of {one.rows:,} rows are nearly another one"
        for row in one.similar[:MOST_LISTED]:
            differs = ", ".join(row.differs) or "nothing but its id"
            yield (
                f"  {row.places[0]} {row.row} is {row.similarity:.0%} of "
                f"{row.places[1]} {row.of} (differs: {differs})"
            )
        if count > MOST_LISTED:
            yield f"  and {count - MOST_LISTED:,} more (--json lists them)"
        if count:
            usd = "at a cost that is not known" if one.usd is None else f"${usd_text(one.usd)}"
            yield (
                f"  without them a run with nothing cached saves {one.calls:,} "
                f"call{'s' if one.calls != 1 else ''}, {usd}"
            )
    if output is not None:
        yield f"the other rows are in {str(output)!r}: name it as golden: to use it"
    elif any(one.similar for one in found):
        yield "read both rows before you drop one; -o FILE.jsonl writes the others"


def size(count: int) -> str:
    """Bytes, for people.

    Example:
        >>> size(999), size(1_500), size(2_000_000)
        ('999 B', '1.5 kB', '2.0 MB')
    """
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.1f} {unit}" if unit != "B" else f"{count} B"
        amount /= 1000
    return f"{amount:,.1f} TB"


def age(seconds: float) -> str:
    """A span of time, for people.

    Example:
        >>> age(5), age(200), age(90_000), age(-3)
        ('5 s', '3 min', '25 h', '0 s')
    """
    seconds = max(0.0, seconds)
    for unit, length, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // 86400):,} days"


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
