"""The documents of a run's shards become one report with one verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final, TypeVar

from evalrunner.errors import RunDocumentError
from evalrunner.values.cause import MissGroup
from evalrunner.values.exit_code import RANK, ExitCode
from evalrunner.values.money import total
from evalrunner.values.result import (
    CaseResult,
    CostEstimate,
    Decision,
    Failure,
    GateDecision,
    RunInfo,
    RunReport,
)
from evalrunner.verdict.gates import (
    PASS_RATE,
    REGRESSIONS,
    exit_code,
    failures,
    merged_regressions,
    suite_gates,
)
from evalrunner.verdict.summary import summarise

V = TypeVar("V")

_NOT_DERIVED: Final = frozenset({ExitCode.USAGE, ExitCode.INTERNAL})
_SIGNALS: Final = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
_WORST_FIRST: Final = (Decision.FAIL, Decision.INCONCLUSIVE, Decision.PASS, Decision.SKIPPED)


def merge(reports: Sequence[RunReport], *, warn_only: bool = False) -> RunReport:
    """One report of several: cases united, sums and gates anew, one exit code.

    A case that several documents hold with one outcome counts once. A shard that is missing
    (``1/3`` and ``3/3`` without ``2/3``) is a failure with code 6, never a silent pass. One report
    alone is returned as it is.

    Raises:
        RunDocumentError: No report; a case with two outcomes; a suite with two gates.
    """
    if not reports:
        raise RunDocumentError("there is nothing to merge", hint="name at least one run document")
    if len(reports) == 1:
        return reports[0]
    cases = _united(reports)
    gate_specs = _agreed("gate", [report.gate_specs for report in reports])
    repeats = _agreed("repeat", [report.repeats for report in reports])
    without_regressions = {
        name: replace(spec, max_regressions=None) for name, spec in gate_specs.items()
    }
    rates = suite_gates(cases, without_regressions, repeats=repeats)
    gates = (*rates, *_further_gates(reports))
    found = _failures(reports, cases, gates)
    last = max(reports, key=lambda report: report.run.finished_at)
    return RunReport(
        run=_run(reports, int(exit_code(found, warn_only=warn_only))),
        cases=cases,
        gates=gates,
        failures=found,
        cost_ratio=last.cost_ratio,
        estimate=CostEstimate(
            expected=total(report.estimate.expected for report in reports),
            maximum=total(report.estimate.maximum for report in reports),
            unmetered=any(report.estimate.unmetered for report in reports),
        ),
        estimates=_estimates(reports),
        cache=replace(
            last.cache,
            damaged=sum(report.cache.damaged for report in reports),
            untrusted=sum(report.cache.untrusted for report in reports),
        ),
        possibly_paid=total(report.possibly_paid for report in reports),
        warnings=tuple(dict.fromkeys(line for report in reports for line in report.warnings)),
        misses=_misses(reports),
        inputs=last.inputs,
        gate_specs=gate_specs,
        repeats=repeats,
        left_out=_left_out(reports),
    )


def _left_out(reports: Sequence[RunReport]) -> dict[str, int]:
    """The cases of each suite that samples left out: each shard's are others, two whole runs' the same."""
    found: dict[str, int] = {}
    for report in reports:
        for name, count in report.left_out.items():
            before = found.get(name, 0)
            found[name] = before + count if report.run.shard else max(before, count)
    return found


def _misses(reports: Sequence[RunReport]) -> tuple[MissGroup, ...]:
    """The groups of all shards; those alike are one."""
    counts: Counter[MissGroup] = Counter()
    for group in (group for report in reports for group in report.misses):
        counts[replace(group, count=0)] += group.count
    return tuple(replace(group, count=count) for group, count in counts.most_common())


def _estimates(reports: Sequence[RunReport]) -> dict[str, CostEstimate]:
    """Each suite's estimate, the parts of its shards added up."""
    names = dict.fromkeys(name for report in reports for name in report.estimates)
    found = {
        name: [report.estimates[name] for report in reports if name in report.estimates]
        for name in names
    }
    return {
        name: CostEstimate(
            expected=total(part.expected for part in parts),
            maximum=total(part.maximum for part in parts),
            unmetered=any(part.unmetered for part in parts),
        )
        for name, parts in found.items()
    }


