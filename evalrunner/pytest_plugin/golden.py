"""Golden rows for tests: ``golden("golden/x.jsonl")`` is what ``parametrize`` takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evalrunner.suite.config import load_project
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.inline import golden_file
from evalrunner.values.exchange import Json
from evalrunner.values.spec import CheckSpec, Golden, SourceRef

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
    caller: Any = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001  # where paths begin
    folder = Path(caller).parent if caller else Path.cwd()
    project = load_project(folder)
    source = golden_file(project, str(path), folder=folder)
    rows = row_ids(source.rows())
    return [pytest.param(Row(row_id, row), id=row_id) for row_id, row in rows]
