"""What git says about a checkout, read in one process that never waits long."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from evalrunner.values.exchange import Json

_PATIENCE_SECONDS: Final = 2.0
_COMMAND: Final = (
    "git",
    "--no-optional-locks",
    "status",
    "--porcelain=v2",
    "--branch",
    "--untracked-files=no",
)


def git_state(root: Path) -> Mapping[str, Json] | None:
    """``sha``, ``branch`` and ``dirty`` of the checkout, or ``None`` where there is none.

    A detached head has no branch; a repository without a commit has no sha.
    """
    try:
        done = subprocess.run(
            _COMMAND, cwd=root, capture_output=True, timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _parsed(done.stdout.decode("utf-8", "replace"))


def _parsed(status: str) -> Mapping[str, Json]:
    """The state in the porcelain text.

    Example:
        >>> _parsed("# branch.oid 12ab\\n# branch.head main\\n1 .M N...")
        {'sha': '12ab', 'branch': 'main', 'dirty': True}
    """
    sha: str | None = None
    branch: str | None = None
    dirty = False
    for line in status.splitlines():
        if line.startswith("# branch.oid "):
            sha = line.split()[2]
        elif line.startswith("# branch.head "):
            branch = line.split(maxsplit=2)[2]
        elif not line.startswith("#"):
            dirty = True
    return {
        "sha": None if sha == "(initial)" else sha,
        "branch": None if branch == "(detached)" else branch,
        "dirty": dirty,
    }
