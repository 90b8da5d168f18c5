"""The user's own code: plugins that register checks, and functions that suites name."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from evalrunner.errors import ConfigError

Function = Callable[..., object]
Load = Callable[[str], Function]


def import_plugins(names: Iterable[str], *, root: Path) -> None:
    """Imports the modules that register checks, with the project root on the path.

    Raises:
        ConfigError: One is not there, or fails while it is imported.
    """
    for name in names:
        _import(name, root=root, why=f"the plugin {name!r}")


def function_loader(root: Path, *, folder: Path | None = None) -> Load:
    """Finds functions by ``path.py:name`` or ``package.module:name``, below *root* only.

    A file is executed once, however many suites name it, and may import its project's own modules.

    Args:
        root: The project's root.
        folder: The folder that paths are relative to first, that of the suite; else the root.
    """

    def load(reference: str) -> Function:
        place, name = _parts(reference)
        module = (
            _from_file(_file(place, root, folder), root)
            if place.endswith(".py")
            else _import(place, root=root, why=repr(reference))
        )
        function = getattr(module, name, None)
        if not callable(function):
            raise ConfigError(
                f"{reference!r} names no function", hint=f"define {name!r} in {place!r}"
            )
        found: Function = function
        return found

    return load


def refusing_loader(reference: str) -> Function:
    """The loader of ``--safe``.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"--safe refuses user code: {reference!r}", hint="run it without --safe")


def function_finder(root: Path, *, folder: Path | None = None) -> Load:
    """Looks for functions as :func:`function_loader` does, without running a line of them.

    What it returns cannot be called with success. A file is read and parsed; of a package only the
    folder is looked for.
    """

    def find(reference: str) -> Function:
        place, name = _parts(reference)
        if not place.endswith(".py"):
            _require_package(place.partition(".")[0], root, reference)
        elif name not in _defined_in(_file(place, root, folder), place):
            raise ConfigError(
                f"{reference!r} names no function", hint=f"define {name!r} in {place!r}"
            )
        return _unloaded

    return find


def require_callable(reference: str, root: Path) -> None:
    """Looks for the callable of a target, as far as that can be done without running a line of it.

    Modules outside the project, and names that a module takes from elsewhere with ``*``, are believed.

    Raises:
        ConfigError: The project's own module is not there, is no Python, or has no such name.
    """
    module, _, name = reference.partition(":")
    path = _module_file(module, root)
    if path is None:
        return
    place = path.relative_to(root).as_posix()
    names = _defined_in(path, place)
    if name.partition(".")[0] not in names and not names & {"*", "__getattr__"}:
        raise ConfigError(f"{reference!r} names nothing to call", hint=f"define it in {place}")


def _module_file(module: str, root: Path) -> Path | None:
    """The source of one of the project's own modules; ``None`` where its package is somebody else's."""
    package, *_ = parts = module.split(".")
    for base in (root / "src", root):
        if not (base / package).is_dir() and not (base / f"{package}.py").is_file():
            continue
        stem = base.joinpath(*parts)
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                return path
        if stem.is_dir() or any(stem.parent.glob(f"{parts[-1]}.*")):
            return None  # a namespace, or a module that is compiled
        hint = f"its package {package!r} has no such file"
        raise ConfigError(f"the module {module!r} is not there", hint=hint)
    return None


def _unloaded(*_: object) -> object:
    raise ConfigError("this function was looked for and not imported")


def _parts(reference: str) -> tuple[str, str]:
    place, _, name = reference.removeprefix("file://").rpartition(":")
    return place, name


def _file(place: str, root: Path, folder: Path | None) -> Path:
    for base in (folder or root, root):
        path = (base / place).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path
    raise ConfigError(
        f"{place!r} is no file inside the project",
        hint="a path is relative to the folder of the suite, or to the project's root",
    )


def _defined_in(path: Path, place: str) -> set[str]:
    """The names that a module's text assigns, defines or imports at its top level."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, OSError) as error:
        raise ConfigError(f"{place!r} cannot be read as Python: {error}") from None
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.asname or name.name for name in node.names}
        else:  # names may be bound within an if, a try or a with as well
            found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            found |= {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
    return found


def _require_package(package: str, root: Path, reference: str) -> None:
    if (root / package).is_dir() or (root / f"{package}.py").is_file():
        return
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"the package {package!r} of {reference!r} is not there",
            hint="it is looked for in the project root and among the installed packages",
        )


def _from_file(path: Path, root: Path) -> ModuleType:
    name = f"evalrunner_user_{path.stem}_{sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    _put_on_path(root)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.name!r} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up by its name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"{path.name!r} fails while it is imported: {_told(error)}") from error
    return module


def _import(name: str, *, root: Path, why: str) -> ModuleType:
    _put_on_path(root)
    _forget_namesake(name.partition(".")[0], root)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{why} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{why} fails while it is imported: {_told(error)}") from error


def _forget_namesake(package: str, root: Path) -> None:
    """Lets another project's package of the same name go, where this project has one of its own."""
    file = getattr(sys.modules.get(package), "__file__", None)
    own = (root / package).is_dir() or (root / f"{package}.py").is_file()
    if file and own and not Path(file).resolve().is_relative_to(root.resolve()):
        for name in [each for each in sys.modules if each.partition(".")[0] == package]:
            del sys.modules[name]


def _put_on_path(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
