"""What is recorded of a run's rows, so that the next run need not look at those that passed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from evalrunner.adapters.state_dir import NAME
from evalrunner.adapters.unchanged_file import write_record
from evalrunner.reports.case_lines import paid_accounts
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.row_lines import row_lines
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project
from evalrunner.values.result import CaseResult, Outcome, RunReport
from evalrunner.values.summary import ModelTally, Spent, Summary, Tally
from evalrunner.verdict.summary import from_store, summarise
from evalrunner.wiring.command import Command
from evalrunner.wiring.known_project import known_form, record_name
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.remember import folders_of, is_closed, is_ordinary, models_of, will_repeat
from evalrunner.wiring.store_mark import identity_of, mark_of
from evalrunner.wiring.suites import Assembly

if TYPE_CHECKING:
    from evalrunner.wiring.reuse import Reuse

_NUMBERED_TWIN: Final = re.compile(r"/[0-9a-f]{12}-\d+(?:@|#|$)")
"""The id of a row that is like an earlier one: another number follows once that one is gone."""

_DIGEST: Final = 32
_TALLIES: Final = ("incurred", "nominal", "tiering", "sampling")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRows:
    """The rows of a suite.

    Attributes:
        digests: What each is known by.
        open: Those that have to be judged again.
        dense: Whether every line of the file was a row.
    """

    digests: Sequence[str]
    open: frozenset[int]
    dense: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRecord:
    """What is known of a run.

    Attributes:
        settings: All that decides, but for the rows.
        models: Files of models, by size and time.
        store: The store's identity.
        run_id: The run whose document has the cases.
        sha256: That document's digest.
        paid: How many accounts in it are of answers that were asked for.
        suites: The rows.
        summary: The sums over all rows that are not open, as the next run has them.
        known: The project and the suites as they were read; ``None`` where they have to be read anew.
    """

    settings: Mapping[str, Any]
    models: Mapping[str, Any]
    store: str
    run_id: str
    sha256: str
    paid: int
    suites: Mapping[str, SuiteRows]
    summary: Summary
    known: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> RowsRecord:
        """The record as it was written."""
        suites = {
            name: SuiteRows(
                digests=_cut(one["rows"]), open=frozenset(one["open"]), dense=one["dense"]
            )
            for name, one in found["suites"].items()
        }
        sums = {name: _tally(one) for name, one in found["sums"].items()}
        own = {name: found[name] for name in ("settings", "models", "store")}
        run = {name: found[name] for name in ("run_id", "sha256", "paid")}
        return cls(**own, **run, suites=suites, summary=Summary(by_suite=sums))

    def as_json(self) -> dict[str, object]:
        """The record, to be written."""
        return {
            "settings": self.settings,
            "models": self.models,
            "store": self.store,
            "run_id": self.run_id,
            "sha256": self.sha256,
            "paid": self.paid,
            "suites": {
                name: {
                    "rows": "".join(one.digests),
                    "open": sorted(one.open),
                    "dense": one.dense,
                }
                for name, one in self.suites.items()
            },
            "known": self.known,
            "sums": {name: asdict(part) for name, part in self.summary.by_suite.items()},
        }


def _cut(digests: str) -> list[str]:
    return [digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)]


def _tally(found: Mapping[str, Any]) -> Tally:
    fields: dict[str, Any] = {**found, **{name: Spent(**found[name]) for name in _TALLIES}}
    fields["by_model"] = {name: _model_tally(one) for name, one in found["by_model"].items()}
    return Tally(**fields)


def _model_tally(found: Mapping[str, Any]) -> ModelTally:
    fields: dict[str, Any] = {
        **found,
        "incurred": Spent(**found["incurred"]),
        "nominal": Spent(**found["nominal"]),
    }
    return ModelTally(**fields)


def record_key(command: Command, project: Project) -> str | None:
    """The name of the record of this command line.

    ``None`` where it chooses among the cases, or the project is not of the ordinary layout.
    """
    if command.state_dir is not None or not is_ordinary(command, project, project.root / NAME):
        return None
    return record_name(command, project.root)


def settings_of(
    command: Command, project: Project, loaded: Sequence[LoadedSuite]
) -> dict[str, object]:
    """All that decides about rows but themselves: every file that was read, every place looked at."""
    files = {
        file.path: file.sha256
        for one in loaded
        for file in one.files
        if file not in one.goldens.files
    }
    files |= {file.path: file.sha256 for file in project.files}
    goldens = {one.suite.name: [file.path for file in one.goldens.files] for one in loaded}
    return {"files": files, "goldens": goldens, "folders": folders_of(command, project)}


def remember_rows(
    command: Command,
    report: RunReport,
    document_sha256: str,
    *,
    opened: Opened,
    assembly: Assembly,
    reuse: Reuse | None,
) -> None:
    """Records the rows of a run whose document has been written, if the next run can be sure of them."""
    project, state, store, loaded = assembly.project, opened.state, opened.store, opened.loaded
    key = record_key(command, project)
    mark = mark_of(project, os.environ)
    if key is None or mark is None or store is None or command.frozen:
        return
    shared = any(call.record.shared for case in report.cases for call in case.records)
    twins = any(_NUMBERED_TWIN.search(case.case.id) for case in report.cases)
    if shared or twins or not is_closed(project, loaded, assembly):
        return
    identity = identity_of(project, mark, str(state.cache), os.environ)
    if mark and (not identity or store.stats().degraded):
        return
    suites = _suites(project, loaded, report.cases, reuse)
    if suites is None:
        return
    record = RowsRecord(
        settings=settings_of(command, project, loaded),
        models=models_of(assembly),
        store=identity,
        run_id=report.run.id,
        sha256=document_sha256,
        paid=sum(map(paid_accounts, report.cases)),
        suites=suites,
        summary=_sums(report.cases, suites, reuse),
        known=known_form(project, loaded),
    )
    write_record(str(state.cache), key, record.as_json())


def _suites(
    project: Project,
    loaded: Sequence[LoadedSuite],
    cases: Sequence[CaseResult],
    reuse: Reuse | None,
) -> dict[str, SuiteRows] | None:
    """Which rows there are, and which are open; ``None`` where two are alike or a row is no line."""
    open_rows: dict[str, set[int]] = {one.suite.name: set() for one in loaded}
    for case in cases:
        if case.outcome is not Outcome.PASSED or not will_repeat(case):
            open_rows[case.case.suite].add(case.case.row)
    digests = _digests(project, loaded) if reuse is None else reuse.digests
    if digests is None:
        return None
    return {
        name: SuiteRows(digests=found, open=frozenset(open_rows[name]), dense=dense)
        for name, (found, dense) in digests.items()
    }


def _digests(
    project: Project, loaded: Sequence[LoadedSuite]
) -> dict[str, tuple[Sequence[str], bool]] | None:
    found: dict[str, tuple[Sequence[str], bool]] = {}
    for one in loaded:
        lines = row_lines(one.goldens, project.root)
        if lines is None:
            return None
        digests = lines.digests()
        if len(set(digests)) != len(digests):
            return None
        found[one.suite.name] = digests, lines.dense
    return found


def _sums(
    cases: Sequence[CaseResult], suites: Mapping[str, SuiteRows], reuse: Reuse | None
) -> Summary:
    closed = (case for case in cases if case.case.row not in suites[case.case.suite].open)
    found = stored(summarise(closed))
    return found if reuse is None else reuse.kept.summary + found


def stored(summary: Summary) -> Summary:
    """The figures of the same cases, once every request of them is answered by the store."""
    return Summary(by_suite={name: from_store(part) for name, part in summary.by_suite.items()})
