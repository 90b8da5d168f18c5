"""What may be spent: refused before the start, stopped in mid-run, never passed."""

from __future__ import annotations

import json
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.testing import FakeProvider, FakeReply
from evalrunner.values.money import from_usd
from evalrunner.verdict.summary import summarise

from .workspace import Workspace, codes, model, outcomes

CHECKS = [{"type": "contains", "value": "ok"}]
PRICED = {"input_per_mtok": 1, "output_per_mtok": 100}
PARAMS = {"max_tokens": 1000}
CALL = from_usd("0.0005") + from_usd("0.00001")  # 10 tokens in, 5 out, as the server says


def priced(workspace: Workspace, provider: FakeProvider, **further: Any) -> None:
    """One model whose calls cost $0.00051, may cost $0.1, and are expected to cost $0.0256."""
    large = model(provider.base_url, "huge-2026-01-01", price=PRICED, params=PARAMS)
    config = {"models": {"large": large}, "tiers": {"frontier": "large"}, **further}
    workspace.config = config
    workspace.write("evalrunner.yaml", config)


def spent(workspace: Workspace, run_id: str) -> int:
    ledger = SqliteLedger(workspace.state / "ledger.sqlite3", run_id="reader")
    try:
        return ledger.spent(run_id) or 0
    finally:
        ledger.close()


