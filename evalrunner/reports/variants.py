"""Prompts and targets of one suite, side by side."""

from __future__ import annotations

from collections.abc import Iterable

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars, total
from evalrunner.values.result import CaseResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One prompt on one target: the cases, the verdicts, the cost and the pace.

    ``nominal`` is what its calls would cost with an empty cache; ``latency_seconds`` the median.
    """

    suite: str
    prompt: str
    target: str
    cases: int
    passed: int
    decided: int
    nominal: Picodollars | None
    latency_seconds: float | None


def variants(cases: Iterable[CaseResult]) -> tuple[Variant, ...]:
    """The variants of each suite that has several, in order of appearance."""
    groups: dict[str, dict[tuple[str, str], list[CaseResult]]] = {}
    for case in cases:
        ref = case.case
        groups.setdefault(ref.suite, {}).setdefault((ref.prompt, ref.target), []).append(case)
    return tuple(
        _variant(suite, prompt, target, found)
        for suite, group in groups.items()
        if len(group) > 1
        for (prompt, target), found in group.items()
    )


def _variant(suite: str, prompt: str, target: str, cases: list[CaseResult]) -> Variant:
    from statistics import median  # only here: few runs compare anything

    outcomes = [case.outcome for case in cases]
    passed = outcomes.count(Outcome.PASSED)
    latencies = [case.subject.response.latency_seconds for case in cases if case.subject]
    return Variant(
        suite=suite,
        prompt=prompt,
        target=target,
        cases=len(cases),
        passed=passed,
        decided=passed + outcomes.count(Outcome.FAILED),
        nominal=total(call.record.nominal for case in cases for call in case.records),
        latency_seconds=median(latencies) if latencies else None,
    )
