"""What a run document says of the checkout, told by a real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evalrunner.adapters.git import git_state


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "a")
    return tmp_path


def test_a_clean_checkout(checkout: Path) -> None:
    sha = git(checkout, "rev-parse", "HEAD")
    assert git_state(checkout) == {"sha": sha, "branch": "main", "dirty": False}


def test_a_folder_inside_and_a_changed_file(checkout: Path) -> None:
    (checkout / "a").write_text("2")
    (checkout / "inside").mkdir()
    state = git_state(checkout / "inside")
    assert state is not None
    assert state["dirty"] is True


def test_a_file_that_git_does_not_know_is_no_change(checkout: Path) -> None:
    (checkout / "new").write_text("")
    state = git_state(checkout)
    assert state is not None
    assert state["dirty"] is False


def test_a_detached_head_has_no_branch(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")
    state = git_state(checkout)
    assert state is not None
    assert state["branch"] is None


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == {"sha": None, "branch": "main", "dirty": False}


def test_elsewhere_and_without_git(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_state(Path("/")) is None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert git_state(checkout) is None
