"""The ``.evalrunner`` folder: where the cache, the ledger and the documents of past runs lie."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from evalrunner.adapters.private_dir import open_private_dir, write_atomically
from evalrunner.adapters.run_files import KEPT_RUNS, is_run_id, prune_runs, run_ids
from evalrunner.errors import ConfigError, RunDocumentError, StoreError
from evalrunner.values.dataclass import dataclass

NAME: Final = ".evalrunner"

_FILES: Final = {
    ".gitignore": "*\n",
    "README": "What evalrunner keeps between runs; git ignores it.\n"
    "cache/          answers of models; may be deleted at any time\n"
    "ledger.sqlite3  what runs have cost; deleting it forgets past spending\n"
    "runs/           the documents of the last runs\n"
    "spend/          what production has cost, as its sources last said\n"
    "calibration/    how far the cheap judges agree with the dear ones\n",
}


@dataclass(frozen=True, slots=True)
class StateDir:
    """The folder and the names in it. Run documents are written whole and pruned here."""

    path: Path

    @property
    def cache(self) -> Path:
        """The disk store's directory; the store makes it."""
        return self.path / "cache"

    @property
    def ledger(self) -> Path:
        """The ledger's file; the ledger makes it."""
        return self.path / "ledger.sqlite3"

    @property
    def runs(self) -> Path:
        """The directory of run documents."""
        return self.path / "runs"

    @property
    def spend(self) -> Path:
        """The directory of snapshots of production spend."""
        return self.path / "spend"

    @property
    def calibration(self) -> Path:
        """The directory of calibrations."""
        return self.path / "calibration"

    def write_run(self, run_id: str, document: str | bytes | Iterable[bytes | memoryview]) -> Path:
        """Writes a run document as a whole; the newest documents are those written last.

        Raises:
            RunDocumentError: The id cannot be a file's name, or the disk does not take the document.
        """
        path = self._document(run_id)
        try:
            write_atomically(path, document)
        except OSError as error:
            raise RunDocumentError(
                f"the run document {str(path)!r} cannot be written: {error.strerror or error}",
                hint="name another place with -o or --state-dir",
            ) from None
        return path

    def prune_runs(self, *, keep: AbstractSet[str] = frozenset(), newest: int = KEPT_RUNS) -> int:
        """Removes all but the newest documents. Returns how many.

        Args:
            keep: Ids that stay however old they are: those that kept documents refer to.
            newest: How many stay in any case.
        """
        return prune_runs(str(self.runs), keep=keep, newest=newest)

    def run_ids(self) -> list[str]:
        """The ids of the runs whose documents are here, newest first."""
        return run_ids(str(self.runs))

    def last_run_id(self) -> str | None:
        """The id of the newest run, or ``None`` before the first."""
        return next(iter(self.run_ids()), None)

    def resolve_run(self, name: str) -> Path:
        """The document that a user means by a path, a run id, or ``last``.

        An id may be cut short where only one run begins so.

        Raises:
            RunDocumentError: There is none, or more than one.
        """
        if name == "last":
            return self._last()
        if is_run_id(name) and (found := self._by_id(name)):
            return found
        path = Path(name)
        if path.is_file():
            return path
        known = self.run_ids()
        hint = f"the last run is {known[0]!r}; {len(known)} kept" if known else None
        raise RunDocumentError(
            f"{name!r} is neither a file nor the id of a kept run",
            hint=hint or "evalrunner run writes the first one",
        )

    def _last(self) -> Path:
        last = self.last_run_id()
        if last is None:
            raise RunDocumentError(
                f"there is no last run below {str(self.runs)!r}",
                hint="evalrunner run writes the first one",
            )
        return self._document(last)

    def _by_id(self, name: str) -> Path | None:
        known = self.run_ids()
        if name in known:
            return self._document(name)
        begun = [run_id for run_id in known if run_id.startswith(name)]
        if len(begun) > 1:
            raise RunDocumentError(
                f"{len(begun)} runs begin with {name!r}", hint=f"such as {begun[0]!r}, {begun[1]!r}"
            )
        return self._document(begun[0]) if begun else None

    def _document(self, run_id: str) -> Path:
        if not is_run_id(run_id):
            raise RunDocumentError(f"{run_id!r} is not a run id", hint="letters, digits, . _ and -")
        return self.runs / f"{run_id}.json"


def open_state_dir(root: Path, *, explicit: Path | None = None) -> StateDir:
    """The state folder of a project, made where it is missing.

    A full or read-only disk is no error here: what has to be written says so when it is.

    Args:
        root: The project's root; the folder is ``.evalrunner`` below it.
        explicit: The folder itself, where the user named one.

    Raises:
        ConfigError: The folder is a link, another user's, or writable by everybody.
    """
    path = explicit if explicit is not None else root / NAME
    try:
        open_private_dir(path, _FILES)
        for inner in ("runs", "spend", "calibration"):
            open_private_dir(path / inner, {})
    except StoreError as error:
        raise ConfigError(error.message, hint=error.hint) from None
    return StateDir(path)
