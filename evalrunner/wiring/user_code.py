"""The user's own code: plugins that register checks, and functions that suites name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from evalrunner.errors import ConfigError


def import_plugins(names: Iterable[str], *, root: Path) -> None:
    """Imports the modules that register checks, with the project root on the path.

    Raises:
        ConfigError: One is not there, or fails while it is imported.
    """
    for name in names:
        _import(name, root=root, why=f"the plugin {name!r}")


def function_loader(root: Path) -> Callable[[str], Callable[..., object]]:
    """Finds functions by ``file://PATH.py:NAME`` or ``package.module:NAME``, below *root* only."""

    def load(reference: str) -> Callable[..., object]:
        place, _, name = reference.removeprefix("file://").rpartition(":")
        module = (
            _from_file(root, place)
            if place.endswith(".py")
            else _import(place, root=root, why=repr(reference))
        )
        function = getattr(module, name, None)
        if not callable(function):
            raise ConfigError(
                f"{reference!r} names no function", hint=f"define {name!r} in {place!r}"
            )
        return function  # type: ignore[no-any-return]  # callable, as just seen

    return load


def _from_file(root: Path, place: str) -> object:
    path = (root / place).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise ConfigError(f"{place!r} is no file inside the project")
    name = f"evalrunner_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{place!r} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{place!r} fails while it is imported: {error}") from error
    return module


def _import(name: str, *, root: Path, why: str) -> object:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{why} cannot be imported: {error}") from error
    except Exception as error:
        raise ConfigError(f"{why} fails while it is imported: {error}") from error
