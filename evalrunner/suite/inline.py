"""A suite that is written in Python instead of in a file: the same fields, the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from evalrunner.errors import ConfigError, LoadError
from evalrunner.suite.assemble import SuiteBuilder
from evalrunner.suite.files import name_below, resolve_reference
from evalrunner.suite.golden_formats import file_rows
from evalrunner.suite.goldens import GoldenSource
from evalrunner.suite.hub import parquet_rows
from evalrunner.suite.problems import sorted_problems
from evalrunner.suite.references import References
from evalrunner.suite.spec import SuiteFile
from evalrunner.suite.tree import Document, Mark
from evalrunner.suite.validate import validated
from evalrunner.values.exchange import Json
from evalrunner.values.project import Project
from evalrunner.values.spec import Suite


def inline_suite(
    fields: Mapping[str, Json], project: Project, *, name: str, file: Path, line: int
) -> Suite:
    """The suite of the fields that a suite file may have, without goldens.

    Args:
        fields: As in a suite file; ``file://`` is relative to *file*.
        project: The project that it belongs to.
        name: What it is called; it may be a path, since nobody else can be called so.
        file: The Python file that says it.
        line: Where it does.

    Raises:
        LoadError: All that is wrong with it, at that line.
    """
    place = name_below(project.root, file)
    document = Document(file=place, value=dict(fields), marks=Mark(line, 1))
    builder = SuiteBuilder(document, References(project.root, file))
    suite = builder.suite(validated(SuiteFile, document), project, default_name="inline")
    if builder.problems:
        raise LoadError(sorted_problems(builder.problems))
    return replace(suite, name=name)


def golden_file(project: Project, reference: str, *, folder: Path) -> GoldenSource:
    """The rows of a golden file, found below *folder*, else below the project's root.

    Raises:
        ConfigError: It is not there, lies outside the project, or is of no kind that we know.
    """
    root = project.root
    for base in (folder, root):
        if (base / reference).is_file():
            path = resolve_reference(f"file://{reference}", base / "inline.py", root)
            break
    else:
        raise ConfigError(
            f"there is no golden file {reference!r}",
            hint="a path is relative to the folder of the test, or to the project's root",
        )
    document = Document(file=name_below(root, path), value=None, marks=Mark(1, 1))
    builder = SuiteBuilder(document, References(root, path))
    rows = parquet_rows(root, path) if path.suffix == ".parquet" else file_rows(root, path)
    return GoldenSource(rows, builder.row_checks)
