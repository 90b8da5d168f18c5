"""Which files are suites, decided without opening any that are not."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

ENDINGS: Final = frozenset({".yaml", ".yml"})
_PROMPTS: Final = re.compile(rb"""^[ {]*["']?prompts["']?\s*:""", re.MULTILINE)
_MOST_LOOKED_AT: Final = 1 << 20


def is_suite(path: Path, *, named: bool) -> bool:
    """Whether a YAML file is to be collected.

    One below the ``suites/`` folder of a project with a configuration is. So is one that is named on
    the command line, if it has ``prompts``: other plugins collect YAML files too.
    """
    if path.name.startswith("."):
        return False
    return _lies_below_suites(path) or (named and _has_prompts(path))


def _lies_below_suites(path: Path) -> bool:
    if "suites" not in path.parts[:-1]:
        return False
    root = _project(path.parent)
    return root is not None and path.relative_to(root).parts[0] == "suites"


@lru_cache(maxsize=1024)
def _project(folder: Path) -> Path | None:
    """The nearest folder upwards with a configuration."""
    if (folder / "evalrunner.yaml").is_file() or _configures(folder / "pyproject.toml"):
        return folder
    return _project(folder.parent) if folder.parent != folder else None


def _configures(path: Path) -> bool:
    try:
        text = path.read_bytes()
        if b"evalrunner" not in text:
            return False
        import tomllib  # seldom needed, and nothing that pytest has loaded already

        return "evalrunner" in tomllib.loads(text.decode())["tool"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _has_prompts(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PROMPTS.search(file.read(_MOST_LOOKED_AT)) is not None
    except OSError:
        return False
