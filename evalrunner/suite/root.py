"""Where a project begins, and which file configures it. Needs the standard library only."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from evalrunner.errors import ConfigError, LoadError, Problem
from evalrunner.suite.files import read_file, text_of
from evalrunner.suite.toml_marks import toml_marks
from evalrunner.suite.tree import Mark, WrittenFloat
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import FileRead

CONFIG_NAME: Final = "evalrunner.yaml"
_PYPROJECT: Final = "pyproject.toml"
_LEVELS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRoot:
    """A project's folder, links resolved, and its configuration file, where there is one."""

    path: Path
    config: Path | None = None


def find_root(start: Path) -> ProjectRoot:
    """The project that ``start``, a file or folder, belongs to.

    The folder of the nearest configuration upwards, else the git root, else the folder itself.

    Raises:
        ConfigError: One folder holds both configurations.
        LoadError: A ``pyproject.toml`` on the way cannot be read.
    """
    folder = start.resolve()
    if not folder.is_dir():
        folder = folder.parent
    candidates = [folder, *folder.parents][:_LEVELS]
    for candidate in candidates:
        config = _config_in(candidate)
        if config is not None:
            return ProjectRoot(path=candidate, config=config)
    git = next((parent for parent in candidates if (parent / ".git").exists()), folder)
    return ProjectRoot(path=git)


def toml_section(read: FileRead) -> tuple[dict[str, object] | None, Mark]:
    """The table ``[tool.evalrunner]`` of a TOML file, and where it and its keys stand.

    Floats keep their text. The table is ``None`` where the file has none.

    Raises:
        LoadError: The file is not TOML, or what is called so is no table.
    """
    try:
        text = text_of(read.data, read.path)
        document = tomllib.loads(text, parse_float=WrittenFloat)
    except (ValueError, RecursionError) as error:
        raise LoadError([_not_toml(error, read)]) from None
    except ConfigError as error:
        raise LoadError([Problem(error.message, file=read.path, line=1)]) from None
    tool = document.get("tool")
    section = tool.get("evalrunner") if isinstance(tool, dict) else None
    marks = toml_marks(text, ("tool", "evalrunner")) if section is not None else Mark(1, 1)
    if section is None or isinstance(section, dict):
        return section, marks
    message = f"tool.evalrunner must be a table, not {section!r:.80}"
    raise LoadError(
        [Problem(message, file=read.path, line=marks.line, hint="write [tool.evalrunner]")]
    )


def _not_toml(error: Exception, read: FileRead) -> Problem:
    """What the parser says, with the line that it names at its end as ours."""
    message, _, place = str(error).partition(" (at ")
    line = place.removeprefix("line ").partition(",")[0]
    if place.startswith("end of document"):
        line = str(1 + read.data.rstrip().count(b"\n"))
    return Problem(
        f"this is not TOML: {message}", file=read.path, line=int(line) if line.isdigit() else 1
    )


def _config_in(folder: Path) -> Path | None:
    yaml_file, toml_file = folder / CONFIG_NAME, folder / _PYPROJECT
    has_toml = toml_file.is_file() and _has_section(folder, toml_file)
    if not yaml_file.exists():
        return toml_file if has_toml else None
    if has_toml:
        message = (
            f"both {CONFIG_NAME} and [tool.evalrunner] in {_PYPROJECT} configure {folder.name!r}"
        )
        raise ConfigError(message, hint=f"keep one of them; {CONFIG_NAME} is the usual one")
    return yaml_file


def _has_section(folder: Path, path: Path) -> bool:
    read = read_file(folder, path)
    if b"evalrunner" not in read.data:
        return False
    return toml_section(read)[0] is not None
