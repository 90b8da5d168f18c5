"""What changed from one run to another, case by case: regressions, flaky cases, weakened checks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseResult, CheckResult, Estimate, Outcome, RunReport
from evalrunner.verdict.compare import compare
from evalrunner.verdict.paired import PairedDifference, paired_difference, sign_flip_p
from evalrunner.verdict.stats import pass_rate
from evalrunner.verdict.summary import ONE_DRAW, count, row_key, row_outcomes

ALPHA: Final = 0.05
"""How often two equal runs may be called different."""

_VERDICTS: Final = (Outcome.PASSED, Outcome.FAILED)
_Draws: TypeAlias = Mapping[str, Sequence[CaseResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """One row whose verdict changed.

    Attributes:
        id: The row's id, with its prompt and target.
        suite: Its suite.
        check: The check that failed, in whichever run it did.
        reason: Why it failed there.
        flaky: Whether chance alone may explain it: draws of one run disagree, or the same question
            got different verdicts.
    """

    id: str
    suite: str
    check: str = ""
    reason: str | ModelText = ""
    flaky: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckChange:
    """A check that a suite asks for no longer, or otherwise, and in how many rows."""

    suite: str
    type: str
    change: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """How probable the observed change is by chance: that much worse, that much better."""

    worse: float
    better: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """A base run and a head run, paired by row.

    Attributes:
        regressions: Passed in the base, failed in the head; flaky ones last.
        improvements: Failed in the base, passed in the head.
        undecided: In both, but without a verdict in one of them.
        added: Only in the head.
        removed: Only in the base.
        unchanged: How many kept their verdict.
        checks: Checks that were removed or changed.
        base_rate: The base's pass rate over the rows with a verdict in both.
        head_rate: The head's, over the same rows.
        chance: The exact test over all suites, by golden row.
        by_suite: The same for each suite.
        score: The mean paired difference of the rows' scores, clustered by golden row.
        alpha: The level of the test.
    """

    regressions: tuple[CaseChange, ...]
    improvements: tuple[CaseChange, ...]
    undecided: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    checks: tuple[CheckChange, ...]
    base_rate: Estimate
    head_rate: Estimate
    chance: Significance
    by_suite: Mapping[str, Significance]
    score: PairedDifference | None
    alpha: float

    @property
    def worse(self) -> bool:
        """Whether the head is significantly worse: chance does so at most *alpha* of the time."""
        return self.chance.worse <= self.alpha

    @property
    def better(self) -> bool:
        """Whether the head is significantly better."""
        return self.chance.better <= self.alpha

    @property
    def firm_regressions(self) -> int:
        """Regressions that are not flaky."""
        return sum(not change.flaky for change in self.regressions)


def compare_runs(
    base: RunReport, head: RunReport, *, history: Iterable[RunReport] = (), alpha: float = ALPHA
) -> RunChanges:
    """Pairs two runs by row.

    Args:
        base: What to compare with.
        head: What is judged.
        history: Further runs of the base, which show what is flaky.
        alpha: How often two equal runs may be called different, above 0 and below 1.
    """
    before, after = _outcomes(base), _outcomes(head)
    paired = compare(before, after)
    old, new = _draws(base), _draws(head)
    past = [_draws(run) for run in history]
    decided = sorted(key for key in before.keys() & after.keys() if _both(before[key], after[key]))
    flips = {key: _flip(before[key], after[key]) for key in decided}
    chance, by_suite = _chances(flips, new)
    return RunChanges(
        regressions=_changes(paired.regressions, failed=new, other=old, past=past),
        improvements=_changes(paired.improvements, failed=old, other=new, past=past),
        undecided=paired.undecided,
        added=paired.added,
        removed=paired.removed,
        unchanged=paired.unchanged,
        checks=_check_changes(old, new),
        base_rate=pass_rate(*count({key: before[key] for key in decided}), 1 - alpha),
        head_rate=pass_rate(*count({key: after[key] for key in decided}), 1 - alpha),
        chance=chance,
        by_suite=by_suite,
        score=paired_difference(_score_differences(decided, old, new), 1 - alpha),
        alpha=alpha,
    )


def _outcomes(report: RunReport) -> dict[str, Outcome]:
    """The verdict of every row of a run."""
    suites: dict[str, list[CaseResult]] = {}
    for case in report.cases:
        suites.setdefault(case.case.suite, []).append(case)
    found: dict[str, Outcome] = {}
    for name, cases in suites.items():
        found |= row_outcomes(cases, report.repeats.get(name, ONE_DRAW))
    return found


def _draws(report: RunReport) -> dict[str, list[CaseResult]]:
    """The cases of every row, under the ids of :func:`_outcomes`."""
    found: dict[str, list[CaseResult]] = {}
    for case in report.cases:
        repeated = report.repeats.get(case.case.suite, ONE_DRAW).n > 1
        found.setdefault(row_key(case) if repeated else case.case.id, []).append(case)
    return found


def _flip(before: Outcome, after: Outcome) -> int:
    """1 for a pass gained, -1 for a pass lost."""
    return (after is Outcome.PASSED) - (before is Outcome.PASSED)


def _both(before: Outcome, after: Outcome) -> bool:
    return before in _VERDICTS and after in _VERDICTS


def _chances(
    flips: Mapping[str, int], draws: _Draws
) -> tuple[Significance, dict[str, Significance]]:
    """The test over everything, and over each suite; what belongs to one golden row is one cluster."""
    suites: dict[str, Counter[str]] = {}
    for key, flip in flips.items():
        ref = draws[key][0].case
        suites.setdefault(ref.suite, Counter())[ref.row_id] += flip
    by_suite = {name: _significance(rows.values()) for name, rows in sorted(suites.items())}
    return _significance(flip for rows in suites.values() for flip in rows.values()), by_suite


def _significance(flips: Iterable[int]) -> Significance:
    worse, better = sign_flip_p(flips)
    return Significance(worse=worse, better=better)


def _changes(
    keys: Iterable[str], *, failed: _Draws, other: _Draws, past: Sequence[_Draws]
) -> tuple[CaseChange, ...]:
    """The rows of these keys, with what failed in the run where it did; flaky ones last."""
    found = [_change(key, failed[key], other[key], past) for key in keys]
    return tuple(sorted(found, key=lambda change: (change.flaky, change.id)))


def _change(
    key: str, failed: Sequence[CaseResult], other: Sequence[CaseResult], past: Sequence[_Draws]
) -> CaseChange:
    case = next((each for each in failed if each.outcome is Outcome.FAILED), failed[0])
    check = next((each for each in case.checks if each.outcome is Outcome.FAILED), None)
    earlier = [draw for run in past for draw in run.get(key, ())]
    return CaseChange(
        id=key,
        suite=case.case.suite,
        check=check.type if check else "",
        reason=(check.reason if check else case.reason) or "",
        flaky=_is_flaky(failed, earlier) or _is_flaky(other, earlier) or _same(case, other[0]),
    )


def _is_flaky(draws: Sequence[CaseResult], earlier: Iterable[CaseResult]) -> bool:
    """Whether one question got both verdicts: in several draws, or in an earlier run."""
    verdicts = {each.outcome for each in draws}
    verdicts |= {each.outcome for each in earlier if _same(each, draws[0])}
    return verdicts.issuperset(_VERDICTS)


def _same(left: CaseResult, right: CaseResult) -> bool:
    """Whether both cases asked the same of the same model and looked at it with the same checks."""
    if left.subject is None or right.subject is None:
        return False
    same_question = left.subject.record.fingerprint == right.subject.record.fingerprint
    return same_question and _asked(left) == _asked(right)


def _asked(case: CaseResult) -> list[tuple[object, ...]]:
    return [(*_named(check), check.threshold, check.weight) for check in case.checks]


def _named(check: CheckResult) -> tuple[str, str, str]:
    """What tells a check from the others of its row."""
    return check.type, check.metric or "", json.dumps(check.value, sort_keys=True)


def _check_changes(old: _Draws, new: _Draws) -> tuple[CheckChange, ...]:
    """Checks that rows of both runs had, and have no longer or otherwise."""
    found: Counter[tuple[str, str, str]] = Counter()
    for key in old.keys() & new.keys():
        suite = new[key][0].case.suite
        for check, change in _row_changes(old[key][0].checks, new[key][0].checks):
            found[suite, check.type, change] += 1
    return tuple(
        CheckChange(suite=suite, type=kind, change=change, rows=rows)
        for (suite, kind, change), rows in sorted(found.items())
    )


def _row_changes(
    old: Sequence[CheckResult], new: Sequence[CheckResult]
) -> Iterator[tuple[CheckResult, str]]:
    """Each check of a row that changed, paired with the one that took its place, if one did."""
    left = list(new)
    for check in old:
        match = _match(check, left)
        if match is None:
            yield check, "removed"
            continue
        left.remove(match)
        if match.threshold != check.threshold:
            yield check, f"threshold {_shown(check.threshold)} to {_shown(match.threshold)}"
        if match.weight != check.weight:
            yield check, f"weight {check.weight:g} to {match.weight:g}"
        if _named(match) != _named(check):
            yield check, "value changed"


def _match(check: CheckResult, candidates: Sequence[CheckResult]) -> CheckResult | None:
    """The same check, else one of the same type under the same metric."""
    same = (each for each in candidates if _named(each) == _named(check))
    alike = (each for each in candidates if _named(each)[:2] == _named(check)[:2])
    return next(same, None) or next(alike, None)


def _shown(threshold: float | None) -> str:
    return "none" if threshold is None else f"{threshold:g}"


def _score_differences(keys: Iterable[str], old: _Draws, new: _Draws) -> dict[str, list[float]]:
    """Head minus base of the rows' mean scores, by golden row."""
    found: dict[str, list[float]] = {}
    for key in keys:
        difference = _score(new[key]) - _score(old[key])
        found.setdefault(new[key][0].case.row_id, []).append(difference)
    return found


def _score(draws: Sequence[CaseResult]) -> float:
    """The mean over the draws with a verdict, 0 to 1."""
    scores = [_case_score(draw) for draw in draws if draw.outcome in _VERDICTS]
    return sum(scores) / len(scores)


def _case_score(case: CaseResult) -> float:
    """The weighted mean of its checks' scores; of a case without any, 1 or 0 for its verdict."""
    scored = [(check.score, check.weight) for check in case.checks if check.score is not None]
    weight = sum(weight for _, weight in scored)
    if weight <= 0:
        return float(case.outcome is Outcome.PASSED)
    return sum(score * weight for score, weight in scored) / weight