def test_a_run_that_is_expected_to_cost_too_much_does_not_start(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    workspace.suite(n=20, checks=CHECKS)
    report = workspace.run(max_usd=from_usd("0.5"))
    assert report.run.exit_code == 3
    assert outcomes(report) == {"not_run": 20}
    assert {case.reason for case in report.cases} == {"budget"}
    assert not provider.requests
    (budget,) = [gate for gate in report.gates if gate.name == "budget"]
    assert budget.decision == "fail"
    assert Decimal(budget.observed or 0) > Decimal(budget.limit or 0) == Decimal("0.5")
    assert "nothing was spent" in budget.detail
    assert spent(workspace, report.run.id) == 0


def test_without_the_preflight_it_starts_and_stops_at_the_ceiling(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    workspace.suite(n=300, checks=CHECKS)
    ceiling = from_usd("0.15")
    report = workspace.run(max_usd=ceiling, no_preflight=True)
    assert report.run.exit_code == 8
    counts = outcomes(report)
    assert counts["passed"] == len(provider.requests) > 20
    assert counts["passed"] + counts["not_run"] == 300
    assert {case.reason for case in report.cases if case.outcome == "not_run"} == {"budget"}
    paid = spent(workspace, report.run.id)
    assert paid == len(provider.requests) * CALL <= ceiling
    assert ceiling - paid < from_usd("0.12"), "it stops only when not one more call fits"
    total = summarise(report.cases).total
    assert total.incurred.amount == paid

    report = workspace.run(max_usd=ceiling, no_preflight=True)
    assert outcomes(report).get("passed", 0) > counts["passed"], "what was paid is not paid again"


def test_a_run_whose_worst_case_alone_is_too_much_starts_and_says_so(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    workspace.suite(n=10, checks=CHECKS)
    report = workspace.run(max_usd=from_usd("0.5"))
    assert (report.run.exit_code, outcomes(report)) == (0, {"passed": 10})
    (budget,) = [gate for gate in report.gates if gate.name == "budget"]
    assert budget.decision == "pass"
    assert "worst case" in budget.detail


def test_a_warm_run_needs_no_budget(workspace: Workspace, provider: FakeProvider) -> None:
    priced(workspace, provider)
    workspace.suite(n=10, checks=CHECKS)
    workspace.run()
    report = workspace.run(max_usd=from_usd("0.000001"))
    assert (report.run.exit_code, len(provider.requests)) == (0, 10)


def test_the_lowest_of_several_ceilings_holds(workspace: Workspace, provider: FakeProvider) -> None:
    priced(workspace, provider, cost={"max_usd_per_run": "0.1"})
    workspace.suite(n=20, checks=CHECKS)
    for flag in (None, from_usd("100"), from_usd("0.05")):
        assert workspace.run(max_usd=flag).run.exit_code == 3
    assert not provider.requests


@pytest.mark.parametrize("where", ["suite", "month"])
def test_a_ceiling_of_the_suite_or_the_month_holds(
    workspace: Workspace, provider: FakeProvider, where: str
) -> None:
    further = {"max_usd": "0.15"} if where == "suite" else {}
    cost = {"cost": {"max_usd_per_month": "0.15"}} if where == "month" else {}
    priced(workspace, provider, **cost)
    workspace.suite(n=300, checks=CHECKS, **further)
    report = workspace.run(no_preflight=True)
    assert report.run.exit_code == 8
    assert 0 < len(provider.requests) < 300
    assert spent(workspace, report.run.id) <= from_usd("0.15")
    again = workspace.run(no_preflight=True)
    paid = spent(workspace, report.run.id) + spent(workspace, again.run.id)
    assert again.run.exit_code == 8
    if where == "month":
        assert paid <= from_usd("0.15"), "a month is the sum of its runs"


def test_a_suite_that_is_at_its_ceiling_leaves_the_others_alone(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    workspace.suite("dear", n=40, checks=CHECKS, max_usd="0.102")
    workspace.suite("other", n=40, checks=CHECKS)
    report = workspace.run(no_preflight=True, max_concurrency=4)
    assert report.run.exit_code == 8
    passed = Counter(case.case.suite for case in report.cases if case.outcome == "passed")
    assert passed["other"] == 40
    assert 0 < passed["dear"] < 10


@pytest.mark.parametrize("where", ["run", "suite", "month"])
def test_an_unpriced_model_cannot_start_under_a_ceiling(
    workspace: Workspace, provider: FakeProvider, where: str
) -> None:
    cost = {"cost": {"max_usd_per_month": 1000}} if where == "month" else {}
    priced(workspace, provider, **cost)
    del workspace.config["models"]["large"]["price"]
    workspace.write("evalrunner.yaml", workspace.config)
    workspace.suite(n=3, checks=CHECKS, **({"max_usd": 1000} if where == "suite" else {}))
    report = workspace.run(max_usd=from_usd("1000") if where == "run" else None)
    assert codes(report)[0] == 4
    assert outcomes(report) == {"not_run": 3}
    assert not provider.requests
    assert "price" in next(gate for gate in report.gates if gate.name == "budget").detail


def test_an_unpriced_model_without_a_ceiling_is_of_unknown_cost(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    del workspace.config["models"]["large"]["price"]
    workspace.write("evalrunner.yaml", workspace.config)
    workspace.suite(n=3, checks=CHECKS)
    report = workspace.run()
    assert report.run.exit_code == 0
    document = json.loads((workspace.state / "runs" / f"{report.run.id}.json").read_bytes())
    cost = document["summary"]["cost"]
    assert cost["incurred_usd"] is None
    assert cost["unpriced"] == ["large"]
    assert document["summary"]["calls"]["by_model"]["large"]["incurred_usd"] is None


@pytest.mark.parametrize("price", ["free", {"input_per_mtok": 0, "output_per_mtok": 0}])
def test_what_the_user_calls_free_is_free(
    workspace: Workspace, provider: FakeProvider, price: Any
) -> None:
    priced(workspace, provider)
    workspace.config["models"]["large"]["price"] = price
    workspace.write("evalrunner.yaml", workspace.config)
    workspace.suite(n=3, checks=CHECKS)
    report = workspace.run(max_usd=0)
    assert (report.run.exit_code, outcomes(report)) == (0, {"passed": 3})


def test_a_reply_without_usage_counts_at_its_worst_case(workspace: Workspace) -> None:
    with FakeProvider(FakeReply(text="ok", usage=None)) as provider:
        priced(workspace, provider)
        workspace.suite(n=30, checks=CHECKS)
        report = workspace.run(max_usd=from_usd("1"), no_preflight=True)
    assert report.run.exit_code == 8
    assert 5 <= len(provider.requests) <= 10, "ten calls at $0.1 and not one more"
    assert report.possibly_paid is not None
    assert report.possibly_paid <= from_usd("1")


def test_warn_only_forgives_the_cost_gate_but_not_the_ceiling(
    workspace: Workspace, provider: FakeProvider
) -> None:
    priced(workspace, provider)
    workspace.suite(n=300, checks=CHECKS)
    report = workspace.run(max_usd=from_usd("0.15"), warn_only=True)
    assert report.run.exit_code == 8
    assert spent(workspace, report.run.id) <= from_usd("0.15")


def amounts(workspace: Workspace, name: str) -> dict[str, Any]:
    """What the summary of a run's document says."""
    summary: dict[str, Any] = json.loads((workspace.root / f"out/{name}.json").read_bytes())[
        "summary"
    ]
    return summary


@pytest.mark.parametrize("where", ["run", "suite", "month"])
def test_two_shells_at_once_pass_no_ceiling_and_lose_nothing(
    workspace: Workspace, provider: FakeProvider, where: str
) -> None:
    cost = {"cost": {"max_usd_per_month": "0.15"}} if where == "month" else {}
    suite = {"max_usd": "0.15"} if where == "suite" else {}
    flags = ["--max-usd", "0.15"] if where == "run" else []
    priced(workspace, provider, **cost)
    for name in ("one", "two"):
        workspace.suite(name, n=300, prompts=[f"{name} {{{{q}}}}"], checks=CHECKS, **suite)

    shells = [
        workspace.start(
            "run", f"suites/{name}.yaml", "--no-preflight", "-o", f"out/{name}.json", *flags
        )
        for name in ("one", "two")
    ]
    ends = [shell.communicate(timeout=60) for shell in shells]
    assert [shell.returncode for shell in shells] == [8, 8], ends

    found = [amounts(workspace, name) for name in ("one", "two")]
    assert sum(one["passed"] for one in found) == len(provider.requests)
    paid = [from_usd(one["cost"]["incurred_usd"]) for one in found]
    assert sum(paid) == len(provider.requests) * CALL
    most = from_usd("0.15")
    assert max(paid) <= most
    assert where != "month" or most - from_usd("0.12") < sum(paid) <= most

    workspace.write("evalrunner.yaml", {**workspace.config, "cost": {}})
    for name in ("one", "two"):
        workspace.suite(name, n=300, prompts=[f"{name} {{{{q}}}}"], checks=CHECKS)
    assert outcomes(workspace.run()) == {"passed": 600}
    assert len(provider.requests) == 600, "what was paid is not paid again"


@pytest.mark.kill
def test_one_crash_does_not_block_a_month(workspace: Workspace) -> None:
    """What a killed run had reserved is told as possibly paid, and the gate and the next run go on."""
    with FakeProvider("ok", latency_seconds=0.05) as provider:
        production = [{"source": "fixed", "usd_per_month": 100_000}]
        priced(workspace, provider, cost={"max_usd_per_month": 50, "production": production})
        workspace.suite(n=200, checks=CHECKS)
        shell = workspace.start("run", "--no-preflight", "-j", "8")
        deadline = time.monotonic() + 60
        while len(provider.requests) < 60:
            assert time.monotonic() < deadline, "the run does not come on"
            time.sleep(0.005)
        shell.kill()
        shell.communicate()
        shown = json.loads(workspace.program("ledger", "show", "--json").stdout)
        assert Decimal(shown["total"]["possibly_paid_usd"]) >= 8 * Decimal("0.1")

        gate = workspace.program("gate")
        assert gate.returncode == 0, gate.stdout + gate.stderr
        assert workspace.run(max_concurrency=8).run.exit_code == 0
