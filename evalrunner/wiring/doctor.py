"""What would be slow, unsafe or missing on this machine, found without calling or importing anything."""

from __future__ import annotations

import os
import platform
import re
import site
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from evalrunner.adapters.sqlite_file import journal_mode, sqlite_version
from evalrunner.adapters.state_dir import NAME, StateDir
from evalrunner.errors import ConfigError, LedgerError, LoadError
from evalrunner.suite.config import load_project
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project
from evalrunner.version import __version__
from evalrunner.wiring.advice import undated_aliases
from evalrunner.wiring.ledgers import ledger_place, open_ledger
from evalrunner.wiring.secret_values import key_names
from evalrunner.wiring.store_health import store_findings

BAD_LITELLM: Final = frozenset({"1.82.7", "1.82.8"})
"""Releases that carried malware."""

EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    "litellm": ("litellm", "every provider that litellm knows"),
    "local": ("xllamacpp", "models from GGUF files, served here"),
    "redis": ("redis", "a cache that machines share"),
    "hf": ("datasets", "goldens from hf:// and Parquet"),
    "sql": ("sqlglot", "is-sql and contains-sql"),
}
"""The module that each extra brings, and what it is for."""

_KNOWN_PTH: Final = re.compile(
    r"distutils-precedence|_?virtualenv|a1_coverage|coverage.*|__editable__.*|easy-install"
    r"|zope.*-nspkg|sphinxcontrib.*-nspkg|google.*-nspkg|matplotlib.*-nspkg|pywin32|debugpy.*"
)
_EXECUTES: Final = re.compile(rb"^import[ \t]", re.MULTILINE)


class Health(StrEnum):
    """How a finding is meant: as it should be, to be looked at, or broken."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    health: Health
    subject: str
    text: str


def examine(
    *, start: Path | None = None, config: Path | None = None, state_dir: Path | None = None
) -> Iterator[Finding]:
    """Looks at the installation, the project and its state; no user code is imported, nobody asked.

    Only a configuration that cannot be used is an error.
    """
    yield from _versions()
    yield from _extras()
    yield from _startup_files()
    try:
        project = load_project(start or Path.cwd(), config=config)
    except LoadError as error:
        for problem in error.problems:
            yield Finding(Health.ERROR, "config", str(problem))
        return
    except ConfigError as error:
        yield Finding(Health.ERROR, "config", error.message)
        return
    yield from _configuration(project)
    yield from _state(project, state_dir)
    yield from _credentials(project)


def _versions() -> Iterator[Finding]:
    yield Finding(Health.OK, "evalrunner", __version__)
    yield Finding(Health.OK, "python", f"{platform.python_version()} on {platform.platform()}")
    mode = journal_mode()
    why = "" if mode == "wal" else " (its write-ahead log may corrupt files; a newer one is faster)"
    yield Finding(Health.OK, "sqlite", f"{sqlite_version()}, journal {mode}{why}")


def _extras() -> Iterator[Finding]:
    for extra, (module, purpose) in EXTRAS.items():
        version = _version_of(module)
        if version is None:
            yield Finding(
                Health.OK,
                f"extra {extra}",
                f"not installed ({purpose}); from a checkout: pip install -e '.[{extra}]'",
            )
        elif module == "litellm" and version in BAD_LITELLM:
            yield Finding(
                Health.WARNING,
                f"extra {extra}",
                f"litellm {version} carried malware: remove it, and change every key on this machine",
            )
        else:
            yield Finding(Health.OK, f"extra {extra}", f"{module} {version}")


def _version_of(module: str) -> str | None:
    """The installed version, read and not imported."""
    if find_spec(module) is None:
        return None
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _startup_files() -> Iterator[Finding]:
    """Path files that run code whenever Python starts: how the bad litellm releases did their work."""
    folders = {*site.getsitepackages(), *(p for p in sys.path if p.endswith("site-packages"))}
    for folder in sorted(folders):
        for path in sorted(Path(folder).glob("*.pth")):
            if _KNOWN_PTH.fullmatch(path.stem) or not _runs_code(path):
                continue
            text = f"{path.name} runs code whenever Python starts; look what it is"
            yield Finding(Health.WARNING, "start-up", text)


def _runs_code(path: Path) -> bool:
    try:
        return _EXECUTES.search(path.read_bytes()[: 1024 * 1024]) is not None
    except OSError:
        return True


def _configuration(project: Project) -> Iterator[Finding]:
    if project.config_path is None:
        text = f"none found; the project is {str(project.root)!r}; type: evalrunner init"
        yield Finding(Health.WARNING, "config", text)
        return
    models = ", ".join(sorted(project.models)) or "no models"
    yield Finding(Health.OK, "config", f"{project.config_path} ({models})")
    for line in undated_aliases(project.models.values()):
        yield Finding(Health.WARNING, "models", line)
    if any(endpoint.client == "litellm" for endpoint in project.models.values()):
        if find_spec("litellm") is None:
            yield Finding(Health.WARNING, "models", "a model needs the extra litellm")
        else:
            text = "a model is asked through litellm, whose import costs seconds at the first call"
            yield Finding(Health.OK, "models", text)


def _state(project: Project, state_dir: Path | None) -> Iterator[Finding]:
    state = StateDir(state_dir or project.root / NAME)
    if not state.path.exists():
        yield Finding(Health.OK, "state", f"{state.path} is made by the first run")
        return
    if not os.access(state.path, os.W_OK):
        yield Finding(Health.WARNING, "state", f"{state.path} cannot be written")
    else:
        yield Finding(Health.OK, "state", f"{state.path}, runs kept: {len(state.run_ids())}")
    yield from _cache(project, state)
    yield _ledger(project, state)


def _cache(project: Project, state: StateDir) -> Iterator[Finding]:
    for found in store_findings(project, state):
        yield Finding(Health.OK if found.sound else Health.WARNING, "cache", found.text)


def _ledger(project: Project, state: StateDir) -> Finding:
    try:
        place = ledger_place(project, state)
        if isinstance(place, Path) and not place.exists():
            return Finding(Health.OK, "ledger", "made by the first run")
        open_ledger(project, state, run_id="doctor").close()
    except (LedgerError, ConfigError) as error:
        return Finding(Health.WARNING, "ledger", error.message)
    return Finding(Health.OK, "ledger", f"{place} can be read and written")


def _credentials(project: Project) -> Iterator[Finding]:
    """The variables that hold keys, by name; no value is ever shown."""
    wanted = {e.api_key_env for e in project.models.values() if e.api_key_env}
    for name in sorted(key_names(project.models.values(), ())):
        if os.environ.get(name, "").strip():
            yield Finding(Health.OK, "key", f"{name} is set")
        elif name in wanted:
            text = f"{name} is not set, and a model of the configuration needs it"
            yield Finding(Health.WARNING, "key", text)
