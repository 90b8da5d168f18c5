"""A cache carried from one machine to another: what goes into the file, and what is taken out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Final

from evalrunner.adapters.cache_archive import open_archive, write_archive
from evalrunner.adapters.envelope import EPOCH
from evalrunner.adapters.seal import Seal
from evalrunner.errors import RunDocumentError, StoreError, UsageError
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.quantity import seconds_of
from evalrunner.wiring.cache_known import moment_of
from evalrunner.wiring.past_runs import load_run
from evalrunner.wiring.shelves import Shelf, Shelves
from evalrunner.wiring.stores import namespace_of

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What went into an archive; ``missing`` are answers that a run used and no store has any more."""

    path: str
    namespace: str
    entries: int
    bytes: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came out of an archive.

    Attributes:
        entries: How many it has.
        stored: How many were new here, and are stored now.
        known: How many were here already.
        refused: How many are not believed: damaged, of another namespace, or not signed as they must be.
        store: Where they went.
        trouble: Why not all of them could be stored; ``None`` where they could.
    """

    entries: int
    stored: int
    known: int
    refused: int
    store: str
    trouble: str | None

    @property
    def sound(self) -> bool:
        """Whether all of it was believed and is here now."""
        return not (self.refused or self.trouble)


def export(
    shelves: Shelves, path: Path, *, runs: Sequence[str] = (), since: str | None = None
) -> Exported:
    """Writes entries of this project into one file.

    Args:
        shelves: Where they are taken from; the first store that has one gives it.
        path: The file.
        runs: Only what these runs used: paths, run ids, or ``last``.
        since: Only what was stored since then: a run, or how long ago, such as ``7d``.

    Raises:
        UsageError: *since* is neither.
        RunDocumentError: There is no such run.
        StoreError: The file cannot be written.
    """
    namespace = namespace_of(shelves.project)
    sources = [shelf for shelf in shelves.shared if shelf.seal.namespace == namespace]
    wanted = used_by(shelves, runs) if runs else None
    after = stored_since(shelves, since) if since else None
    keys = _keys(sources, wanted, after)
    written = write_archive(path, _entries(sources, keys, after), namespace=namespace)
    missing = len(wanted - keys) if wanted is not None and after is None else 0
    return Exported(path=str(path), namespace=namespace, missing=missing, **written._asdict())


def used_by(shelves: Shelves, runs: Sequence[str]) -> set[Fingerprint]:
    """The keys of all answers that these runs used, asked for or found."""
    reports = (load_run(name, shelves.state) for name in runs)
    return {
        call.record.fingerprint
        for report in reports
        for case in report.cases
        for call in case.records
    }


def stored_since(shelves: Shelves, since: str, *, now: float | None = None) -> float:
    """The moment that a user means by a duration or by a run, in seconds since 1970."""
    seconds = seconds_of(since)
    if seconds is not None:
        return (time.time() if now is None else now) - seconds
    try:
        return moment_of(load_run(since, shelves.state).run.started_at)
    except RunDocumentError as error:
        raise UsageError(
            f"--since {since!r} is neither a duration nor a run: {error.message}",
            hint="write it like 7d or 12h, or name a run",
        ) from None


def _keys(
    sources: Sequence[Shelf], wanted: AbstractSet[Fingerprint] | None, after: float | None
) -> set[Fingerprint]:
    """The keys that are in any of the stores, intact and not too old."""
    found: set[Fingerprint] = set()
    if wanted is not None:
        ordered = sorted(wanted)
        for start in range(0, len(ordered), _CHUNK):
            found.update(key for key, _ in _some(sources, ordered[start : start + _CHUNK], after))
        return found
    for shelf in sources:
        for listed in shelf.store.scan():
            if listed.kept and (after is None or listed.kept.stored_at >= after):
                found.add(listed.key)
    return found


def _entries(
    sources: Sequence[Shelf], keys: AbstractSet[Fingerprint], after: float | None
) -> Iterator[tuple[Fingerprint, bytes]]:
    """The entries themselves, in the order of their keys, a few at a time."""
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        yield from _some(sources, ordered[start : start + _CHUNK], after)


def _some(
    sources: Sequence[Shelf], keys: Sequence[Fingerprint], after: float | None
) -> Iterator[tuple[Fingerprint, bytes]]:
    found: dict[Fingerprint, bytes] = {}
    for shelf in sources:
        missing = [key for key in keys if key not in found]
        kept = shelf.store.get_sealed(missing, stored_after=after)
        found.update((key, one.raw) for key, one in kept.items())
    yield from ((key, found[key]) for key in keys if key in found)


def import_(shelves: Shelves, path: Path) -> Imported:
    """Takes the entries of an archive in, each only if it is believed here.

    Nothing is taken from an archive that is not whole, is another namespace's, or of another epoch.

    Raises:
        StoreError: The archive cannot be used, or there is no store to take it in.
    """
    namespace = namespace_of(shelves.project)
    target = _target(shelves)
    seal = shelves.seal
    with open_archive(path) as archive:
        if archive.namespace != namespace:
            raise StoreError(
                f"{str(path)!r} has entries of the namespace {archive.namespace!r}, not {namespace!r}",
                hint="cache.namespace says whose entries a project's are",
            )
        if archive.epoch != EPOCH:
            raise StoreError(
                f"{str(path)!r} was written by another version of evalrunner ({archive.epoch!r})",
                hint="its entries would never be found; export it again",
            )
        for _ in archive.entries():  # whole to the end before anything is stored
            pass
        return _take_in(archive.entries(), target, seal)


def _target(shelves: Shelves) -> Shelf:
    for mode in ("write", "overlay", "fallback"):
        for shelf in shelves.shared:
            if shelf.mode == mode:
                return shelf
    raise StoreError("no store of this project is written", hint="see cache: in evalrunner.yaml")


def _take_in(entries: Iterator[tuple[Fingerprint, bytes]], target: Shelf, seal: Seal) -> Imported:
    count = stored = known = refused = 0
    while chunk := dict(islice(entries, _CHUNK)):
        count += len(chunk)
        here = target.store.get_sealed(list(chunk))
        known += len(here)
        sealed: dict[Fingerprint, bytes] = {}
        for key, raw in chunk.items():
            if key in here:
                continue
            opened = seal.opened(key, raw)
            if opened is None:
                refused += 1
            elif seal.namespace == target.seal.namespace:
                sealed[key] = raw
            else:  # an overlay keeps it under its own namespace, as old as it is
                sealed |= target.seal.sealed({key: opened.body}, opened.stored_at)
        if target.store.put_sealed(sealed):
            stored += len(sealed)
    return Imported(
        entries=count,
        stored=stored,
        known=known,
        refused=refused,
        store=target.name,
        trouble=target.store.stats().degraded,
    )
