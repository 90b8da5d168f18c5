"""Writes down which answers a run has used, so that those that nobody uses can go one day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalrunner.adapters.state_dir import StateDir
from evalrunner.adapters.uses_file import note_run
from evalrunner.engine.ports import CacheStore
from evalrunner.reports.case_lines import fingerprints_in
from evalrunner.values.result import RunReport

if TYPE_CHECKING:
    from evalrunner.wiring.reuse import Reuse


def remember_uses(
    report: RunReport, *, state: StateDir, store: CacheStore | None, reuse: Reuse | None = None
) -> None:
    """Says that the run's answers are used now.

    Args:
        report: The run.
        state: Where that is written down.
        store: Where the answers are kept; without one nothing is written.
        reuse: The rows that were taken over, whose answers are used too.
    """
    if store is None:
        return
    folder, run_id = str(state.cache), report.run.id
    asked = {call.record.fingerprint for case in report.cases for call in case.records}
    if reuse is None:
        note_run(folder, run_id, asked)
    elif not note_run(folder, run_id, asked, along=reuse.record.run_id):
        note_run(folder, run_id, asked.union(fingerprints_in(reuse.earlier.lines)))
