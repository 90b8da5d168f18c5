"""Runs that were made before: found, read, and those of shards made one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalrunner.adapters.state_dir import NAME, StateDir
from evalrunner.errors import RunDocumentError
from evalrunner.reports.answered import resolve
from evalrunner.reports.document import from_json
from evalrunner.reports.merge import merge
from evalrunner.values.result import Outcome, RunReport


def load_run(name: str, state: StateDir) -> RunReport:
    """The report of a kept run or of a document's path, with its cases in it.

    Raises:
        RunDocumentError: There is none, it is none, or the run that it was answered from is gone.
    """
    return resolve(_read(name, state), lambda run_id: _read(run_id, state))


def load_runs(
    names: Sequence[str],
    *,
    start: Path | None = None,
    config: Path | None = None,
    state_dir: Path | None = None,
) -> RunReport:
    """The report of one run, or the one report of the shards of a run.

    Nothing is made or changed.

    Raises:
        RunDocumentError: One cannot be found or read, or they are no shards of one run.
    """
    if state_dir is None:
        from evalrunner.suite.config import load_project  # a run has its state folder already

        state_dir = load_project(start or Path.cwd(), config=config).root / NAME
    state = StateDir(state_dir)
    return merge([load_run(name, state) for name in names])


def failed_in(report: RunReport) -> frozenset[str]:
    """The ids of the cases that did not pass: those of ``--only-failed``."""
    return frozenset(case.case.id for case in report.cases if case.outcome is not Outcome.PASSED)


def _read(name: str, state: StateDir) -> RunReport:
    path = state.resolve_run(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunDocumentError(
            f"the run document {str(path)!r} cannot be read: {error.strerror or error}"
        ) from None
    return from_json(data, name=str(path))
