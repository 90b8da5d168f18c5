"""Why a run had to ask: each miss compared with the run before, and the causes added up."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.replay import StoreReader
from evalrunner.values.cause import Cause, Explained, MissGroup
from evalrunner.values.inputs import Inputs
from evalrunner.values.result import CaseRef, CaseResult, RunInfo
from evalrunner.verdict.causes import (
    Circumstances,
    MissCounts,
    explain_case,
    is_miss,
    with_causes,
)
from evalrunner.verdict.components import Side
from evalrunner.wiring.command import Command
from evalrunner.wiring.earlier import EarlierCases, earlier_cases, kept_documents
from evalrunner.wiring.opening import Opened
from evalrunner.wiring.reuse import Reuse
from evalrunner.wiring.suites import Assembly


class MissNotes:
    """Notes the cause of each miss of a run, case after case.

    Earlier runs are read at the first case that has one.

    Args:
        run: The run.
        inputs: What its requests are made of.
        around: What decides beside the questions.
        state: Where earlier runs are.
        reuse: Rows that were taken over, whose run is then the one to compare with.
    """

    def __init__(
        self,
        run: RunInfo,
        inputs: Inputs | None,
        around: Circumstances,
        state: StateDir,
        reuse: Reuse | None = None,
    ) -> None:
        self._run = run
        self._inputs = inputs
        self._around = around
        self._state = state
        self._reuse = reuse
        self._wanted: dict[str, CaseRef] = {}
        self._present: Collection[str] = ()
        self._earlier: EarlierCases | None = None
        self._counts = MissCounts()

    def expect(self, cases: Iterable[CaseRef], present: Collection[str]) -> None:
        """Says which cases may have a miss, and the ids of all cases of the run."""
        self._wanted = {case.id: case for case in cases}
        self._present = present

    def noted(self, case: CaseResult) -> CaseResult:
        """The case with the cause of each of its misses on its account, and counted."""
        misses = [call.record for call in case.records if is_miss(call.record)]
        if not misses and case.unasked is None:
            return case
        if case.unasked is None and all(record.miss_cause for record in misses):
            self._counts.add_known(misses)
            return case
        if self._earlier is None:
            self._earlier = self._found()
            self._around = replace(self._around, history=self._earlier.history)
        found = explained_case(self._run, self._inputs, case, self._earlier, self._around)
        self._counts.add(case, found)
        return with_causes(case, found)

    @property
    def groups(self) -> tuple[MissGroup, ...]:
        """The misses that were noted, by cause and place."""
        return self._counts.groups

    def _found(self) -> EarlierCases:
        runs = (
            kept_documents(self._state)
            if self._reuse is None
            else [(self._reuse.record.run_id, self._reuse.left)]
        )
        return earlier_cases(self._wanted, self._present, runs)


def circumstances(
    command: Command, opened: Opened, assembly: Assembly, reader: StoreReader
) -> Circumstances:
    """What decides about this run's misses beside its questions, as far as is known by now."""
    turned_away = opened.store.stats().turned_away if opened.store is not None else {}
    return Circumstances(
        no_cache=command.no_cache,
        again=command.asked_again,
        expired=reader.expired,
        turned_away=turned_away,
        uncached=assembly.uncached,
    )


def known_cause(command: Command, state: StateDir, assembly: Assembly) -> str | None:
    """Why every question of a run is a miss, where that is known beforehand: it is the first one here."""
    unusual = command.no_cache or command.verify_sample or assembly.uncached
    return None if unusual or state.run_ids() else Cause.FIRST_RUN.value


def has_miss(case: CaseResult) -> bool:
    """Whether the case asked somebody, or would have had to."""
    return case.unasked is not None or any(is_miss(call.record) for call in case.records)


def explained_case(
    run: RunInfo,
    inputs: Inputs | None,
    case: CaseResult,
    earlier: EarlierCases,
    around: Circumstances,
) -> list[Explained]:
    """Every request of a case of the run."""
    now = Side(run=run, case=case, inputs=inputs)
    name = case.case.id
    return explain_case(now, earlier.sides.get(name), around, drawn=name in earlier.drawn)
