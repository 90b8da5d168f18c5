"""What git says about a checkout, read in one process that never waits long."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the fastest run reads this module, and wants nothing heavier than it needs
    from collections.abc import Mapping

    from evalrunner.values.exchange import Json

_PATIENCE_SECONDS = 2.0
_CHECKOUT_SECONDS = 120.0
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


def head_commit(root: str | os.PathLike[str]) -> str | None:
    """The full id of the commit that is checked out, or ``None``."""
    done = _quiet_git(root, "rev-parse", "--verify", "HEAD^{commit}")
    return None if done is None else done.strip()


def checkout_beside(
    root: str | os.PathLike[str], commit: str, folder: str | os.PathLike[str]
) -> bool:
    """Whether another commit of the same repository now lies in *folder*, itself untouched.

    A commit that is not here is fetched, where that is allowed. No hook of the repository runs.

    Args:
        root: A checkout.
        commit: Its full id.
        folder: A place that does not exist yet.
    """
    here = _quiet_git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None
    if not here and _quiet_git(root, "fetch", "--depth=1", "origin", commit) is None:
        return False
    return _quiet_git(root, "worktree", "add", "--detach", os.fspath(folder), commit) is not None


def _quiet_git(root: str | os.PathLike[str], *words: str) -> str | None:
    """What git prints, or ``None`` where it fails."""
    import subprocess

    command = ("git", "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", *words)
    try:
        done = subprocess.run(
            command,
            cwd=root,
            capture_output=True,
            timeout=_CHECKOUT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


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
