"""The main line: what is kept is not asked, what may not be paid is not asked, and every case has an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.engine.run import run_cases, run_rows
from evalrunner.engine.run_setup import Done, RunSetup
from evalrunner.engine.stored import response_to_bytes
from evalrunner.testing import MemoryLedger, MemoryStore
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.exchange import ModelResponse
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.fingerprint import fingerprint
from evalrunner.values.money import Picodollars
from evalrunner.values.result import Outcome, RunInfo, RunReport
from evalrunner.values.spec import Endpoint, GateSpec, Prompt, Suite
from evalrunner.verdict.summary import summary_of
from tests.engine.builders import COST, ENDPOINTS, answer, case, contains, question, reply
from tests.engine.test_replay import Book

SUITE = Suite(
    name="s",
    path="suites/s.yaml",
    prompts=(Prompt(label="p", template="x"),),
    targets=(),
    checks=(),
)
INFO = RunInfo(id="run", started_at="then", finished_at="", evalrunner="0", git=None, argv=("run",))


@dataclass
class Rig:
    """A run over scripted answers; *answers* is called in the executor's place."""

    script: ModelResponse | None = field(default_factory=lambda: answer("ok"))
    endpoints: dict[str, Endpoint] = field(default_factory=lambda: dict(ENDPOINTS))
    store: MemoryStore = field(default_factory=MemoryStore)
    stopped: int | None = None
    asked: int = 0

    def run(self, count: int = 3, **changes: object) -> RunReport:
        accounts = Accounts(Book(), self.endpoints)
        fields: dict[str, object] = {
            "suites": [SUITE],
            "cases": [case(contains("ok"), text=f"q{i}", number=i) for i in range(count)],
            "reader": StoreReader(self.store, accounts),
            "accounts": accounts,
            "answer": self.answer,
            "ledger": MemoryLedger(),
            "store": self.store,
            "cache_mode": "read-write",
            "info": INFO,
            "now": lambda: "now",
            **changes,
        }
        return run_cases(RunSetup(**fields))  # type: ignore[arg-type]

    def answer(self, cases: Sequence[OpenCase], done: Done) -> int | None:
        for one in cases:
            if self.script is None:
                break
            self.asked += 1
            result = one.send(reply(one.request, self.script))
            assert result is not None
            done(one.index, result)
        return self.stopped


def outcomes(report: RunReport) -> list[Outcome]:
    return [one.outcome for one in report.cases]


def codes(report: RunReport) -> list[int]:
    return [int(failure.code) for failure in report.failures]


def test_everything_holds() -> None:
    rig = Rig()
    report = rig.run()
    assert outcomes(report) == [Outcome.PASSED] * 3
    assert (report.run.exit_code, report.run.finished_at, rig.asked) == (0, "now", 3)
    assert [gate.name for gate in report.gates] == ["pass_rate"]


def test_a_failing_suite() -> None:
    report = Rig(answer("no")).run()
    assert report.run.exit_code == ExitCode.QUALITY
    assert Rig(answer("no")).run(warn_only=True).run.exit_code == ExitCode.OK


def test_what_is_kept_is_not_asked() -> None:
    rig = Rig()
    rig.store.put_many({fingerprint(question("q1")): response_to_bytes(answer("ok"))})
    report = rig.run()
    assert rig.asked == 2
    assert [one.case.row for one in report.cases] == [0, 1, 2], "in the order of the suite"
    total = summary_of(report).total
    assert (total.hits, total.misses) == (1, 2)


def test_a_frozen_run_asks_nobody() -> None:
    rig = Rig()
    report = rig.run(frozen=True, ceilings=Ceilings(run=Picodollars(1)))
    assert (rig.asked, report.run.exit_code) == (0, ExitCode.FROZEN_MISS)
    assert outcomes(report) == [Outcome.NOT_RUN] * 3


def test_a_run_that_is_expected_to_cost_too_much_does_not_start() -> None:
    rig = Rig()
    report = rig.run(ceilings=Ceilings(run=Picodollars(COST)))
    assert (rig.asked, report.run.exit_code) == (0, ExitCode.COST)
    assert codes(report)[0] == ExitCode.COST
    assert ExitCode.CEILING not in codes(report)
    assert "nothing was spent" in report.gates[-1].detail


@pytest.mark.parametrize("changes", [{"preflight": False}, {"warn_only": True}])
def test_the_user_may_start_it_all_the_same(changes: dict[str, object]) -> None:
    rig = Rig()
    rig.run(ceilings=Ceilings(run=Picodollars(COST)), **changes)
    assert rig.asked == 3


def test_a_worst_case_above_the_ceiling_starts_and_says_so() -> None:
    rig = Rig()
    expected = rig.run(count=1).estimate
    assert expected.expected is not None
    assert expected.maximum is not None
    rig = Rig()
    report = rig.run(count=1, ceilings=Ceilings(run=expected.expected))
    assert rig.asked == 1
    assert "would stop at the ceiling" in report.gates[-1].detail


def test_without_a_price_no_ceiling_can_hold() -> None:
    unpriced = {
        name: Endpoint(name=name, provider="x", model=name, identity="{}") for name in ENDPOINTS
    }
    rig = Rig(endpoints=unpriced)
    report = rig.run(ceilings=Ceilings(run=Picodollars(10**12)))
    assert (rig.asked, report.run.exit_code) == (0, ExitCode.INCONCLUSIVE)
    assert Rig(endpoints=unpriced).run().run.exit_code == ExitCode.OK


@pytest.mark.parametrize(("signal", "code"), [(2, 130), (15, 143)])
def test_a_stopped_run_keeps_what_it_has(signal: int, code: int) -> None:
    rig = Rig(None, stopped=signal)
    rig.store.put_many({fingerprint(question("q0")): response_to_bytes(answer("ok"))})
    report = rig.run()
    assert report.run.exit_code == code
    assert outcomes(report) == [Outcome.PASSED, Outcome.NOT_RUN, Outcome.NOT_RUN]
    assert report.cases[1].reason == "interrupted"


def test_nothing_selected() -> None:
    assert Rig().run(count=0).run.exit_code == ExitCode.NOTHING_SELECTED


def test_the_gate_of_the_suite_decides() -> None:
    lenient = replace(SUITE, gate=GateSpec(min_pass_rate=Decimal(0)))
    assert Rig(answer("no")).run(suites=[lenient]).run.exit_code == ExitCode.OK


def test_one_row_for_each_suite() -> None:
    (row,) = run_rows(Rig().run(), 5.0, {"ci": "1"})
    assert (row.suite, row.cases, row.passed, row.calls) == ("s", 3, 3, 3)
    assert (row.run_id, row.at, dict(row.tags)) == ("run", 5.0, {"ci": "1"})
