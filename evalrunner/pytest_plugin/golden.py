"""Golden rows for tests: ``golden("golden/x.jsonl")`` is what ``parametrize`` takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evalrunner.suite.config import load_project
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.inline import golden_file
from evalrunner.values.exchange import Json
from evalrunner.values.spec import CheckSpec, Golden, SourceRef
from evalrunner.wiring.session_settings import Settings

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


class Row(dict[str, Json]):
    """A golden row: a mapping of its variables, and what is reserved beside them.

    Given to ``llm_eval`` as ``vars``, it brings its checks, tags and description along.

    Attributes:
        id: The row's id, the same as in suites over the same file.
        description: What it is about, where it says so.
        tags: Its tags.
        checks: Its own checks.
        source: Its file and line.
    """

    def __init__(self, row_id: str, golden: Golden) -> None:
        super().__init__(golden.vars)
        self.id = row_id
        self.description: str | None = golden.description
        self.tags: Mapping[str, str] = golden.tags
        self.checks: tuple[CheckSpec, ...] = golden.checks
        self.source: SourceRef = golden.source


def golden(path: str | Path) -> list[ParameterSet]:
    """The rows of a golden file, each a parameter whose id is the row's.

    ::

        @pytest.mark.parametrize("row", golden("golden/support.jsonl"))
        def test_reply(llm_eval, row):
            llm_eval("Answer the customer: {{question}}", row, checks=["is-json"])

    Args:
        path: Relative to the folder of the test, or to the project's root. It may lie nowhere else.

    Raises:
        EvalRunnerError: There is no such file, or rows in it are not good: every problem with its line.
    """
    folder = _folder_of_caller()
    project = load_project(folder, config=Settings().config)
    source = golden_file(project, str(path), folder=folder)
    rows = row_ids(source.rows())
    return [pytest.param(Row(row_id, row), id=row_id) for row_id, row in rows]


def _folder_of_caller() -> Path:
    """The folder of the test that calls :func:`golden`; else the current one."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame else None
    file = frame.f_globals.get("__file__") if frame else None
    return Path(file).parent if file else Path.cwd()