def _united(reports: Sequence[RunReport]) -> tuple[CaseResult, ...]:
    united: dict[str, tuple[CaseResult, str]] = {}
    for report in reports:
        for case in report.cases:
            before = united.setdefault(case.case.id, (case, report.run.id))
            if before[0].outcome is not case.outcome:
                raise RunDocumentError(
                    f"the case {case.case.id!r} {before[0].outcome} in run {before[1]!r} and "
                    f"{case.outcome} in run {report.run.id!r}",
                    hint="merge the shards of one run; use `evalrunner compare` for two runs",
                )
    ordered = (case for case, _ in united.values())
    return tuple(sorted(ordered, key=lambda case: (case.case.suite, case.case.row, case.case.id)))


def _agreed(word: str, parts: Iterable[Mapping[str, V]]) -> dict[str, V]:
    found: dict[str, V] = {}
    for part in parts:
        for suite, spec in part.items():
            if found.setdefault(suite, spec) != spec:
                raise RunDocumentError(
                    f"the documents disagree about the {word} of suite {suite!r}",
                    hint="merge shards of one commit only",
                )
    return found


def _further_gates(reports: Sequence[RunReport]) -> Iterable[GateDecision]:
    """Regressions add up; of any other gate but the rates the worst decision stands."""
    groups: dict[tuple[str, str | None], list[GateDecision]] = {}
    for report in reports:
        for gate in report.gates:
            if gate.name != PASS_RATE:
                groups.setdefault((gate.name, gate.suite), []).append(gate)
    for (name, _), group in groups.items():
        if name == REGRESSIONS:
            yield _regressions(group)
        else:
            yield min(group, key=lambda gate: _WORST_FIRST.index(gate.decision))


def _regressions(group: Sequence[GateDecision]) -> GateDecision:
    try:
        return merged_regressions(group)
    except ValueError:
        message = f"the regressions of suite {group[0].suite!r} are no whole numbers"
        raise RunDocumentError(message, hint="run the shards again") from None


def _failures(
    reports: Sequence[RunReport], cases: Sequence[CaseResult], gates: Sequence[GateDecision]
) -> tuple[Failure, ...]:
    before = {failure.code for report in reports for failure in report.failures}
    stopped = next((code for code in _SIGNALS if code in before), None)
    derived = [
        failure
        for failure in failures(summarise(cases).total, gates, stopped=stopped)
        # a run that was refused before its start did not stop at a ceiling in mid-run
        if failure.code is not ExitCode.CEILING or failure.code in before
    ]
    carried = [
        failure for report in reports for failure in report.failures if failure.code in _NOT_DERIVED
    ]
    found = dict.fromkeys((*derived, *carried, *_missing_shards(reports)))
    return tuple(sorted(found, key=lambda failure: RANK.index(failure.code)))


def _missing_shards(reports: Sequence[RunReport]) -> Iterable[Failure]:
    shards = {report.run.shard for report in reports if report.run.shard}
    for count in sorted({shard.partition("/")[2] for shard in shards}):
        if not count.isdecimal() or len(count) > 5:
            continue
        missing = {f"{index}/{count}" for index in range(1, int(count) + 1)} - shards
        if missing:
            names = ", ".join(sorted(missing)[:10])
            verb = "is" if len(missing) == 1 else "are"
            yield Failure(
                code=ExitCode.INFRASTRUCTURE,
                rule="missing_shards",
                message=f"{len(missing)} of {count} shards {verb} missing: {names}",
            )


def _run(reports: Sequence[RunReport], code: int) -> RunInfo:
    runs = [report.run for report in reports]
    ids = "\n".join(sorted(run.id for run in runs))
    digest = sha256(ids.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    first = runs[0]
    return replace(
        first,
        id=f"merged-{digest}",
        started_at=min(run.started_at for run in runs),
        finished_at=max(run.finished_at for run in runs),
        git=first.git if all(run.git == first.git for run in runs) else None,
        frozen=any(run.frozen for run in runs),
        shard=None,
        exit_code=code,
        answered_from=None,
    )
