"""What identifies an application under test: its files or its version, never an import of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from evalrunner.errors import ConfigError
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import canonical_json, digest
from evalrunner.values.spec import Target

LOCK_FILES: Final = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "Pipfile.lock",
    "requirements.txt",
)
_MOST_FILES: Final = 20_000
_SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "node_modules"})


def identity_of(target: Target, root: Path) -> tuple[str, bool, tuple[Path, ...]]:
    """The identity of an application as canonical JSON, whether its answers may be kept, its files.

    A Python callable is its top-level package's files and the project's lock files, or the files that
    ``watch`` names. HTTP and command targets may be kept only under a ``version``, since nobody here sees
    what stands behind them. No user code is imported.

    Raises:
        ConfigError: The package, or every file of a ``watch`` pattern, is missing.

    Example:
        >>> spec = {"command": ["./bot"], "version": "7"}
        >>> identity_of(Target(label="bot", kind="command", spec=spec), Path("."))[1]
        True
    """
    written = target.spec.get(target.kind)
    version = target.spec.get("version")
    patterns = _texts(target.spec.get("watch"), "watch")
    files: tuple[Path, ...] = ()
    if patterns:
        files = _watched(patterns, root)
    elif target.kind == "python":
        files = (*_package_files(str(written), root), *_lock_files(root))
    identity: dict[str, Json] = {
        "kind": target.kind,
        "application": digest(written),
        "version": None if version is None else str(version),
        "files": digest_of(files, root) if files else None,
    }
    return canonical_json(identity), target.kind == "python" or version is not None, files


def digest_of(files: Iterable[Path], root: Path) -> str:
    """One digest of the names and contents of files, whatever their order.

    Raises:
        ConfigError: A file cannot be read.
    """
    rows = []
    for path in sorted(set(files)):
        try:
            content = sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from error
        rows.append([os.path.relpath(path, root).replace(os.sep, "/"), content])
    return digest(rows)


def module_and_name(reference: str) -> tuple[str, str]:
    """The two halves of ``package.module:callable``.

    Raises:
        ConfigError: It has another form.
    """
    module, _, name = reference.partition(":")
    if name and all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        return module, name
    raise ConfigError(
        f"{reference!r} names no callable", hint='write python: "package.module:function"'
    )


def _package_files(reference: str, root: Path) -> tuple[Path, ...]:
    package = module_and_name(reference)[0].partition(".")[0]
    for base in (root, root / "src"):
        if (base / package).is_dir():
            return tuple(_files_below(base / package))
        if (base / f"{package}.py").is_file():
            return (base / f"{package}.py",)
    return _installed_files(package, reference)


def _installed_files(package: str, reference: str) -> tuple[Path, ...]:
    loaded = sys.modules.get(package)
    try:
        spec = loaded.__spec__ if loaded else find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec and spec.submodule_search_locations:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        return tuple(path for folder in folders for path in _files_below(folder))
    if spec and spec.origin and Path(spec.origin).is_file():
        return (Path(spec.origin),)
    raise ConfigError(
        f"the package {package!r} of target {reference!r} is not there",
        hint="it is looked for in the project root, in src/ and among the installed packages",
    )


def _files_below(folder: Path) -> Iterator[Path]:
    """Every regular file that can matter: no bytecode, no hidden folders, no followed links."""
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name not in _SKIPPED_FOLDERS and not name.startswith(".")
        )
        for name in sorted(names):
            path = Path(parent, name)
            if name.endswith((".pyc", ".pyo")) or not path.is_file():
                continue
            count += 1
            if count > _MOST_FILES:
                raise ConfigError(
                    f"{str(folder)!r} holds more than {_MOST_FILES:,} files",
                    hint="name those that matter: watch: [patterns]",
                )
            yield path


def _lock_files(root: Path) -> tuple[Path, ...]:
    return tuple(root / name for name in LOCK_FILES if (root / name).is_file())


def _watched(patterns: Sequence[str], root: Path) -> tuple[Path, ...]:
    found: set[Path] = set()
    for pattern in patterns:
        matches = [path for path in _matches(pattern, root) if path.is_file()]
        if not matches:
            raise ConfigError(
                f"watch: {pattern!r} matches no file",
                hint="patterns are relative to the project root; ** crosses folders",
            )
        found.update(matches)
    return tuple(sorted(found))


def _matches(pattern: str, root: Path) -> Iterator[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ConfigError(f"watch: {pattern!r} lies outside the project root")
    try:
        paths = list(root.glob(pattern))
    except ValueError as error:
        raise ConfigError(f"watch: {pattern!r} is not a pattern: {error}") from error
    base = root.resolve()
    return (path for path in paths if path.resolve().is_relative_to(base))


def _texts(value: Json, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping) or not isinstance(value, Sequence):
        raise ConfigError(f"{name} is not a list of texts: {value!r}")
    if not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{name} is not a list of texts: {value!r}")
    return tuple(str(item) for item in value)
