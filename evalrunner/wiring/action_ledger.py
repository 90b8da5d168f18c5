"""The ledgers of a repository's runs, carried from runner to runner as artifacts.

A hosted runner starts with an empty ledger, and a ratio over an empty ledger says little. So each run
keeps its rows as an artifact, and the next ones take in those of the window. Runs of forks are left
out: nobody was asked there, and their artifacts are strangers'.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from evalrunner.adapters.github import Artifact, Github
from evalrunner.adapters.state_dir import open_state_dir
from evalrunner.engine.ports import LedgerBook
from evalrunner.errors import EvalRunnerError, GithubError
from evalrunner.suite.config import load_project
from evalrunner.values.project import Project
from evalrunner.wiring.command import Command
from evalrunner.wiring.ledger_view import exported, take_in
from evalrunner.wiring.ledgers import open_ledger
from evalrunner.wiring.policy import load_policy

ARTIFACT: Final = "evalrunner-ledger"
ROWS: Final = "ledger.json"

_TAKEN: Final = "ledgers-taken-in.json"
_MOST: Final = 300
_MAX_BYTES: Final = 64 * 1024 * 1024


def take_in_window(command: Command, github: Github) -> str | None:
    """Takes in the rows of the window's runs that are not here yet; what went wrong, if anything."""
    try:
        with _ledger(command) as (project, ledger):
            if not project.cost.production or not project.cost.ledger_url.startswith("sqlite:"):
                return None
            state = open_state_dir(project.root, explicit=None)
            _take_in_new(github, ledger, project, state.path / _TAKEN)
    except (EvalRunnerError, OSError) as error:
        message = error.message if isinstance(error, EvalRunnerError) else type(error).__name__
        return f"the ledgers of earlier runs are not here: {message}"
    return None


def keep_rows(command: Command, since: float, folder: Path) -> None:
    """Writes what this run paid, for the artifact.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    with _ledger(command) as (project, ledger):
        folder.mkdir(parents=True, exist_ok=True)
        rows = exported(project, ledger, "json", since, time.time() + 1)
        (folder / ROWS).write_text("".join(rows), encoding="utf-8")


def _take_in_new(github: Github, ledger: LedgerBook, project: Project, record: Path) -> None:
    taken = _read_taken(record)
    oldest = datetime.now(UTC) - timedelta(days=project.cost.gate.window_days + 1)
    for number, artifact in enumerate(_named(github)):
        if number >= _MOST or artifact.created_at < f"{oldest:%Y-%m-%dT%H:%M:%SZ}":
            break
        if artifact.id not in taken and not artifact.from_fork:
            _take_in_one(github, ledger, artifact)
            taken.add(artifact.id)
    record.write_text(json.dumps(sorted(taken)), encoding="ascii")


def _named(github: Github) -> Iterator[Artifact]:
    return (each for each in github.artifacts() if each.name == ARTIFACT)


def _take_in_one(github: Github, ledger: LedgerBook, artifact: Artifact) -> None:
    data = github.download(artifact, most_bytes=_MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(ROWS) as file:
            rows = file.read(_MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError, OSError, ValueError):
        raise GithubError(f"the artifact {artifact.id} holds no ledger") from None
    if len(rows) > _MAX_BYTES:
        raise GithubError(f"the ledger of the artifact {artifact.id} is too large")
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(rows)
        file.flush()
        take_in(ledger, Path(file.name))


def _read_taken(record: Path) -> set[int]:
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return set()
    return {each for each in found if type(each) is int} if isinstance(found, list) else set()


@contextmanager
def _ledger(command: Command) -> Generator[tuple[Project, LedgerBook]]:
    here = Path.cwd()
    policy = load_policy(command.policy) if command.policy else None
    project = policy.over(here) if policy else load_project(here, config=command.config)
    ledger = open_ledger(project, open_state_dir(project.root, explicit=None))
    try:
        yield project, ledger
    finally:
        ledger.close()
