from __future__ import annotations

import pytest

from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import Failure, Outcome, RunInfo, RunReport
from evalrunner.wiring.action_outcome import no_outputs, outcome_of, outputs_of, step_code
from tests.verdict.cases import case

P, F, N = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN


def report(code: int, *outcomes: Outcome, codes: tuple[int, ...] = ()) -> RunReport:
    info = RunInfo(
        id="r", started_at="", finished_at="", evalrunner="1", git=None, argv=(), exit_code=code
    )
    cases = [
        case(f"s/{number}", each, reason="frozen_miss" if each is N else None)
        for number, each in enumerate(outcomes)
    ]
    failures = tuple(Failure(code=ExitCode(each), rule="r", message="m") for each in codes)
    return RunReport(run=info, cases=cases, failures=failures)


@pytest.mark.parametrize(
    ("found", "outcome", "on_failure", "on_incomplete", "never"),
    [
        (report(0, P), "passed", 0, 0, 0),
        (report(0, P, N), "incomplete", 0, 0, 0),  # --warn-only, say: still never "passed"
        (report(1, P, F, codes=(1,)), "failed", 1, 1, 0),
        (report(3, N, codes=(3,)), "failed", 3, 3, 0),
        (report(7, P, N, codes=(7,)), "incomplete", 0, 7, 0),
        (report(7, N, codes=(7, 4)), "incomplete", 0, 7, 0),
        (report(7, F, N, codes=(7, 1)), "failed", 7, 7, 0),
        (report(6, P, codes=(6,)), "error", 6, 6, 6),
        (report(143, P, N, codes=(143,)), "error", 143, 143, 143),
    ],
)
def test_the_step_ends_as_its_run_did(
    found: RunReport, outcome: str, on_failure: int, on_incomplete: int, never: int
) -> None:
    assert outcome_of(found) == outcome
    codes = [
        step_code(found, fail_on=word, expected_misses=True)
        for word in ("failure", "incomplete", "never")
    ]
    assert codes == [on_failure, on_incomplete, never]


def test_misses_that_nobody_expected_fail() -> None:
    found = report(7, N, codes=(7,))
    assert step_code(found, fail_on="failure", expected_misses=False) == 7


def test_the_outputs_are_the_declared_ones_and_each_is_one_line() -> None:
    outputs = outputs_of(report(1, P, F, N, codes=(1,)), "failed", report_path="/r/run.json")
    assert outputs.keys() == no_outputs().keys() and len(outputs) == 12
    assert outputs["pass-rate"] == "0.500000" and outputs["not-run"] == "1"
    assert not any("\n" in value for value in outputs.values())
