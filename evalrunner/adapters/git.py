"""What git says about a checkout, read in one process that never waits long."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the fastest run reads this module, and wants nothing heavier than it needs
    from collections.abc import Mapping

    from evalrunner.values.exchange import Json

_PATIENCE_SECONDS = 2.0
_COMMAND = (
    "git",
    "--no-optional-locks",
    "status",
    "--porcelain=v2",
    "--branch",
    "--untracked-files=no",
)


def git_state(root: str | os.PathLike[str]) -> Mapping[str, Json] | None:
    """``sha``, ``branch`` and ``dirty`` of the checkout, or ``None`` where there is none.

    A detached head has no branch; a repository without a commit has no sha.
    """
    if not _in_checkout(os.path.realpath(root)):
        return None
    import subprocess

    try:
        done = subprocess.run(
            _COMMAND, cwd=root, capture_output=True, timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _parsed(done.stdout.decode("utf-8", "replace"))


def _in_checkout(folder: str) -> bool:
    """Whether git is worth asking: a ``.git`` in the folder or above it."""
    while not os.path.exists(os.path.join(folder, ".git")):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return False
    return True


def _parsed(status: str) -> Mapping[str, Json]:
    r"""The state in the porcelain text.

    Example:
        >>> _parsed("# branch.oid 12ab\n# branch.head main\n1 .M N...")
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
