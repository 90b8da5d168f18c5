"""The state folder: what it explains, keeps and forgets, and how runs are named."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evalrunner.adapters.state_dir import StateDir, open_state_dir
from evalrunner.errors import ConfigError, RunDocumentError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return open_state_dir(tmp_path)


def written(state: StateDir, *run_ids: str) -> None:
    """Documents, each a second younger than the one before."""
    for age, run_id in enumerate(run_ids):
        os.utime(state.write_run(run_id, f"{{{run_id}}}"), ns=(0, age * 10**9))


def test_the_folder_explains_itself_and_is_ignored(tmp_path: Path, state: StateDir) -> None:
    assert state.path == tmp_path / ".evalrunner"
    assert (state.path / ".gitignore").read_text() == "*\n"
    assert "ledger" in (state.path / "README").read_text()
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert {entry.name for entry in state.path.iterdir()} == {
        ".gitignore",
        "README",
        "runs",
        "calibration",
        "spend",
    }


def test_opening_again_changes_nothing_that_the_user_wrote(tmp_path: Path, state: StateDir) -> None:
    (state.path / ".gitignore").write_text("mine")
    open_state_dir(tmp_path)
    assert (state.path / ".gitignore").read_text() == "mine"


def test_the_user_may_name_the_folder(tmp_path: Path) -> None:
    state = open_state_dir(tmp_path, explicit=tmp_path / "deep" / "state")
    assert state.ledger == tmp_path / "deep" / "state" / "ledger.sqlite3"
    assert state.cache == tmp_path / "deep" / "state" / "cache"
    assert not (tmp_path / ".evalrunner").exists()


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".evalrunner").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="symbolic link") as refused:
        open_state_dir(tmp_path)
    assert refused.value.hint
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_runs_folder_that_is_a_link_is_refused(tmp_path: Path, state: StateDir) -> None:
    state.runs.rmdir()
    state.runs.symlink_to(tmp_path)
    with pytest.raises(ConfigError):
        open_state_dir(tmp_path)


def test_a_document_replaces_the_one_before_as_a_whole(state: StateDir) -> None:
    path = state.write_run("r1", "first")
    assert state.write_run("r1", "second é\r\n") == path
    assert path.read_bytes() == "second é\r\n".encode()
    assert [entry.name for entry in state.runs.iterdir()] == ["r1.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_keeps_the_old_document(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state.write_run("r1", "first")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RunDocumentError, match="No space left"):
        state.write_run("r1", "second")
    assert path.read_text() == "first"
    assert [entry.name for entry in state.runs.iterdir()] == ["r1.json"]


@pytest.mark.parametrize("run_id", ["../x", "", ".hidden", "a/b", "a\0b", "x" * 200, "a\n"])
def test_an_id_cannot_name_a_file_elsewhere(state: StateDir, run_id: str) -> None:
    with pytest.raises(RunDocumentError):
        state.write_run(run_id, "{}")
    assert list(state.runs.iterdir()) == []


def test_the_newest_documents_and_those_that_are_referred_to_are_kept(state: StateDir) -> None:
    written(state, *(f"r{number:02}" for number in range(25)))
    (state.runs / "notes.txt").write_text("mine")
    assert state.prune_runs(keep={"r01", "r24"}) == 4
    assert state.run_ids() == [*(f"r{number:02}" for number in range(24, 4, -1)), "r01"]
    assert (state.runs / "notes.txt").exists()
    assert state.prune_runs(keep={"r01"}) == 0


def test_a_run_is_named_by_last_its_id_the_beginning_of_it_or_a_path(
    state: StateDir, tmp_path: Path
) -> None:
    written(state, "20260101-aa", "20260102-bb")
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert state.last_run_id() == "20260102-bb"
    assert state.resolve_run("last") == state.runs / "20260102-bb.json"
    assert state.resolve_run("20260101-aa") == state.runs / "20260101-aa.json"
    assert state.resolve_run("20260101") == state.runs / "20260101-aa.json"
    assert state.resolve_run(str(other)) == other


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("20260103", "neither"),
        ("2026", "2 runs begin"),
        ("no/such.json", "neither"),
        ("", "neither"),
    ],
)
def test_a_name_without_a_run_is_an_error_that_helps(
    state: StateDir, name: str, message: str
) -> None:
    written(state, "20260101-aa", "20260102-bb")
    with pytest.raises(RunDocumentError, match=message) as missing:
        state.resolve_run(name)
    assert missing.value.hint


def test_before_the_first_run_there_is_no_last(state: StateDir) -> None:
    assert state.last_run_id() is None
    with pytest.raises(RunDocumentError, match="no last run"):
        state.resolve_run("last")


def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    state = open_state_dir(tmp_path, explicit=blocked / "state")
    assert state.run_ids() == []
    with pytest.raises(RunDocumentError):
        state.write_run("r1", "{}")


def test_the_module_is_light() -> None:
    script = (
        "import sys, evalrunner.adapters.state_dir\n"
        "heavy = {'diskcache', 'sqlite3', 'pydantic', 'asyncio', 'click', 'rich', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
