"""Other tools on the same work, installed into a folder outside the repository when asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workload import RUBRIC, rows, write_jsonl

from harness.process import BenchmarkError, Sample, environment, run

HERE = Path(__file__).parents[1] / "peers"
PACKAGES = {
    "node": ["promptfoo@0.123.1", "node@22.23.3"],
    "python": ["inspect-ai==0.3.285", "pydantic-evals==2.62.0", "openai==3.54.0"],
}


def home_of_peers() -> Path:
    """Where peers are installed: ``EVALRUNNER_BENCH_PEERS``, else the temporary folder."""
    chosen = os.environ.get("EVALRUNNER_BENCH_PEERS")
    return Path(chosen) if chosen else Path(tempfile.gettempdir(), "evalrunner-bench-peers")


def install(folder: Path) -> None:
    """Installs what is missing: about 1.7 GB and some minutes, most of it promptfoo."""
    node, python = folder / "node", folder / "python"
    if not (node / "node_modules" / "promptfoo").exists():
        node.mkdir(parents=True, exist_ok=True)
        (node / "package.json").write_text('{"private": true}', encoding="utf-8")
        flags = ["--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", *flags, *PACKAGES["node"]], cwd=node, check=True)
    if not (python / "bin" / "inspect").exists():
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, str(python)], check=True)
        interpreter = str(python / "bin" / "python")
        wanted = ["uv", "pip", "install", "-q", "--python", interpreter, *PACKAGES["python"]]
        subprocess.run(wanted, check=True)
        compiled = [interpreter, "-m", "compileall", "-q", str(python / "lib")]
        subprocess.run(compiled, check=False, stdout=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Peers:
    """The installed peers, on one golden file, in one scratch folder."""

    installed: Path
    scratch: Path
    port: int
    count: int
    judge: bool = False

    def prepare(self) -> Peers:
        """Writes the golden file in the forms that the peers read."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        write_jsonl(self.scratch / "rows.jsonl", rows(self.count))
        tests = "".join(json.dumps({"vars": row}) + "\n" for row in rows(self.count))
        (self.scratch / "tests.jsonl").write_text(tests, encoding="utf-8")
        text = (HERE / "promptfoo.yaml").read_text(encoding="utf-8")
        rubric = f'    - {{type: llm-rubric, value: "{RUBRIC}"}}\n' if self.judge else ""
        filled = text.replace("@PORT@", str(self.port)).replace("@JUDGE@", rubric)
        config = filled.replace("@TESTS@", "tests.jsonl")
        (self.scratch / "promptfoo.yaml").write_text(config, encoding="utf-8")
        return self

    def _run(self, *command: str | Path, **more: str) -> Sample:
        env = environment(self.scratch, OPENAI_API_KEY="none", **more)
        return run(command, cwd=self.scratch, env=env, timeout=3600)

    def _promptfoo(self, *arguments: str) -> Sample:
        modules = self.installed / "node" / "node_modules"
        state = self.scratch / "promptfoo"
        entry = modules / "promptfoo" / "dist" / "src" / "entrypoint.js"
        return self._run(
            modules / ".bin" / "node",
            entry,
            *arguments,
            PROMPTFOO_CONFIG_DIR=str(state),
            PROMPTFOO_CACHE_PATH=str(state / "cache"),
            PROMPTFOO_DISABLE_TELEMETRY="1",
            PROMPTFOO_DISABLE_UPDATE="1",
            PROMPTFOO_DISABLE_REMOTE_GENERATION="1",
            PROMPTFOO_SELF_HOSTED="1",
        )

    def promptfoo_version(self) -> Sample:
        """``promptfoo --version``."""
        return self._promptfoo("--version")

    def promptfoo(self) -> Sample:
        """``promptfoo eval``: cold the first time in a scratch folder, from its cache after that."""
        flags = ("--no-table", "--no-progress-bar", "--no-share", "-j", "50")
        return self._promptfoo("eval", "-c", "promptfoo.yaml", *flags)

    def inspect(self) -> Sample:
        """``inspect eval``: cold the first time in a scratch folder, from its cache after that."""
        (self.scratch / "task.py").write_text(
            (HERE / "inspect_task.py").read_text("utf-8"), "utf-8"
        )
        judge = ("-T", "judge=true") if self.judge else ()
        return self._run(
            self.installed / "python" / "bin" / "inspect",
            "eval",
            "task.py",
            "-T",
            "golden=rows.jsonl",
            *judge,
            "--model",
            "openai/bench",
            "-M",
            "responses_api=false",
            "--max-connections",
            "50",
            "--max-samples",
            "50",
            "--display",
            "none",
            "--log-dir",
            "logs",
            OPENAI_BASE_URL=f"http://127.0.0.1:{self.port}/v1",
            INSPECT_CACHE_DIR=str(self.scratch / "inspect-cache"),
        )

    def pydantic_evals(self) -> Sample:
        """The pydantic-evals script; it has no cache."""
        sample = self._run(
            self.installed / "python" / "bin" / "python",
            HERE / "pydantic_evals_run.py",
            "rows.jsonl",
            str(self.port),
        )
        if f"{self.count} of {self.count} passed" not in sample.output:
            raise BenchmarkError(f"pydantic-evals: {sample.output[-500:]}")
        return sample


def counted(
    once: Callable[[], Sample], count: Callable[[], int], expected: int, *, spare: int = 0
) -> tuple[Sample, int]:
    """Runs a peer; gives how many requests it sent beyond those that the figure takes for granted.

    Raises:
        BenchmarkError: They were fewer, or more than *spare* beyond.
    """
    before = count()
    sample = once()
    beyond = count() - before - expected
    if not 0 <= beyond <= spare:
        raise BenchmarkError(
            f"{expected} requests expected, {expected + beyond} seen\n{sample.output[-2000:]}"
        )
    return sample, beyond
