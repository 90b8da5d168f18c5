"""When answers were last used: known to the run, and never said to be earlier than it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalrunner.adapters import uses_file
from evalrunner.adapters.uses_file import FOLDER, last_uses, note_uses, touch_uses
from evalrunner.values.fingerprint import digest

A, B, C = (str(digest(number)) for number in range(3))


def files(store: Path) -> list[Path]:
    return sorted((store / FOLDER).iterdir())


def at(store: Path, name: str, moment: float) -> None:
    os.utime(store / FOLDER / name, (moment, moment))


def test_a_set_is_written_once_and_its_time_moved(tmp_path: Path) -> None:
    first = note_uses(str(tmp_path), [A, B, A])
    at(tmp_path, first, 100.0)
    assert last_uses(str(tmp_path)) == {A: 100.0, B: 100.0}
    assert note_uses(str(tmp_path), [B, A]) == first
    (file,) = files(tmp_path)
    assert file.stat().st_mtime > 100.0
    assert file.stat().st_size == 64
    at(tmp_path, first, 100.0)
    assert touch_uses(str(tmp_path), first)
    assert file.stat().st_mtime > 100.0


def test_the_last_of_several_uses_stands(tmp_path: Path) -> None:
    at(tmp_path, note_uses(str(tmp_path), [A, B]), 300.0)
    at(tmp_path, note_uses(str(tmp_path), [B, C]), 200.0)
    assert last_uses(str(tmp_path)) == {A: 300.0, B: 300.0, C: 200.0}


def test_many_files_become_fewer_and_no_use_is_forgotten_or_made_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses_file, "MOST_FILES", 6)
    used: dict[str, float] = {}
    for number in range(40):
        keys = [str(digest(n)) for n in (number, number // 2, 0)]
        at(tmp_path, note_uses(str(tmp_path), keys), 1000.0 + number)
        used |= dict.fromkeys(keys, 1000.0 + number)
    assert len(files(tmp_path)) <= 7
    known = last_uses(str(tmp_path))
    assert known.keys() == used.keys()
    assert all(known[key] >= moment for key, moment in used.items())
    assert known[str(digest(39))] == 1039.0


def test_strange_files_say_nothing(tmp_path: Path) -> None:
    name = note_uses(str(tmp_path), [A])
    (tmp_path / FOLDER / name).write_bytes(bytes(32))
    (tmp_path / FOLDER / "other").write_bytes(b"text")
    (tmp_path / FOLDER / "folder").mkdir()
    (tmp_path / FOLDER / "link").symlink_to("/dev/zero")
    assert last_uses(str(tmp_path)) == {}


def test_without_a_folder_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    assert last_uses(str(tmp_path)) == {}
    assert not touch_uses(str(tmp_path), note_uses(str(tmp_path), [A]))
