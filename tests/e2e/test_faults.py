"""Every fault of a provider through the whole program: one outcome each, and no request unaccounted."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalrunner.adapters.models_litellm import load_litellm
from evalrunner.engine import limits
from evalrunner.errors import CallTimeout, MalformedReply, ProviderUnavailable, RateLimited
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.wiring.publish import FORMATS, write_reports
from tests.adapters.fault_server import FAULTS, GOOD, FaultServer, http
from tests.adapters.test_provider_faults import EXPECTED, WAITS

from .workspace import Workspace

CANARY = "sk-canary-0123456789"
TIMEOUT = 3.0
WIDTH = 16  # litellm's own work, many times at once, would take seconds of everybody's deadline
LONGEST_WAIT = 1.6
"""The longest wait that is honoured here, so that the table does not take minutes."""

RECOVERING = {
    "429": 1,
    "429-milliseconds": 1,
    "500": 3,
    "502-html": 2,
    "529": 1,
    "reset": 2,
    "reset-body": 1,
    "close-chunked": 1,
    "truncated-json": 1,
    "empty-choices": 1,
    "empty-200": 1,
    "hang": 1,
}
"""How often a fault is met before the good reply."""


def expected_attempts(fault: str) -> int:
    kind, _ = EXPECTED[fault]
    if issubclass(kind, MalformedReply | CallTimeout):
        return 2
    if issubclass(kind, RateLimited | ProviderUnavailable):
        return 1 if WAITS.get(fault, 0) > LONGEST_WAIT else 4
    return 1


async def drip_head(writer: Any, server: FaultServer) -> None:
    """A header that never ends, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nx-a: ")
    for _ in range(200):
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.1)


def recovering(fault: str, times: int) -> Any:
    behaviour = FAULTS[fault]

    async def behave(writer: Any, server: FaultServer) -> None:
        if server.hits[f"{fault}-then-ok"] > times:
            writer.write(http(200, GOOD))
        elif isinstance(behaviour, bytes):
            writer.write(behaviour)
        else:
            await behaviour(writer, server)
        if not writer.is_closing():
            await writer.drain()

    return behave


class Table:
    """One run in which every fault is a target of its own."""

    def __init__(self, workspace: Workspace, server: FaultServer, client: str) -> None:
        faults = [*FAULTS, *(f"{fault}-then-ok" for fault in RECOVERING)]
        entries = {
            f"m-{fault}": {
                "model": "openai/tiny-2026-01-01",
                "base_url": server.url(fault),
                "api_key_env": "CANARY_KEY",
                "client": client,
                "price": {"input_per_mtok": 1, "output_per_mtok": 1},
                "timeout_seconds": TIMEOUT,
            }
            for fault in faults
        }
        workspace.write("evalrunner.yaml", {"models": entries})
        names = list(entries)
        for number, start in enumerate(range(0, len(names), 40)):
            targets = names[start : start + 40]
            checks = [{"type": "word-count", "value": {"min": 0}}]
            workspace.suite(f"part{number}", n=1, target=targets, checks=checks)
        started = time.monotonic()
        self.report: RunReport = workspace.run(max_concurrency=WIDTH)
        self.seconds = time.monotonic() - started
        self.workspace = workspace
        self.server = server
        self.accounts = workspace.attempts(self.report.run.id)
        self.cases: dict[str, CaseResult] = {
            case.case.target.removeprefix("m-"): case for case in self.report.cases
        }
        assert set(self.cases) == set(faults)

    def statuses(self, fault: str) -> list[str]:
        ends = [row.settlement for row in self.accounts if row.attempt.endpoint == f"m-{fault}"]
        return [end.status if end else "open" for end in ends]

    def errors(self, fault: str) -> list[str]:
        ends = [row.settlement for row in self.accounts if row.attempt.endpoint == f"m-{fault}"]
        return [(end.error or "").partition(":")[0] for end in ends if end]


