"""A pytest session in a process of its own, on a project of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalrunner.reports.document import from_json
from evalrunner.values.result import RunReport
from tests.e2e.workspace import Workspace, environment_of_program

PYTHON = [sys.executable]
"""Whose pytest is started; ``--plugin-python`` names another one."""

_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|deselected|rerun|xfailed)")


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is over."""

    code: int
    out: str

    @property
    def counts(self) -> dict[str, int]:
        """What pytest's last line counts."""
        lines = [line for line in self.out.splitlines() if _COUNT.search(line)]
        return {word: int(number) for number, word in _COUNT.findall(lines[-1])} if lines else {}

    @property
    def reported(self) -> Counter[str]:
        """How often each test was reported with a verdict (needs ``-v``)."""
        found = re.findall(
            r"(?:^\[gw.* (?:PASSED|FAILED|SKIPPED) (\S+)\s*$)|(?:^(\S+::\S+).* (?:PASSED|FAILED|SKIPPED))",
            self.out,
            re.MULTILINE,
        )
        return Counter(first or second for first, second in found)


def command(*arguments: str, plugins: tuple[str, ...] = ()) -> list[str]:
    """Pytest with our plugin and those that are named, and no others."""
    loaded = [
        word for name in ("evalrunner.pytest_plugin.hooks", *plugins) for word in ("-p", name)
    ]
    return [*PYTHON, "-m", "pytest", "--color=no", *loaded, *arguments]


def start(
    workspace: Workspace, *arguments: str, plugins: tuple[str, ...] = (), **environment: str
) -> subprocess.Popen[str]:
    """Starts a session in the project's folder."""
    return subprocess.Popen(
        command(*arguments, plugins=plugins),
        cwd=workspace.root,
        env=environment_of_program({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def pytest_session(
    workspace: Workspace, *arguments: str, plugins: tuple[str, ...] = (), **environment: str
) -> Ended:
    """Runs a session to its end."""
    if "-n" in arguments:
        plugins = ("xdist", *plugins)
    with start(workspace, *arguments, plugins=plugins, **environment) as process:
        out, _ = process.communicate(timeout=100)
    return Ended(process.returncode, out)


def documents(workspace: Workspace) -> list[RunReport]:
    """The run documents that the project has kept, oldest first."""
    paths = sorted((workspace.state / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [from_json(path.read_bytes(), name=path.name) for path in paths]


def document(path: Path) -> dict[str, Any]:
    """A run document as written."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
