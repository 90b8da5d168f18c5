"""A project folder as a user of evalrunner would have it, and the edits that users make to one."""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from workload import IN_FLIGHT, RUBRIC, rows, write_jsonl

from harness.process import Sample, environment, run

EVALRUNNER = Path(sysconfig.get_path("scripts"), "evalrunner")

CONFIG = """\
models:
  bench: {{model: openai/bench, base_url: "{url}", revision: b1, price: {price}}}
  judge: {{model: openai/judge, base_url: "{url}", revision: j1, price: {price}}}
tiers: {{frontier: judge}}
"""
PRICE = "{input_per_mtok: 1, output_per_mtok: 2}"

SUITE = """\
name: bench
prompts: ["Answer in one word: {{question}}"]
golden: "file://../golden/%s"
target: bench
checks:
  - {type: contains, value: "{{expected}}"}
  - {type: is-json}
"""

JUDGE_CHECK = f"""\
  - {{type: llm-rubric, value: "{RUBRIC}"}}
"""


class Project:
    """One project folder below a scratch folder; its store is empty until something ran."""

    def __init__(self, folder: Path, port: int, *, judge: bool = False) -> None:
        self.folder = folder
        self.suite = folder / "suites" / "bench.yaml"
        self.golden = folder / "golden" / "rows.jsonl"
        for room in ("suites", "golden", "home"):
            (folder / room).mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(url=f"http://127.0.0.1:{port}/v1", price=PRICE)
        (folder / "evalrunner.yaml").write_text(config, encoding="utf-8")
        self.suite.write_text(SUITE % "rows.jsonl" + JUDGE_CHECK * judge, encoding="utf-8")
        self.edits = 0

    @property
    def state(self) -> Path:
        """The state folder: cache, ledger, run documents."""
        return self.folder / ".evalrunner"

    def fill(self, items: int | Iterable[dict[str, str]]) -> Project:
        """Writes the golden file: so many standard rows, or these."""
        write_jsonl(self.golden, rows(items) if isinstance(items, int) else items)
        return self

    def forget(self) -> None:
        """Removes the state folder."""
        shutil.rmtree(self.state, ignore_errors=True)

    def comment(self) -> None:
        """Adds a comment to the suite: no case changes, but the suite's bytes do."""
        self.edits += 1
        text = self.suite.read_text(encoding="utf-8")
        self.suite.write_text(f"{text}# edit {self.edits}\n", encoding="utf-8")

    def reword(self) -> None:
        """Rewords one row, as it was never worded before."""
        self.edits += 1
        lines = self.golden.read_text(encoding="utf-8").splitlines()
        middle = len(lines) // 2
        row = json.loads(lines[middle])
        question = row["question"].partition("the code word")[2]
        row["question"] = f"Edit {self.edits}: what is the code word{question}"
        lines[middle] = json.dumps(row)
        self.golden.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def command(self, *arguments: str) -> list[str | Path]:
        """``evalrunner run`` on the suite, 50 in flight."""
        flags = () if "-j" in arguments else ("-j", str(IN_FLIGHT))
        return [EVALRUNNER, "run", str(self.suite.relative_to(self.folder)), *flags, *arguments]

    def environment(self) -> dict[str, str]:
        """An empty home and nothing else."""
        return environment(self.folder / "home")

    def run(self, *arguments: str) -> Sample:
        """One measured run; every case has to pass."""
        return run(self.command(*arguments), cwd=self.folder, env=self.environment())

    def plan(self) -> Sample:
        """One measured plan of the suite."""
        command = [
            EVALRUNNER,
            "plan",
            str(self.suite.relative_to(self.folder)),
            "-j",
            str(IN_FLIGHT),
        ]
        return run(command, cwd=self.folder, env=self.environment())

    def cold(self, *arguments: str) -> Callable[[], Sample]:
        """A run that finds no state folder."""

        def once() -> Sample:
            self.forget()
            return self.run(*arguments)

        return once

    def after(self, edit: Callable[[], None], *arguments: str) -> Callable[[], Sample]:
        """A run after an edit."""

        def once() -> Sample:
            edit()
            return self.run(*arguments)

        return once

    def stored_bytes(self) -> int:
        """The size of the store on disk."""
        return sum(p.stat().st_size for p in (self.state / "cache").rglob("*") if p.is_file())
