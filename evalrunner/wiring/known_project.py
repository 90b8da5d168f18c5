"""A project and its suites as the last run read them, while none of their files was touched since.

Reading them from YAML takes longer than all the rest of a run in which few rows have changed. What a
record says of a project names hosts and keys, and a store's folder may come from somewhere else; so it
is believed only of files that are, by inode and time of change, the very ones that were read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from evalrunner.adapters.state_dir import NAME
from evalrunner.adapters.unchanged_file import (
    digest_of,
    key_of,
    may_sign,
    ordinary_root,
    read_record,
    selection_of,
    touch_of,
)
from evalrunner.errors import EvalRunnerError, LoadError
from evalrunner.suite.golden_formats import JsonLines, file_rows
from evalrunner.suite.goldens import GoldenSource
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.plain_form import from_plain, to_plain
from evalrunner.values.project import FileRead, Project
from evalrunner.values.spec import SourceRef
from evalrunner.wiring.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProject:
    """What is known without reading YAML, and the record that it stands in."""

    project: Project
    suites: Sequence[LoadedSuite]
    record: Mapping[str, Any]


def record_name(command: Command, root: Path) -> str | None:
    """The name of the record, where the project below *root* is an ordinary one."""
    selection = selection_of(command.argv[1:]) if command.argv[:1] == ("run",) else None
    chooses = command.pattern or command.tags or command.limit or command.shard
    if selection is None or chooses or command.only_failed or command.baseline:
        return None
    here = os.path.relpath(command.start or Path.cwd(), root)
    return key_of(selection, here, os.environ) + ".rows"


def known_form(project: Project, loaded: Sequence[LoadedSuite]) -> dict[str, object] | None:
    """What the record keeps of them; ``None`` where it would not come back as it is."""
    own = [file.path for file in project.files]
    suites: list[dict[str, object]] = []
    try:
        for one in loaded:
            if not isinstance(one.goldens.format, JsonLines):
                return None
            files = [file.path for file in one.files if file not in one.goldens.files]
            golden = one.goldens.format.file
            suites.append({"suite": to_plain(one.suite), "files": files, "golden": golden})
            own += files
        form = to_plain(replace(project, files=()))
    except ValueError:
        return None
    touches = {path: touch_of(str(project.root / path)) for path in own}
    configuration = [file.path for file in project.files]
    return {"project": form, "files": configuration, "suites": suites, "touches": touches}


def known_project(command: Command) -> KnownProject | None:
    """The project and the suites of the last run with this command line; ``None`` to read them."""
    if command.config or command.policy or command.env_file or command.state_dir:
        return None
    start = command.start or Path.cwd()
    root = ordinary_root(str(start))
    name = None if root is None or may_sign(root) else record_name(command, Path(root))
    if root is None or name is None:
        return None
    record = read_record(os.path.join(root, NAME, "cache"), name)
    known = None if record is None else record.get("known")
    if record is None or not isinstance(known, dict):
        return None
    if any(touch_of(os.path.join(root, path)) != touch for path, touch in known["touches"].items()):
        return None
    try:
        project, suites = _read(known, Path(root))
    except (EvalRunnerError, ValueError, OSError):
        return None
    return KnownProject(project=project, suites=suites, record=record)


def _read(known: Mapping[str, Any], root: Path) -> tuple[Project, list[LoadedSuite]]:
    files = {path: _file(root, path) for path in known["touches"]}
    project = replace(from_plain(known["project"]), files=tuple(files[p] for p in known["files"]))
    if project.root != root:
        raise ValueError("another project")
    suites: list[LoadedSuite] = []
    for one in known["suites"]:
        goldens = GoldenSource(file_rows(root, root / one["golden"]), _no_checks)
        read = (*(files[path] for path in one["files"]), *goldens.files)
        suite = from_plain(one["suite"])
        suites.append(LoadedSuite(suite=suite, files=read, goldens=goldens, project=project))
    return project, suites


def _file(root: Path, path: str) -> FileRead:
    digest = digest_of(str(root / path))
    if digest is None:
        raise ValueError("a file is gone")
    return FileRead(path=path, sha256=digest)


def _no_checks(_value: Json, _source: SourceRef) -> NoReturn:
    """A row with checks of its own needs what reads suites."""
    raise LoadError([])
