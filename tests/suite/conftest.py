"""A project in a temporary folder, written file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the project's root and returns its path."""
    (tmp_path / ".git").mkdir()

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


Load = Callable[..., LoadedSuite]


@pytest.fixture
def load(tmp_path: Path, write: Write) -> Load:
    """Loads one suite text, with a golden file beside it where one is given."""

    def load_one(text: str, *, golden: str | bytes = "", ending: str = "jsonl") -> LoadedSuite:
        if golden:
            write(f"golden/rows.{ending}", golden)
            text += f"\ngolden: file://../golden/rows.{ending}\n"
        write("suites/one.yaml", text)
        project = load_project(tmp_path)
        return load_suites(project, find_suites(project))[0]

    return load_one
