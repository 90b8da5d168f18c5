"""What is known of entries beside themselves: which suite paid for them, and when they were used."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.run_files import run_ids
from evalrunner.adapters.state_dir import StateDir
from evalrunner.adapters.uses_file import known_since, last_uses
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.ports import LedgerBook, StoreStats
from evalrunner.engine.replay import StoreReader, replay
from evalrunner.engine.select import Selection
from evalrunner.errors import LedgerError
from evalrunner.reports.case_lines import case_lines, fingerprints_in, line_id
from evalrunner.suite.load import require_good_rows
from evalrunner.values.dataclass import dataclass
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.wiring.command import Command
from evalrunner.wiring.ledgers import open_ledger
from evalrunner.wiring.loading import load
from evalrunner.wiring.setup import assembly_for
from evalrunner.wiring.shelves import Shelves

FOR_EVER: Final = 1e11


@dataclass(frozen=True, slots=True)
class Uses:
    """When entries were last used by a run of this machine, in seconds since 1970.

    Attributes:
        last: By key; an entry that is missing was not used since *since*.
        since: Since when that is known; ``None`` where it is not known at all.
    """

    last: Mapping[Fingerprint, float]
    since: float | None

    def of(self, key: Fingerprint, stored_at: float, *, now: float) -> float:
        """The last use, or the latest moment at which it may have been."""
        known = self.last.get(key, now if self.since is None else self.since)
        return max(known, stored_at)


def uses_of(state: StateDir) -> Uses:
    """What this machine's runs have used."""
    store = str(state.cache)
    last = {Fingerprint(key): moment for key, moment in last_uses(store).items()}
    return Uses(last, known_since(store))


def suites_of(shelves: Shelves) -> dict[Fingerprint, str]:
    """The suite of every entry that this project's ledger has paid for or a kept run has used."""
    found: dict[Fingerprint, str] = {}
    for suite, fingerprints in _used_by_kept_runs(shelves.state):
        found.update(dict.fromkeys(fingerprints, suite))
    with suppress(LedgerError), open_history(shelves) as ledger:
        for entry in ledger.entries(0.0, FOR_EVER):
            found[entry.attempt.fingerprint] = entry.attempt.suite
    return found


@contextmanager
def open_history(shelves: Shelves) -> Generator[LedgerBook]:
    """The ledger of the project, to be read.

    Raises:
        LedgerError: It cannot be opened.
    """
    ledger = open_ledger(shelves.project, shelves.state)
    try:
        yield ledger
    finally:
        ledger.close()


def reachable(
    shelves: Shelves,
    suites: tuple[str, ...],
    *,
    config: Path | None = None,
    state_dir: Path | None = None,
) -> set[Fingerprint]:
    """The entries that a run of these suites would be answered with, were it made now.

    Every case is driven as far as kept answers reach; nobody is asked.

    Raises:
        EvalRunnerError: The suites cannot be used.
    """
    command = Command(suites=suites, config=config, state_dir=state_dir, frozen=True)
    project, loaded = load(command)
    require_good_rows(loaded)
    assembly = assembly_for(command, project, shelves.state)
    cases = assembly.cases(loaded, Selection())
    found = Finding(shelves)
    accounts = Accounts(ConfiguredPrices(at=time.time()), assembly.endpoints)
    replay(cases, StoreReader(found, accounts))
    return found.keys


class Finding:
    """A :class:`~evalrunner.engine.ports.CacheStore` over all shelves that remembers what was found."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self.keys: set[Fingerprint] = set()

    def get_many(
        self, keys: Sequence[Fingerprint], *, stored_after: float | None = None
    ) -> dict[Fingerprint, bytes]:
        """The bodies of those keys that any store has."""
        found: dict[Fingerprint, bytes] = {}
        for shelf in self._shelves.all:
            missing = [key for key in keys if key not in found]
            found |= shelf.store.get_many(missing, stored_after=stored_after)
        self.keys |= found.keys()
        return found

    def put_many(self, bodies: Mapping[Fingerprint, bytes]) -> None:
        """Stores nothing."""

    def stats(self) -> StoreStats:
        """Nothing of its own."""
        return StoreStats()

    def close(self) -> None:
        """The shelves are closed by whoever opened them."""


def moment_of(stamp: str) -> float:
    """The seconds since 1970 of a run document's time.

    Example:
        >>> moment_of("2026-11-22T20:00:00.500Z")
        1795377600.5
    """
    return datetime.fromisoformat(stamp).timestamp()


def _used_by_kept_runs(state: StateDir) -> Iterator[tuple[str, Sequence[Fingerprint]]]:
    for run_id in run_ids(str(state.runs)):
        with suppress(OSError):
            document = (state.runs / f"{run_id}.json").read_bytes()
            lines = case_lines(document, paid=0)
            for line in lines.lines if lines else ():
                with suppress(ValueError):
                    suite = str(json.loads(f'"{line_id(line)}"')).partition("/")[0]
                    yield suite, [Fingerprint(one) for one in fingerprints_in([line])]