@pytest.fixture(scope="module", params=["direct", "litellm"])
def table(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Table]:
    root = tmp_path_factory.mktemp("faults")
    if request.param == "litellm":
        load_litellm()
    behaviours = {f"{fault}-then-ok": recovering(fault, n) for fault, n in RECOVERING.items()}
    with pytest.MonkeyPatch.context() as patch, FaultServer() as server:
        patch.setattr(limits, "LONGEST_WAIT_SECONDS", LONGEST_WAIT)
        patch.setenv("CANARY_KEY", CANARY)
        server.faults |= behaviours | {"drip-head": drip_head}
        yield Table(Workspace(root), server, request.param)


def test_every_fault_is_an_errored_case_and_every_request_is_on_record(table: Table) -> None:
    for fault, (kind, possibly_paid) in EXPECTED.items():
        case, status = table.cases[fault], "possibly_paid" if possibly_paid else "error"
        attempts = expected_attempts(fault)
        assert case.outcome == "errored", fault
        assert table.errors(fault) == [kind.__name__] * attempts, fault
        assert table.statuses(fault) == [status] * attempts, fault
        assert table.server.hits[fault] == attempts, fault
        assert case.reason, fault


def test_a_provider_that_recovers_costs_attempts_and_no_case(table: Table) -> None:
    for fault, times in RECOVERING.items():
        name = f"{fault}-then-ok"
        assert table.cases[name].outcome == "passed", name
        failed = "possibly_paid" if EXPECTED[fault][1] else "error"
        assert table.statuses(name) == [failed] * times + ["ok"], name
        assert table.server.hits[name] == times + 1, name
        assert table.cases[name].records[0].record.attempts == times + 1


def test_an_odd_reply_that_can_be_read_is_an_answer(table: Table) -> None:
    for fault in FAULTS:
        if fault.startswith("ok"):
            assert table.cases[fault].outcome == "passed", fault
            assert table.statuses(fault) == ["ok"], fault
            assert table.server.hits[fault] == 1, fault


def test_the_server_saw_exactly_what_the_ledger_holds(table: Table) -> None:
    assert sum(table.server.hits.values()) == len(table.accounts)
    assert not table.server.trapped, "nobody follows a redirect"
    assert table.report.run.exit_code == 6
    assert 1 not in {failure.code for failure in table.report.failures}, "no fault is a failed case"


def test_no_fault_holds_the_run_beyond_its_deadlines(table: Table) -> None:
    waits = 3 * (LONGEST_WAIT + 0.5) + (0.5 + 1 + 2)
    slow = sum(2 for kind, _ in EXPECTED.values() if kind is CallTimeout) * TIMEOUT
    assert table.seconds < slow + waits + 15, "the rest is for a slow machine"


def test_no_key_is_ever_written(table: Table, tmp_path: Path) -> None:
    write_reports(table.report, [tmp_path / f"report{ending}" for ending in FORMATS])
    written = [
        p for root in (table.workspace.root, tmp_path) for p in root.rglob("*") if p.is_file()
    ]
    assert len(written) > len(FORMATS) + 3
    forms = [CANARY.encode(), base64.b64encode(CANARY.encode())]
    for path in written:
        content = path.read_bytes()
        assert not any(form in content for form in forms), path
    heads = "".join(table.server.heads.values()).lower()
    assert f"bearer {CANARY}" in heads, "the server was given the key, else this shows nothing"


def test_only_whole_answers_are_kept(table: Table) -> None:
    before = dict(table.server.hits)
    faults = [fault for fault in FAULTS if fault.startswith("ok")]
    cut = {"ok-length", "ok-length-empty"}
    pattern = "@m-(" + "|".join(faults) + ")$"
    table.workspace.run(pattern=pattern, max_concurrency=WIDTH)
    asked_again = {f for f in faults if table.server.hits[f] > before[f]}
    assert asked_again >= cut
    assert "ok" not in asked_again
