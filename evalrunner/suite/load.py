"""Suites from files: everything read, everything checked, all problems at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
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
from evalrunner.suite.salvage import Salvage, salvaged
from evalrunner.suite.spec import SuiteFile
from evalrunner.suite.tree import Document
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import FileRead, Project
from evalrunner.values.spec import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One suite file, as far as it can be read.

    Attributes:
        problems: All that is wrong with it, but for its rows. Where there is none, the suite is whole.
        loaded: The suite, without the parts that are wrong; ``None`` where nothing can be made of it.
        has_rows: Whether its rows and variables are those that it names.
    """

    problems: list[Problem]
    loaded: LoadedSuite | None = None
    has_rows: bool = True


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
    readings = [read_suite(project, path, offline=offline) for path in paths]
    problems = [problem for reading in readings for problem in reading.problems]
    loaded = [one.loaded for one in readings if one.loaded is not None and not one.problems]
    problems += names_given_twice(loaded)
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


def read_suite(project: Project, path: Path, *, offline: bool) -> Reading:
    """A suite file with all that is wrong with it; no row is looked at."""
    name = name_below(project.root, path)
    try:
        read = read_file(project.root, path)
        document = parse_document(read)
    except LoadError as error:
        return Reading(problems=error.problems)
    except ConfigError as error:
        return Reading(problems=[Problem(error.message, file=name, line=1, hint=error.hint)])
    if document.value is None:
        problem = document.problem("this suite is empty", hint="it needs prompts")
        return Reading(problems=[problem])
    found = salvaged(SuiteFile, document, stand_ins={"prompts": ["-"]})
    if found.value is None:
        return Reading(problems=found.problems)
    own = FileRead(path=read.path, sha256=read.sha256)
    return _reading(project, path, own, found, found.value, offline=offline)


def _reading(
    project: Project,
    path: Path,
    own: FileRead,
    found: Salvage[SuiteFile],
    file: SuiteFile,
    *,
    offline: bool,
) -> Reading:
    builder = SuiteBuilder(found.document, References(project.root, path))
    suite = builder.suite(file, project, default_name=path.stem)
    if found.has_lost("target"):  # the default would be another
        suite = replace(suite, targets=())
    problems = found.problems + builder.problems
    problems += _name_problems(suite, builder)
    problems += _model_problems(project, suite, builder)
    has_rows = found.touched.isdisjoint({"golden", "vars"})
    rows: RowFormat = OneEmptyRow(own.path)
    try:
        rows = _rows(file, builder, own, offline=offline)
    except ConfigError as error:
        has_rows = False
        problems += _golden_problems(error, found.document)
    files = dict.fromkeys((own, *builder.references.files, *rows.files))
    loaded = LoadedSuite(
        suite=suite,
        files=tuple(files),
        goldens=GoldenSource(rows, builder.row_checks),
        project=project,
    )
    return Reading(problems=problems, loaded=loaded, has_rows=has_rows)


def _golden_problems(error: ConfigError, document: Document) -> list[Problem]:
    if isinstance(error, LoadError):
        return error.problems
    return [document.problem(f"golden: {error.message}", ("golden",), hint=error.hint)]


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


def names_given_twice(loaded: Iterable[LoadedSuite]) -> list[Problem]:
    """A problem for each suite that has the name of an earlier one."""
    first: dict[str, Suite] = {}
    problems = []
    for one in loaded:
        earlier = first.setdefault(one.suite.name, one.suite)
        if earlier is not one.suite:
            message = f"the suite name {one.suite.name!r} is given twice, first in {earlier.path}"
            problems.append(Problem(message, file=one.suite.path, line=1))
    return problems
