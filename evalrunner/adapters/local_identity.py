"""Which file a ``local/`` model is, and the identity of who answers: its digest and its engine."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from evalrunner.errors import ConfigError
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.spec import Endpoint

DEFAULT_CONTEXT: Final = 4096
DEFAULT_SLOTS: Final = 4
ENGINE: Final = "xllamacpp"

_PACKAGE: Final = "package:"
_SETTLED_NS: Final = 2_000_000_000
"""A file younger than this may change again within one tick of its clock: its digest is not kept."""


def local_identity(endpoint: Endpoint, *, root: Path, digests: Path | None = None) -> str:
    """Who answers for a ``local/`` model, as canonical JSON: file digest, engine and context size.

    Nothing is imported or started for it. Reading the file is paid once: with ``digests``, a small
    JSON file that is written here, a file of unchanged path, size, times and inode is not read again.

    Raises:
        ConfigError: The file, its package or the engine is not there.
    """
    path = model_file(endpoint.model, root=root)
    return canonical_json(
        {
            "provider": "local",
            "sha256": _digest(path, digests),
            "engine": f"{ENGINE} {engine_version()}",
            "n_ctx": whole_number(endpoint.params, "n_ctx", DEFAULT_CONTEXT),
        }
    )


def model_file(model: str, *, root: Path) -> Path:
    """The file of ``PATH.gguf`` (relative to the project root) or of ``package:NAME/FILE.gguf``.

    The package is found, not imported.

    Raises:
        ConfigError: There is no such package or file.
    """
    path = _in_package(model) if model.startswith(_PACKAGE) else root / Path(model).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"the model file {model!r} is not there",
            hint="write local/PATH.gguf, relative to the project root, or local/package:NAME/FILE",
        )
    return path.resolve()


def engine_version() -> str:
    """The installed version of the engine, read from the name of its metadata folder.

    Raises:
        ConfigError: It is not installed.
    """
    for folder in _package_folders(ENGINE):
        for metadata in folder.parent.glob(f"{ENGINE}-*.dist-info"):
            return metadata.name.removeprefix(f"{ENGINE}-").removesuffix(".dist-info")
    raise ConfigError(
        "a local/ model needs the engine xllamacpp, which is not installed",
        hint="install evalrunner with the extra 'local'",
    )


def whole_number(params: Mapping[str, Json], name: str, default: int) -> int:
    """A setting of the server, or its default.

    Raises:
        ConfigError: It is not a whole number from 1 to a million.
    """
    value = params.get(name, default)
    if type(value) is int and 1 <= value <= 1_048_576:
        return value
    raise ConfigError(f"{name} of a local model is a whole number of at least 1, not {value!r}")


def _in_package(model: str) -> Path:
    package, _, name = model.removeprefix(_PACKAGE).partition("/")
    parts = Path(name).parts
    if not name or ".." in parts or Path(name).is_absolute():
        raise ConfigError(f"{model!r} names no file inside a package")
    folders = _package_folders(package.replace("-", "_"))
    if not folders:
        raise ConfigError(
            f"the package {package!r} of model {model!r} is not installed",
            hint=f"install {package}; it is only looked into, never imported",
        )
    return next(
        (folder / name for folder in folders if (folder / name).is_file()), folders[0] / name
    )


def _package_folders(package: str) -> list[Path]:
    if not package.isidentifier():
        return []
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _digest(path: Path, digests: Path | None) -> str:
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    known = _read(digests) if digests else {}
    entry = known.get(str(path))
    if isinstance(entry, list) and entry[:-1] == state and _is_digest(entry[-1]):
        return str(entry[-1])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    settled = time.time_ns() - stat.st_mtime_ns > _SETTLED_NS
    if digests and settled:
        _write(digests, {**known, str(path): [*state, digest]})
    return digest


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64


def _read(digests: Path) -> dict[str, object]:
    with suppress(OSError, ValueError, RecursionError):
        known = json.loads(digests.read_bytes())
        return known if isinstance(known, dict) else {}
    return {}


def _write(digests: Path, known: Mapping[str, object]) -> None:
    """Replaces the file; without it the next run only reads more."""
    draft = digests.with_name(f"{digests.name}.{os.getpid()}")
    with suppress(OSError):
        digests.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(known), encoding="utf-8")
        draft.replace(digests)
