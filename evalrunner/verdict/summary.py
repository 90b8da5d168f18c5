"""Cases become sums: one at a time, or many through one accumulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseResult, ChargedCall, Outcome, RunReport
from evalrunner.values.spec import RepeatSpec
from evalrunner.values.summary import ModelTally, Spent, Summary, Tally

ONE_DRAW = RepeatSpec()


def tally(case: CaseResult) -> Summary:
    """The figures of one case; the sum over cases is :func:`summarise` of them."""
    return summarise((case,))


def summarise(cases: Iterable[CaseResult]) -> Summary:
    """The figures of all cases. Order does not matter, and nothing at all gives ``Summary()``."""
    suites: dict[str, _SuiteSums] = {}
    for case in cases:
        name = case.case.suite
        sums = suites.get(name)
        if sums is None:
            sums = suites[name] = _SuiteSums()
        sums.add(case)
    return Summary(by_suite={name: sums.tally() for name, sums in suites.items()})


def summary_of(report: RunReport) -> Summary:
    """The figures of a report: those of its cases, or the kept ones where cases are not at hand."""
    if report.summary is not None:
        return report.summary
    return with_left_out(summarise(report.cases), report.left_out)


def with_left_out(sums: Summary, left_out: Mapping[str, int]) -> Summary:
    """The same figures, and of each suite what the cases that a sample left out would have cost.

    They are taken to cost what those that were looked at do, every call of them on the target::

        sampling = (nominal + tiering) / cases looked at * cases left out

    A case that was skipped or not run was not looked at. Where nothing got a verdict, or a price is
    unknown, the estimate is unknown.

    Args:
        sums: The figures of the cases that were taken.
        left_out: How many were not, by suite.
    """
    more = {
        name: Tally(left_out=count, sampling=_sampling(sums.by_suite.get(name, Tally()), count))
        for name, count in left_out.items()
        if count
    }
    return sums + Summary(by_suite=more) if more else sums


def _sampling(part: Tally, left_out: int) -> Spent:
    whole = (part.nominal + part.tiering).amount
    looked_at = part.passed + part.failed + part.errored
    if whole is None or not part.passed + part.failed:
        return Spent(unknown=1)
    return Spent(known=round(Fraction(whole * left_out, looked_at)))


def from_store(part: Tally) -> Tally:
    """The same figures for a run whose every request was answered by the store."""
    models = {
        name: replace(
            model,
            hits=model.hits + model.calls - model.verified,
            calls=0,
            verified=0,
            differed=0,
            input_tokens=0,
            output_tokens=0,
            incurred=Spent(),
        )
        for name, model in part.by_model.items()
    }
    return replace(
        part,
        hits=part.hits + part.misses + part.shared - part.verified,
        misses=0,
        shared=0,
        misses_by_cause={},
        calls_by_tier={},
        by_model=models,
        incurred=Spent(),
    )


def reason_word(case: CaseResult) -> str:
    """The case's reason as plain text, to compare with a known word; never to be shown."""
    reason = case.reason
    return reason.raw if isinstance(reason, ModelText) else reason or ""


def row_outcomes(cases: Iterable[CaseResult], repeat: RepeatSpec = ONE_DRAW) -> dict[str, Outcome]:
    """The verdict of each row (per prompt and target) over its draws, by the id of draw 0.

    Where a suite draws once, each case is a row of its own. A row passes once the required number
    of draws passed, and fails once that number is out of reach. While neither holds, draws without
    a verdict leave the row errored, or not run where no draw was errored: it never counts as passed.
    """
    if repeat.n <= 1:
        return {case.case.id: case.outcome for case in cases}
    draws: dict[str, list[Outcome]] = {}
    for case in cases:
        draws.setdefault(row_key(case), []).append(case.outcome)
    return {key: _row_outcome(outcomes, repeat) for key, outcomes in draws.items()}


def row_key(case: CaseResult) -> str:
    """The id that all draws of one row share."""
    ref = case.case
    return ref.id.removesuffix(f"#{ref.repeat}") if ref.repeat else ref.id


def count(outcomes: Mapping[str, Outcome]) -> tuple[int, int]:
    """How many rows passed, and how many got a verdict at all (passed or failed)."""
    values = list(outcomes.values())
    passed = values.count(Outcome.PASSED)
    return passed, passed + values.count(Outcome.FAILED)


