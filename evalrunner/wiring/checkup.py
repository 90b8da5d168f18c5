"""Everything that can be found wrong, or doubtful, before anything is called or imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from evalrunner.adapters.local_identity import model_file
from evalrunner.engine.expand import MOST_PROBLEMS, Variant, of_row
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, LoadError, Problem, TemplateError
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.endpoints import plain_endpoint
from evalrunner.suite.load import Reading, names_given_twice, read_suite
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.problems import sorted_problems
from evalrunner.suite.render import JsonTemplate, PromptTemplate
from evalrunner.suite.root import find_root
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project, Tiers
from evalrunner.values.spec import Endpoint
from evalrunner.wiring.advice import (
    check_cautions,
    uncached_targets,
    undated_aliases,
    unreachable_gate,
)
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import function_finder


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSuite:
    """A suite without a problem. ``rows`` and ``cases`` are ``None`` where its rows are far away."""

    path: str
    checks: int
    rows: int | None = None
    cases: int | None = None


@dataclass(slots=True, kw_only=True)
class Checkup:
    """What was found: suites that can be run, problems of the others, and doubts."""

    suites: list[CheckedSuite] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_everything(
    names: Sequence[str] = (), *, start: Path | None = None, config: Path | None = None
) -> Checkup:
    """Loads configuration and suites, fills in every template, seats every judge, and calls nothing.

    No user code is imported: files that checks name are looked at, and unknown checks may be a plugin's.
    Where the configuration has problems, the suites are checked for everything but models.

    Args:
        names: Suite files or folders; all of them by default.
        start: Where the project is looked for.
        config: The configuration, instead of the nearest.

    Raises:
        ConfigError: There is no telling what to check: two configurations, or no such suite.
    """
    start = start or Path.cwd()
    found = Checkup()
    project = _project(start, config, found)
    assembly = _assembly(project)
    paths = find_suites(project, names, start=start)
    readings = [read_suite(project, path, offline=True) for path in paths]
    for reading in readings:
        _check(reading, assembly, found)
    found.problems += names_given_twice(one.loaded for one in readings if one.loaded)
    found.problems = sorted_problems(found.problems)
    found.warnings += undated_aliases(assembly.endpoints.values())
    found.warnings += uncached_targets(assembly.uncached)
    found.warnings += _missing_models(assembly)
    return found


def _project(start: Path, config: Path | None, found: Checkup) -> Project:
    try:
        return load_project(start, config=config)
    except LoadError as error:
        found.problems += error.problems
        root = config.resolve().parent if config else find_root(start).path
        anyone = "any/model"
        return Project(
            root=root,
            models=_AnyModel(),
            tiers=Tiers(proxy=anyone, frontier=anyone),
            plugins=("unknown",),
        )


class _AnyModel(Mapping[str, Endpoint]):
    """Stands in for the models of a configuration that cannot be read: every name is known."""

    def __getitem__(self, name: str) -> Endpoint:
        return plain_endpoint("any/model")

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _assembly(project: Project) -> Assembly:
    root = project.root
    return Assembly(
        project=project,
        load=lambda suite: function_finder(root, folder=(root / suite.path).parent),
        look_only=True,
        plugins_absent=bool(project.plugins),
    )


def _check(reading: Reading, assembly: Assembly, found: Checkup) -> None:
    """Whatever is wrong with one suite, all of it; what cannot be read hides nothing else."""
    loaded, problems = reading.loaded, [*reading.problems]
    if loaded is None:
        found.problems += problems
        return
    suite, near = loaded.suite, reading.has_rows and not loaded.goldens.remote
    rows = cases = None
    problems += loaded.goldens.problems() if near else []
    try:
        variants = assembly.variants(suite)
        found.warnings += check_cautions([suite])
        if near and not problems:
            rows, cases = _counted(loaded, assembly, variants)
    except LoadError as error:
        problems += error.problems
    if problems:
        found.problems += problems + (_row_problems(loaded, assembly) if near else [])
        return
    if cases is not None:
        found.warnings += unreachable_gate(suite, cases // (suite.repeat.n or 1))
    found.suites.append(
        CheckedSuite(path=suite.path, checks=len(suite.checks), rows=rows, cases=cases)
    )


def _counted(
    loaded: LoadedSuite, assembly: Assembly, variants: Sequence[Variant]
) -> tuple[int, int]:
    """How many rows and cases there are; all of them are made, none is kept."""
    cases = sum(1 for _ in assembly.suite_cases(loaded, variants, Selection()))
    each = len(variants) * len(loaded.suite.prompts) * loaded.suite.repeat.n
    return cases // each, cases


def _row_problems(loaded: LoadedSuite, assembly: Assembly) -> list[Problem]:
    """What is wrong with good rows in their suite, where that has been found of no use already."""
    suite = loaded.suite
    problems: list[Problem] = []
    templates: list[PromptTemplate | JsonTemplate] = [
        *map(PromptTemplate, suite.prompts),
        *(JsonTemplate(spec.value, spec.source) for spec in suite.checks),
    ]
    for row in loaded.goldens.good_rows():
        variables = {**suite.vars, **row.vars}
        for template in templates:
            try:
                template.render(variables)
            except TemplateError as error:
                problems.append(of_row(error.problem, row))
        if row.checks:
            problems += assembly.check_problems(replace(suite, checks=row.checks))
        if len(problems) >= MOST_PROBLEMS:
            break
    return problems


def _missing_models(assembly: Assembly) -> Iterator[str]:
    """A line for each local model whose file is not on this machine."""
    for endpoint in assembly.endpoints.values():
        if endpoint.provider != "local":
            continue
        try:
            model_file(endpoint.model, root=assembly.project.root)
        except ConfigError as error:
            yield f"{endpoint.name}: {error.message}"
