"""Which keys a run would need and does not have, found without a call."""

from __future__ import annotations

from collections.abc import Sequence

from evalrunner.adapters.credentials import KeyRing
from evalrunner.errors import CredentialsRejected
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.project import Project
from evalrunner.wiring.suites import Assembly
from evalrunner.wiring.user_code import function_finder


def missing_keys(project: Project, loaded: Sequence[LoadedSuite]) -> tuple[str, ...]:
    """For each model that a miss would ask and whose key is empty, one line that says so.

    No user code is imported, and no model file is read.

    Raises:
        LoadError: A suite cannot be used.
    """
    root = project.root
    assembly = Assembly(
        project=project,
        load=lambda suite: function_finder(root, folder=(root / suite.path).parent),
        look_only=True,
    )
    for one in loaded:
        assembly.variants(one.suite)
    keys = KeyRing()
    missing: list[str] = []
    for endpoint in assembly.endpoints.values():
        try:
            keys.key_for(endpoint)
        except CredentialsRejected as error:
            missing.append(error.message)
    return tuple(missing)
