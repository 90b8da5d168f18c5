"""A repository with a workflow, run by `act` as GitHub's runner would: the real Action, real events."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.action.github_server import FakeGithub

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SHA: Final = "0123456789" * 4
STAND_INS: Final = {
    "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97": "setup-python",
    "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae": "cache",
    "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f": "upload-artifact",
}
CONFIG: Final = """\
models:
  large: {{model: openai/fake, base_url: "{url}", revision: r1, api_key_env: EVAL_KEY,
    price: {{input_per_mtok: 1, output_per_mtok: 2}}, timeout_seconds: 10}}
tiers: {{frontier: large}}
"""
SUITE: Final = """\
name: greet
prompts: ["Say {{word}}"]
golden: "file://../golden/greet.jsonl"
checks:
  - {type: contains, value: "{{word}}"}
"""


def copy_of_the_action(folder: Path) -> Path:
    """What GitHub's runner fetches of this repository; installing finds this test's own environment."""
    for name in ("action.yml", ".github", "comment", "evalrunner", "requirements"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    environment = Path(sys.prefix)
    (folder / ".github/action/install.sh").write_text(
        f'ln -sfn "{environment}" "$RUNNER_TEMP/evalrunner-venv"\n'
    )
    return folder


@dataclass(slots=True)
class Ended:
    """How a workflow ended."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str = ""


@dataclass(slots=True)
class Repository:
    """A checkout with a project, and what the runner keeps between workflows."""

    root: Path
    action: Path
    state: Path
    url: str
    github: FakeGithub
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """The first commit on main."""
        self.write("evalrunner.yaml", CONFIG.format(url=self.url))
        self.write("suites/greet.yaml", SUITE)
        self.rows("one", "two", "three")
        self.write(".github/workflows/evals.yml", (HERE / "workflow.yml").read_text())
        comment = (HERE / "comment_workflow.yml").read_text()
        self.write(".github/workflows/comment.yml", comment)
        self.write(".gitignore", ".evalrunner/\n")
        self.git("init", "-q", "-b", "main")
        self.commit("begin")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def rows(self, *words: str) -> None:
        lines = (json.dumps({"id": word, "word": word}) + "\n" for word in words)
        self.write("golden/greet.jsonl", "".join(lines))

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def pull_request(self, base: str, *, fork: bool, title: str = "t") -> dict[str, Any]:
        """The event of a pull request whose head is checked out."""
        repo = {"full_name": "stranger/r" if fork else "o/r"}
        return {
            "number": 7,
            "pull_request": {
                "number": 7,
                "title": title,
                "head": {"sha": self.head(), "ref": "topic", "repo": repo},
                "base": {"sha": base, "ref": "main", "repo": {"full_name": "o/r"}},
            },
            "repository": {"full_name": "o/r", "default_branch": "main"},
        }

    def push(self) -> dict[str, Any]:
        """The event of a push to main."""
        repository = {"full_name": "o/r", "default_branch": "main"}
        return {"ref": "refs/heads/main", "after": self.head(), "repository": repository}

    def command(self, event: str, payload: Mapping[str, Any], workflow: str) -> list[str]:
        """What starts `act`."""
        payload_file = self.state / "event.json"
        payload_file.write_text(json.dumps(payload))
        local = {f"acme/evalrunner@{SHA}": self.action}
        local |= {name: HERE / "stand_ins" / folder for name, folder in STAND_INS.items()}
        environment = {
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_API_URL": self.github.url,
            "STAND_IN_CACHES": str(self.state / "caches"),
            "STAND_IN_ARTIFACTS": str(self.state / "artifacts"),
            "STAND_IN_OUTPUTS": str(self.state / "outputs.json"),
        }
        words = [str(Path(sys.prefix) / "bin/act"), event, "-W", f".github/workflows/{workflow}"]
        words += ["-P", "ubuntu-latest=-self-hosted", "-e", str(payload_file), "--no-cache-server"]
        words += [f"--local-repository={name}={path}" for name, path in local.items()]
        words += [f"--env={name}={value}" for name, value in environment.items()]
        words += [f"--secret={name}={value}" for name, value in self.secrets.items()]
        words += [f"--var={name}={value}" for name, value in self.variables.items()]
        return words

    def environ(self) -> dict[str, str]:
        """The runner's own environment: a home that stays, and no key."""
        (self.state / "home").mkdir(parents=True, exist_ok=True)
        keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**keep, "HOME": str(self.state / "home"), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, event: str, payload: Mapping[str, Any], workflow: str = "evals.yml") -> Ended:
        """Runs the workflow to its end."""
        outputs = self.state / "outputs.json"
        outputs.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(event, payload, workflow),
            cwd=self.root,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        found = json.loads(outputs.read_text()) if outputs.exists() else {}
        return Ended(done.returncode, done.stdout + done.stderr, found)

    def caches(self) -> list[str]:
        """What the stand-in restored and saved, in order."""
        log = self.state / "caches.log"
        return log.read_text().splitlines() if log.exists() else []

    def artifact(self, name: str, *, of: str = "evalrunner-report") -> bytes:
        """A file of an artifact that was kept."""
        return (self.state / "artifacts" / of / name).read_bytes()
