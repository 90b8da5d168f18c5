"""Which files are suites."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from evalrunner.errors import ConfigError
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.project import Project

ENDINGS: Final = (".yaml", ".yml", ".json")
SUITES_FOLDER: Final = "suites"
_MAX_SUITES: Final = 10_000


def find_suites(
    project: Project, names: Sequence[str] = (), *, start: Path | None = None
) -> tuple[Path, ...]:
    """The suite files that are meant, each once, sorted within every name.

    Args:
        project: The project.
        names: Files or folders, relative to ``start``, else to the root. None: the globs of the
            configuration's ``suites:``, else every YAML or JSON file below ``suites/``.
        start: The folder that names are relative to first.

    Raises:
        ConfigError: A name is not there, or is no suite.
    """
    found: dict[Path, None] = {}
    for path in _meant(project, names, start):
        found.setdefault(path, None)
        if len(found) > _MAX_SUITES:
            raise ConfigError(f"there are more than {_MAX_SUITES:,} suites")
    return tuple(found)


def _meant(project: Project, names: Sequence[str], start: Path | None) -> Iterator[Path]:
    if names:
        for name in names:
            yield from _named(project, name, start or project.root)
    elif project.suites:
        for pattern in project.suites:
            yield from _globbed(project, pattern)
    else:
        yield from _below(project.root / SUITES_FOLDER)


def _named(project: Project, name: str, start: Path) -> Iterable[Path]:
    for base in (start, project.root):
        path = _absolute(base, name)
        if path.is_dir():
            return _below(path)
        if path.is_file():
            if path.suffix.lower() not in ENDINGS:
                raise ConfigError(
                    f"{name!r} is no suite", hint=f"a suite ends in {', '.join(ENDINGS)}"
                )
            return [path]
    raise ConfigError(f"there is no suite {name!r}", hint=_hint(project, name))


def _absolute(base: Path, name: str) -> Path:
    if not name or "\0" in name:
        raise ConfigError(f"{name!r} is not the name of a suite")
    return Path(os.path.normpath(base / name))


def _hint(project: Project, name: str) -> str | None:
    known = [path.relative_to(project.root).as_posix() for path in _below(project.root / "suites")]
    by_stem = [path for path in known if Path(path).stem == name]
    if by_stem:
        return f"did you mean {by_stem[0]!r}?"
    return did_you_mean(name, known)


def _below(folder: Path) -> list[Path]:
    """The files below a folder that may be suites; hidden ones and links to folders are not."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if name.lower().endswith(ENDINGS) and not name.startswith(".")
        ]
    return sorted(found)


def _globbed(project: Project, pattern: str) -> list[Path]:
    if pattern.startswith("/") or ".." in Path(pattern).parts or "\0" in pattern:
        raise ConfigError(f"suites: {pattern!r} may not lead out of the project")
    try:
        found = [path for path in project.root.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError, IndexError):
        raise ConfigError(f"suites: {pattern!r} is not a pattern of paths") from None
    return sorted(path for path in found if path.suffix.lower() in ENDINGS)
