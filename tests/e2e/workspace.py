"""A project in a folder, and the two ways to run it: in this process, and as the real program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.engine.ports import LedgerEntry
from evalrunner.testing import FakeBody, FakeProvider
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.wiring.command import Command
from evalrunner.wiring.session import run_command
from tests.guards import scrubbed

PROGRAM = "import sys; from evalrunner.cli import main; sys.exit(main())"
PACKAGE = Path(__file__).parents[2]
PRICE = {"input_per_mtok": 1, "output_per_mtok": 2}

PASS = '{"reason": "good", "pass": true, "score": 1.0}'
RUBRIC = "RUBRIC: it is an answer"


class Workspace:
    """A project below *root*; whatever is written as YAML here is written as JSON, which is YAML."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / ".evalrunner"
        self.config: dict[str, Any] = {}

    def write(self, name: str, content: object) -> Path:
        """A file of the project; what is not text becomes JSON."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    def configure(self, base_url: str, **further: Any) -> None:
        """Two models at that address, ``small`` and ``large``, as the two tiers."""
        self.config = {
            "models": {
                "small": model(base_url, "tiny-2026-01-01"),
                "large": model(base_url, "huge-2026-01-01"),
            },
            "tiers": {"proxy": "small", "frontier": "large"},
            **further,
        }
        self.write("evalrunner.yaml", self.config)

    def suite(self, name: str = "s", **fields: Any) -> Path:
        """A suite whose rows are ``n`` different questions unless ``golden`` says otherwise."""
        count = fields.pop("n", 3)
        document = {
            "name": name,
            "prompts": ["Question {{q}}"],
            "golden": f"file://../golden/{name}.jsonl",
            **fields,
        }
        self.golden(name, questions(count))
        return self.write(f"suites/{name}.yaml", document)

    def golden(self, name: str, rows: Iterable[Mapping[str, object]]) -> Path:
        """A golden file of those rows."""
        return self.write(f"golden/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def run(self, **flags: Any) -> RunReport:
        """Runs in this process."""
        return run_command(Command(start=self.root, **flags))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Starts the program, as a shell in the project's folder would."""
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=self.root,
            env=environment_of_program(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def program(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def attempts(self, run_id: str) -> list[LedgerEntry]:
        """What the ledger knows of a run's attempts, less those that were never sent."""
        ledger = SqliteLedger(self.state / "ledger.sqlite3", run_id="reader")
        try:
            return [row for row in ledger.attempts(run_id) if not _unsent(row)]
        finally:
            ledger.close()


def environment_of_program(further: Mapping[str, str] = {}) -> dict[str, str]:
    """What the program sees: nothing of whoever runs the tests."""
    return {**scrubbed(os.environ), "PYTHONPATH": str(PACKAGE), "PYTHONUTF8": "1", **further}


def model(base_url: str, name: str = "tiny-2026-01-01", **further: Any) -> dict[str, Any]:
    """An entry of ``models:``."""
    return {
        "model": f"openai/{name}",
        "base_url": base_url,
        "price": PRICE,
        "timeout_seconds": 20,
        **further,
    }


def questions(count: int) -> list[dict[str, object]]:
    """Rows that differ."""
    return [{"id": f"r{number}", "q": f"number {number}"} for number in range(count)]


def asked(provider: FakeProvider) -> tuple[int, int]:
    """Requests to the proxy and to the frontier model."""
    return provider.calls["tiny-2026-01-01"], provider.calls["huge-2026-01-01"]


def prompt_of(body: FakeBody) -> str:
    """All that a request says."""
    return json.dumps(body["messages"])


def outcomes(report: RunReport) -> dict[str, int]:
    """How many cases ended how."""
    return dict(Counter(case.outcome.value for case in report.cases))


def ids(report: RunReport, outcome: str | None = None) -> list[str]:
    """The ids of the cases, or of those that ended so."""
    return [case.case.id for case in report.cases if outcome in (None, case.outcome.value)]


def reason(case: CaseResult) -> str:
    """Why a case ended as it did; a foreign text in it is safe to look at here."""
    return case.reason.raw if isinstance(case.reason, ModelText) else case.reason or ""


def codes(report: RunReport) -> Sequence[int]:
    """The exit codes of all failures, and the one that rules in front."""
    return [report.run.exit_code, *sorted({int(failure.code) for failure in report.failures})]


def answer(body: FakeBody) -> str:
    """A provider's script: judges approve; every question has an answer of its own, in JSON."""
    if "RUBRIC" in prompt_of(body):
        return PASS
    return json.dumps({"ok": body["messages"][-1]["content"]})  # type: ignore[index]


def _unsent(row: LedgerEntry) -> bool:
    return row.settlement is not None and row.settlement.error == "not sent"
