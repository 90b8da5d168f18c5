"""What a command is about, read: its project and its suites."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalrunner.errors import UsageError
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.project import Project
from evalrunner.wiring.command import Command
from evalrunner.wiring.user_code import import_plugins

if TYPE_CHECKING:
    pass


def load(
    command: Command, loaded: Sequence[LoadedSuite] | None = None, *, with_code: bool = True
) -> tuple[Project, Sequence[LoadedSuite]]:
    """The project and the suites of a command, with the environment file and plugins in place.

    Rows of suites that are loaded here are not looked at yet. Without *with_code* no plugin is imported.
    """
    if command.verify_sample and (command.frozen or command.no_cache):
        other = "--frozen" if command.frozen else "--no-cache"
        raise UsageError(
            f"--verify-sample asks again what the cache holds, and {other} forbids that",
            hint=f"leave one of --verify-sample and {other} out",
        )
    if command.env_file:
        _read_env_file(command.env_file)
    # Only here: a run of few changed rows knows the project already, and YAML takes long to import.
    from evalrunner.suite.config import load_project
    from evalrunner.suite.discover import find_suites
    from evalrunner.suite.load import load_suites
    from evalrunner.wiring.policy import load_policy

    start = command.start or Path.cwd()
    policy = load_policy(command.policy) if command.policy else None
    if loaded:
        project = loaded[0].project
    else:
        project = policy.over(start) if policy else load_project(start, config=command.config)
        paths = find_suites(project, command.suites, start=start)
        loaded = load_suites(project, paths, check_rows=False, offline=command.frozen)
    if policy:
        loaded, notes = policy.rule(loaded, whole=not command.suites)
        project = replace(project, notes=notes)
    if command.safe:
        _refuse_user_code(project, loaded)
    if with_code:
        import_plugins(project.plugins, root=project.root)
    return project, loaded


def _refuse_user_code(project: Project, loaded: Sequence[LoadedSuite]) -> None:
    """What a suite brings along is neither run nor asked: code, commands, and hosts of its own."""
    offences = [f"plugins {list(project.plugins)}"] if project.plugins else []
    offences += [
        f"the {target.kind} target {target.label!r} of {one.suite.path}"
        for one in loaded
        for target in one.suite.targets
        if target.kind != "model"
    ]
    if offences:
        raise UsageError(
            f"--safe refuses {', '.join(offences)}",
            hint="run without --safe where you trust the files, or name other suites",
        )


def _read_env_file(path: Path) -> None:
    """Sets the variables of the file that the environment does not have already."""
    from evalrunner.adapters.env_file import read_env_file

    for name, value in read_env_file(path).items():
        os.environ.setdefault(name, value)
