"""The client of an application under test, by its kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.target_command import CommandTarget
from evalrunner.adapters.target_http import HttpTarget
from evalrunner.adapters.target_identity import identity_of
from evalrunner.adapters.target_python import PythonTarget
from evalrunner.engine.ports import TargetClient
from evalrunner.errors import ConfigError
from evalrunner.values.spec import Target

__all__ = ["identity_of", "target_client"]


def target_client(
    target: Target, *, root: Path, environ: Mapping[str, str] | None = None
) -> TargetClient:
    """The client that asks an application; nothing is imported, connected or run yet.

    Args:
        target: An application: ``python``, ``http`` or ``command``.
        root: The project root.
        environ: The variables of the process, or those that stand for them.

    Raises:
        ConfigError: It is no application, or its setting has the wrong form.
    """
    variables = os.environ if environ is None else environ
    keys = KeyRing(variables)
    match target.kind, target.spec.get(target.kind):
        case "python", str() as reference:
            return PythonTarget(reference, label=target.label, root=root, keys=keys)
        case "http", Mapping() as spec:
            return HttpTarget(spec, label=target.label, environ=variables, keys=keys)
        case "command", Sequence() as argv if argv and not isinstance(argv, str):
            named = target.spec.get("env")
            allowed = named if isinstance(named, Sequence) and not isinstance(named, str) else ()
            return CommandTarget(
                [str(word) for word in argv],
                label=target.label,
                root=root,
                environ=variables,
                keys=keys,
                allowed=[str(name) for name in allowed],
            )
        case _:
            pass
    raise ConfigError(
        f"target {target.label!r} is no application: {target.kind!r}",
        hint='write {python: "module:function"}, {http: {url: …}} or {command: [program, …]}',
    )