def _row_outcome(outcomes: list[Outcome], repeat: RepeatSpec) -> Outcome:
    required = repeat.n if repeat.required is None else repeat.required
    passed, failed = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.FAILED)
    if passed >= required:
        return Outcome.PASSED
    if max(repeat.n, len(outcomes)) - failed < required:
        return Outcome.FAILED
    if outcomes.count(Outcome.SKIPPED) == len(outcomes):
        return Outcome.SKIPPED
    return Outcome.ERRORED if Outcome.ERRORED in outcomes else Outcome.NOT_RUN


class _ModelSums:
    """The mutable form of a :class:`ModelTally`."""

    __slots__ = (
        "calls",
        "differed",
        "hits",
        "incurred",
        "incurred_unknown",
        "input",
        "nominal",
        "nominal_unknown",
        "normalized",
        "output",
        "unmetered",
        "verified",
    )

    def __init__(self) -> None:
        self.hits = self.calls = self.input = self.output = 0
        self.normalized = self.verified = self.differed = self.unmetered = 0
        self.incurred = self.incurred_unknown = self.nominal = self.nominal_unknown = 0

    def add(self, call: ChargedCall) -> None:
        record = call.record
        if record.cached:
            self.hits += 1
            self.normalized += record.normalized
        elif not record.shared:
            self.calls += 1
            self.input += call.input_tokens
            self.output += call.output_tokens
            if record.verified is not None:
                self.verified += 1
                self.differed += record.verified == "differed"
        if record.unmetered:
            self.unmetered += 1
        if record.incurred is None:
            self.incurred_unknown += 1
        else:
            self.incurred += record.incurred
        if record.nominal is None:
            self.nominal_unknown += 1
        else:
            self.nominal += record.nominal

    def tally(self) -> ModelTally:
        return ModelTally(
            hits=self.hits,
            calls=self.calls,
            input_tokens=self.input,
            output_tokens=self.output,
            incurred=Spent(known=self.incurred, unknown=self.incurred_unknown),
            nominal=Spent(known=self.nominal, unknown=self.nominal_unknown),
            normalized=self.normalized,
            verified=self.verified,
            differed=self.differed,
            unmetered=self.unmetered,
        )


class _SuiteSums:
    """The mutable form of a :class:`Tally`."""

    __slots__ = (
        "causes",
        "models",
        "outcomes",
        "reasons",
        "shared",
        "tiering",
        "tiering_unknown",
        "tiers",
    )

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.reasons: dict[str, int] = {}
        self.causes: dict[str, int] = {}
        self.tiers: dict[str, int] = {}
        self.models: dict[str, _ModelSums] = {}
        self.shared = self.tiering = self.tiering_unknown = 0

    def add(self, case: CaseResult) -> None:
        self.outcomes[case.outcome] += 1
        if case.outcome is Outcome.NOT_RUN:
            word = reason_word(case)
            self.reasons[word] = self.reasons.get(word, 0) + 1
        for call in case.records:
            self._charge(call)

    def _charge(self, call: ChargedCall) -> None:
        model = self.models.get(call.endpoint)
        if model is None:
            model = self.models[call.endpoint] = _ModelSums()
        model.add(call)
        record = call.record
        if call.tiering is None:
            self.tiering_unknown += 1
        else:
            self.tiering += call.tiering
        if record.cached:
            return
        if record.shared:
            self.shared += 1
            return
        self.tiers[call.tier.value] = self.tiers.get(call.tier.value, 0) + 1
        if record.miss_cause is not None:
            self.causes[record.miss_cause] = self.causes.get(record.miss_cause, 0) + 1

    def tally(self) -> Tally:
        models = {name: sums.tally() for name, sums in self.models.items()}
        nothing = ModelTally()
        return Tally(
            passed=self.outcomes[Outcome.PASSED],
            failed=self.outcomes[Outcome.FAILED],
            errored=self.outcomes[Outcome.ERRORED],
            skipped=self.outcomes[Outcome.SKIPPED],
            not_run=self.outcomes[Outcome.NOT_RUN],
            hits=sum(sums.hits for sums in self.models.values()),
            misses=sum(sums.calls for sums in self.models.values()),
            shared=self.shared,
            not_run_reasons=self.reasons,
            misses_by_cause=self.causes,
            calls_by_tier=self.tiers,
            by_model={name: part for name, part in models.items() if part != nothing},
            incurred=sum((part.incurred for part in models.values()), Spent()),
            nominal=sum((part.nominal for part in models.values()), Spent()),
            tiering=Spent(known=self.tiering, unknown=self.tiering_unknown),
        )
