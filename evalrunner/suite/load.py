"""Suites from files: everything read, everything checked, all problems at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.assemble import SuiteBuilder
from evalrunner.suite.document import parse_document
from evalrunner.suite.endpoints import endpoint_for
from evalrunner.suite.files import FILE_SCHEME, name_below, read_file, resolve_reference
from evalrunner.suite.golden_formats import DocumentRows, OneEmptyRow, file_rows
from evalrunner.suite.goldens import GoldenSource, RowFormat
from evalrunner.suite.hub import SCHEME, hub_rows, parquet_rows
from evalrunner.suite.labels import checked_label
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.problems import sorted_problems
from evalrunner.suite.references import References
from evalrunner.suite.spec import SuiteFile
from evalrunner.suite.validate import validated
from evalrunner.values.project import FileRead, Project
from evalrunner.values.spec import Suite


def load_suites(
    project: Project, paths: Iterable[Path], *, check_rows: bool = True, offline: bool = False
) -> tuple[LoadedSuite, ...]:
    """The suites of these files.

    Args:
        project: The project that they belong to.
        paths: The files, from :func:`~evalrunner.suite.discover.find_suites`.
        check_rows: Read every golden row once, so that bad rows are found before money is spent. Rows
            of a data set on the network are never read here.
        offline: Data sets may only come from what is on this machine.

    Raises:
        LoadError: All problems of all files, by file and line.
    """
    loaded: list[LoadedSuite] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            loaded.append(_load(project, path, offline=offline))
        except LoadError as error:
            problems += error.problems
    problems += _names_given_twice(loaded)
    if check_rows or problems:  # once something is wrong, all of it is told
        problems += _row_problems(loaded)
    if problems:
        raise LoadError(sorted_problems(problems))
    return tuple(loaded)


def require_good_rows(loaded: Iterable[LoadedSuite]) -> None:
    """What ``check_rows`` does, for suites that were loaded without it.

    Raises:
        LoadError: All problems of all rows.
    """
    problems = _row_problems(loaded)
    if problems:
        raise LoadError(sorted_problems(problems))


def _row_problems(loaded: Iterable[LoadedSuite]) -> list[Problem]:
    problems: list[Problem] = []
    for one in loaded:
        problems += [] if one.goldens.remote else one.goldens.problems()
    return problems


def _load(project: Project, path: Path, *, offline: bool) -> LoadedSuite:
    name = name_below(project.root, path)
    try:
        read = read_file(project.root, path)
    except ConfigError as error:
        raise LoadError([Problem(error.message, file=name, line=1, hint=error.hint)]) from None
    document = parse_document(read)
    if document.value is None:
        raise document.error("this suite is empty", hint="it needs prompts")
    file = validated(SuiteFile, document)
    references = References(project.root, path)
    builder = SuiteBuilder(document, references)
    suite = builder.suite(file, project, default_name=path.stem)
    problems = builder.problems
    problems += _name_problems(suite, builder)
    problems += _model_problems(project, suite, builder)
    rows: RowFormat = OneEmptyRow(document.file)
    try:
        rows = _rows(file, builder, FileRead(path=read.path, sha256=read.sha256), offline=offline)
    except LoadError as error:
        problems += error.problems
    except ConfigError as error:
        problems.append(document.problem(f"golden: {error.message}", ("golden",), hint=error.hint))
    if problems:
        raise LoadError(problems)
    own = FileRead(path=read.path, sha256=read.sha256)
    files = dict.fromkeys((own, *references.files, *rows.files))
    return LoadedSuite(
        suite=suite,
        files=tuple(files),
        goldens=GoldenSource(rows, builder.row_checks),
        project=project,
    )


def _rows(file: SuiteFile, builder: SuiteBuilder, own: FileRead, *, offline: bool) -> RowFormat:
    golden, root = file.golden, builder.references.root
    if golden is None:
        return OneEmptyRow(builder.document.file)
    if not isinstance(golden, str):
        return DocumentRows(builder.document, ("golden",), (own,))
    if golden.startswith(SCHEME):
        return hub_rows(golden, builder.references.from_file, root, offline=offline)
    if not golden.startswith(FILE_SCHEME):
        hint = f"write {FILE_SCHEME}PATH, relative to this file, or {SCHEME}owner/name?revision=…"
        raise ConfigError(f"{golden[:200]!r} is no reference", hint=hint)
    path = resolve_reference(golden, builder.references.from_file, root)
    if path.suffix.lower() == ".parquet":
        return parquet_rows(root, path)
    return file_rows(root, path)


def _name_problems(suite: Suite, builder: SuiteBuilder) -> list[Problem]:
    try:
        checked_label(suite.name)
    except ValueError as error:
        hint = "give the suite a name: of its own"
        return [builder.document.problem(f"name: {error}", ("name",), hint=hint)]
    return []


def _model_problems(project: Project, suite: Suite, builder: SuiteBuilder) -> list[Problem]:
    """Models that the suite names and nobody knows. A tier without a model is the run's affair."""
    named = [(target.model, target.source.line) for target in suite.targets]
    named += [(check.model, check.source.line) for check in suite.checks]
    problems = []
    for model, line in named:
        if model is None or model in ("proxy", "frontier"):
            continue
        try:
            endpoint_for(project, model)
        except ConfigError as error:
            file = builder.document.file
            problems.append(Problem(error.message, file=file, line=line, hint=error.hint))
    return problems


def _names_given_twice(loaded: Iterable[LoadedSuite]) -> list[Problem]:
    first: dict[str, Suite] = {}
    problems = []
    for one in loaded:
        earlier = first.setdefault(one.suite.name, one.suite)
        if earlier is not one.suite:
            message = f"the suite name {one.suite.name!r} is given twice, first in {earlier.path}"
            problems.append(Problem(message, file=one.suite.path, line=1))
    return problems
