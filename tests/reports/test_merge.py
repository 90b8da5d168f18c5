from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from evalrunner.errors import RunDocumentError
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.merge import merge
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.money import Picodollars
from evalrunner.values.result import Decision, Failure, GateDecision, Outcome, RunReport
from evalrunner.values.spec import GateSpec
from evalrunner.verdict.gates import decide
from evalrunner.verdict.summary import summarise
from tests.reports.samples import case, sample

P, F, E = Outcome.PASSED, Outcome.FAILED, Outcome.ERRORED
CASES = [case(f"r{index}", F if index == 3 else P, line=index + 1) for index in range(8)]


def shard(index: int, count: int, cases: list, **gate: object) -> RunReport:  # type: ignore[type-arg]
    """One shard's report, with its own verdict, as a run would have written it."""
    specs = {"support-replies": GateSpec(**gate)}  # type: ignore[arg-type]
    verdict = decide(cases, specs)
    run = replace(
        sample().run,
        id=f"run-{index}",
        shard=f"{index}/{count}",
        finished_at=f"2026-11-22T17:15:{10 + index}Z",
        exit_code=int(verdict.exit_code),
    )
    return RunReport(
        run=run,
        cases=tuple(cases),
        gates=verdict.gates,
        failures=verdict.failures,
        gate_specs=specs,
        possibly_paid=Picodollars(index),
        warnings=("same", f"of {index}"),
    )


def test_shards_become_the_run_they_are_parts_of() -> None:
    gate = {"min_pass_rate": Decimal("0.8")}
    parts = [shard(index, 3, CASES[index - 1 :: 3], **gate) for index in (1, 2, 3)]
    assert [part.run.exit_code for part in parts] == [1, 0, 0]
    whole = merge(parts)
    alone = shard(1, 1, CASES, **gate)
    assert whole.cases == alone.cases
    assert (whole.gates, whole.failures) == (alone.gates, alone.failures)
    assert (whole.run.exit_code, whole.run.shard) == (0, None)
    assert summarise(whole.cases) == summarise(CASES)
    assert whole.possibly_paid == 6
    assert whole.warnings == ("same", "of 1", "of 2", "of 3")


def test_the_order_of_documents_does_not_matter() -> None:
    parts = [shard(index, 3, CASES[index - 1 :: 3]) for index in (1, 2, 3)]
    whole = merge(parts)
    random.Random(3).shuffle(parts)
    other = merge(parts)
    assert (other.cases, other.gates, other.failures) == (whole.cases, whole.gates, whole.failures)
    assert other.run.id == whole.run.id


def test_a_merged_report_is_a_document() -> None:
    whole = merge([shard(1, 2, CASES[:4]), shard(2, 2, CASES[4:])])
    read = from_json(to_json(whole), name="merged.json")
    assert read == whole


def test_a_case_twice_counts_once() -> None:
    whole = merge([shard(1, 2, CASES[:5]), shard(2, 2, CASES[4:])])
    assert summarise(whole.cases).total.cases == 8


def test_a_case_with_two_outcomes_is_refused() -> None:
    other = [replace(CASES[0], outcome=F), *CASES[4:]]
    with pytest.raises(RunDocumentError, match=r"r0.*passed.*run-1.*failed.*run-2"):
        merge([shard(1, 2, CASES[:4]), shard(2, 2, other)])


def test_two_gates_for_one_suite_are_refused() -> None:
    with pytest.raises(RunDocumentError, match="disagree about the gate"):
        merge([shard(1, 2, CASES[:4]), shard(2, 2, CASES[4:], min_pass_rate=Decimal(0))])


def test_a_missing_shard_is_never_a_pass() -> None:
    whole = merge([shard(1, 3, CASES[4:5]), shard(3, 3, CASES[5:])])
    assert whole.run.exit_code == ExitCode.INFRASTRUCTURE
    assert "2/3" in whole.failures[0].message


@pytest.mark.parametrize("text", ["1/9999999999", "1/x", "1/", "/", "9" * 5000 + "/" + "9" * 5000])
def test_an_odd_shard_name_does_no_harm(text: str) -> None:
    parts = [shard(1, 2, CASES[4:6]), shard(2, 2, CASES[6:])]
    odd = replace(parts[0], run=replace(parts[0].run, shard=text))
    assert merge([odd, parts[1]]).run.exit_code == 6  # 1/2 is still missing


def test_regressions_add_up_and_other_gates_keep_their_worst() -> None:
    def with_gates(part: RunReport, regressions: int, ratio: Decision) -> RunReport:
        extra = (
            GateDecision(
                name="regressions",
                decision=Decision.PASS,
                suite="support-replies",
                observed=str(regressions),
                limit="1",
            ),
            GateDecision(name="testing_to_inference", decision=ratio, detail=ratio.value),
        )
        return replace(part, gates=(*part.gates, *extra))

    parts = [
        with_gates(shard(1, 2, CASES[4:6]), 1, Decision.PASS),
        with_gates(shard(2, 2, CASES[6:]), 1, Decision.INCONCLUSIVE),
    ]
    whole = merge(parts)
    found = {gate.name: gate.decision for gate in whole.gates}
    assert found["regressions"] is Decision.FAIL
    assert found["testing_to_inference"] is Decision.INCONCLUSIVE
    assert [failure.code for failure in whole.failures] == [4, 1]
    assert merge(parts, warn_only=True).run.exit_code == 0


def test_what_cases_cannot_tell_is_carried_over() -> None:
    stopped = Failure(code=ExitCode.TERMINATED, rule="signal", message="told to stop")
    parts = [shard(1, 2, CASES[4:6]), shard(2, 2, CASES[6:])]
    whole = merge([replace(parts[0], failures=(stopped,)), parts[1]])
    assert whole.run.exit_code == ExitCode.TERMINATED


def test_one_report_is_itself_and_none_is_refused() -> None:
    assert merge([sample()]) == sample()
    with pytest.raises(RunDocumentError):
        merge([])


def test_hostile_regressions_are_refused() -> None:
    gate = GateDecision(name="regressions", decision=Decision.PASS, observed="x", limit="1")
    parts = [replace(shard(index, 2, CASES[4:]), gates=(gate,)) for index in (1, 2)]
    with pytest.raises(RunDocumentError, match="no whole numbers"):
        merge(parts)


def test_refused_shards_did_not_stop_in_mid_run() -> None:
    left = [case("a", Outcome.NOT_RUN, reason="budget"), case("b")]
    budget = GateDecision(name="budget", decision=Decision.FAIL, detail="expected $9, ceiling $5")
    refused = Failure(code=ExitCode.COST, rule="budget", message="expected $9, ceiling $5")
    stopped = Failure(code=ExitCode.CEILING, rule="budget", message="1 case not run (budget)")
    parts = [
        replace(shard(index, 2, left), gates=(budget,), failures=(refused,)) for index in (1, 2)
    ]
    assert merge(parts).run.exit_code == ExitCode.COST
    parts[0] = replace(parts[0], failures=(refused, stopped))
    assert merge(parts).run.exit_code == ExitCode.CEILING


def test_what_shards_left_out_adds_up_and_what_two_whole_runs_left_out_is_the_same() -> None:
    parts = [shard(index, 2, CASES[index - 1 :: 2]) for index in (1, 2)]
    parts = [replace(part, left_out={"support-replies": 3}) for part in parts]
    assert merge(parts).left_out == {"support-replies": 6}
    whole = [replace(part, run=replace(part.run, shard=None)) for part in parts]
    assert merge(whole).left_out == {"support-replies": 3}
    assert from_json(to_json(merge(parts)), name="x").left_out == {"support-replies": 6}
