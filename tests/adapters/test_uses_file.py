"""When answers were last used: known to the run, and never said to be earlier than it was."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from evalrunner.adapters import uses_file
from evalrunner.adapters.uses_file import FOLDER, known_since, last_uses, note_run, touch_run
from evalrunner.values.fingerprint import digest

A, B, C, D = (str(digest(number)) for number in range(4))
RUNS = count()


def use(store: Path, keys: Iterable[str], *, at: float | None = None) -> str:
    """A run that uses these; its id."""
    run_id = f"run-{next(RUNS)}"
    before = set(sets(store))
    assert note_run(str(store), run_id, keys)
    if at is not None:
        for file in set(sets(store)) - before:
            os.utime(file, (at, at))
    return run_id


def sets(store: Path) -> list[Path]:
    folder = store / FOLDER
    return sorted(path for path in folder.iterdir() if not path.suffix) if folder.exists() else []


def test_a_set_is_written_once_and_its_time_moved(tmp_path: Path) -> None:
    first = use(tmp_path, [A, B, A], at=100.0)
    (file,) = (path for path in sets(tmp_path) if path.name != ".began")
    assert last_uses(str(tmp_path)) == {A: 100.0, B: 100.0}
    use(tmp_path, [B, A])
    assert file.stat().st_mtime > 100.0
    assert file.stat().st_size == 64
    os.utime(file, (100.0, 100.0))
    assert touch_run(str(tmp_path), first)
    assert file.stat().st_mtime > 100.0


def test_a_run_that_takes_over_uses_what_the_earlier_one_used(tmp_path: Path) -> None:
    use(tmp_path, [A], at=100.0)
    use(tmp_path, [B], at=100.0)
    earlier = use(tmp_path, [C], at=100.0)
    assert note_run(str(tmp_path), "second", [D], along=earlier)
    known = last_uses(str(tmp_path))
    assert known[A] == known[B] == 100.0
    assert min(known[C], known[D]) > 100.0
    for file in sets(tmp_path):
        os.utime(file, (100.0, 100.0))
    assert touch_run(str(tmp_path), "second")
    known = last_uses(str(tmp_path))
    assert known[A] == 100.0
    assert min(known[C], known[D]) > 100.0


def test_what_an_unknown_run_used_is_not_known(tmp_path: Path) -> None:
    assert not touch_run(str(tmp_path), "nobody")
    assert not note_run(str(tmp_path), "second", [A], along="nobody")
    assert last_uses(str(tmp_path)) == {}
    earlier = use(tmp_path, [A])
    for file in sets(tmp_path):
        file.unlink()
    assert not touch_run(str(tmp_path), earlier)
    assert not note_run(str(tmp_path), "second", [B], along=earlier)


def test_a_long_chain_of_runs_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses_file, "MOST_SETS", 3)
    assert note_run(str(tmp_path), "r0", [A])
    assert note_run(str(tmp_path), "r1", [B], along="r0")
    assert note_run(str(tmp_path), "r2", [C], along="r1")
    assert not note_run(str(tmp_path), "r3", [D], along="r2")


def test_it_is_known_since_when_uses_are_written_down(tmp_path: Path) -> None:
    assert known_since(str(tmp_path)) is None
    use(tmp_path, [A])
    os.utime(tmp_path / FOLDER / ".began", (5.0, 5.0))
    use(tmp_path, [B])
    assert known_since(str(tmp_path)) == 5.0


def test_the_last_of_several_uses_stands(tmp_path: Path) -> None:
    use(tmp_path, [A, B], at=300.0)
    use(tmp_path, [B, C], at=200.0)
    assert last_uses(str(tmp_path)) == {A: 300.0, B: 300.0, C: 200.0}


def test_many_files_become_fewer_and_no_use_is_forgotten_or_made_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses_file, "MOST_FILES", 6)
    monkeypatch.setattr(uses_file, "MOST_RUNS", 5)
    used: dict[str, float] = {}
    for number in range(40):
        keys = [str(digest(n)) for n in (number, number // 2, 0)]
        use(tmp_path, keys, at=1000.0 + number)
        used |= dict.fromkeys(keys, 1000.0 + number)
    assert len(sets(tmp_path)) <= 8
    assert len(list((tmp_path / FOLDER).glob("*.run"))) <= 5
    known = last_uses(str(tmp_path))
    assert known.keys() == used.keys()
    assert all(known[key] >= moment for key, moment in used.items())
    assert known[str(digest(39))] == 1039.0


def test_strange_files_say_nothing(tmp_path: Path) -> None:
    use(tmp_path, [A])
    for file in sets(tmp_path):
        file.write_bytes(bytes(32))
    (tmp_path / FOLDER / "other").write_bytes(b"text")
    (tmp_path / FOLDER / "folder").mkdir()
    (tmp_path / FOLDER / "link").symlink_to("/dev/zero")
    (tmp_path / FOLDER / "x.run").write_bytes(b"../../" + b"a" * 58)
    assert last_uses(str(tmp_path)) == {}
    assert not touch_run(str(tmp_path), "x")


def test_without_a_folder_nothing_is_known_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    assert last_uses(str(tmp_path)) == {}
    note_run(str(tmp_path), "r", [A])
    assert not touch_run(str(tmp_path), "r")
