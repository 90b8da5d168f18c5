"""Where keys of a pyproject.toml stand, and that its problems are told there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalrunner.errors import LoadError
from evalrunner.suite.config import load_project
from evalrunner.suite.toml_marks import toml_marks

from .conftest import Write

TEXT = """\
[project]  # 1
name = "x"
description = '''
[tool.evalrunner]
plugins = 1
'''
# \"\"\" does not open a string here
[tool.evalrunner]
plugins = ["a",
  "b"]
tiers.frontier = "m"
[ tool . evalrunner . models . "a.b" ]  # 12
model = "openai/x"
[[tool.evalrunner.cost.production]]
source = "fixed"
[[tool.evalrunner.cost.production]]
source = "focus"
[tool.evalrunner.cost.production.where]
x = 1
[other]
plugins = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("plugins",), 9),
        (("tiers", "frontier"), 11),
        (("models", "a.b"), 12),
        (("models", "a.b", "model"), 13),
        (("cost", "production", 0, "source"), 15),
        (("cost", "production", 1), 16),
        (("cost", "production", 1, "source"), 17),
        (("cost", "production", 1, "where", "x"), 19),
    ],
)
def test_each_key_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    mark = toml_marks(TEXT, ("tool", "evalrunner"))
    assert mark.line == 8
    for step in path:
        mark = mark.children[step]
    assert mark.line == line


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "[tool.evalrunner]\nfoo = 1\n[tool.evalrunner.cache]\n\nmax_age = 'x'\n",
            ["2: .foo.", "5: cache.max_age"],
        ),
        ("[tool.evalrunner]\n\nplugins = [2026-01-01]\n", ["3: 2026-01-01 must be quoted"]),
        ("[tool.evalrunner.cost]\nmax_usd_per_run = nan\n", ["2: nan is not"]),
        ("[project]\n\n[tool.evalrunner\n", ["3: this is not TOML: Expected"]),
        ("[project]\nevalrunner = [\n\n", ["2: this is not TOML: "]),
        ("[project]\n[tool]\nevalrunner = 3\n", ["3: tool.evalrunner must be a table, not 3"]),
    ],
)
def test_a_problem_is_told_with_its_own_line(
    tmp_path: Path, write: Write, text: str, problems: list[str]
) -> None:
    write("pyproject.toml", text)
    with pytest.raises(LoadError) as caught:
        load_project(tmp_path)
    told = [str(problem) for problem in caught.value.problems]
    assert len(told) == len(problems)
    for said, wanted in zip(told, problems, strict=True):
        assert re.match(rf"pyproject\.toml:{wanted}", said), said
