"""Leases by file locks: one run at a time for each key, whoever is there and however it leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from evalrunner.adapters.leases_file import FILE_NAME, FileLeases, open_file_leases
from evalrunner.values.fingerprint import Fingerprint, digest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="two handles of one process exclude each other on Linux alone"
)
KEYS: Final = [digest(number) for number in range(6)]


class Runs:
    """Runs at one store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.opened: list[FileLeases] = []

    def come(self, *, changed: bool = False) -> FileLeases:
        leases = open_file_leases(self.home, changed=lambda: changed)
        assert leases is not None
        self.opened.append(leases)
        return leases


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path)
    yield made
    for leases in made.opened:
        leave(leases)


def take(leases: FileLeases, *keys: Fingerprint) -> set[Fingerprint]:
    return set(asyncio.run(leases.take(keys)))


def tend(leases: FileLeases, *held: Fingerprint) -> None:
    asyncio.run(leases.tend(held))


def leave(leases: FileLeases) -> None:
    asyncio.run(leases.aclose())


def test_who_is_alone_needs_no_locks(runs: Runs) -> None:
    first = runs.come()
    assert first.alone
    assert take(first, *KEYS) == set(KEYS)
    assert (runs.home / FILE_NAME).stat().st_size == 0
    assert (runs.home / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_alone_now_is_not_enough_where_the_store_has_changed_since_it_was_read(runs: Runs) -> None:
    first = runs.come(changed=True)
    assert not first.alone
    assert take(first, KEYS[0]) == {KEYS[0]}


def test_a_second_run_gets_nothing_until_the_first_has_heard_it(runs: Runs) -> None:
    first, second = runs.come(), runs.come()
    assert not second.alone
    assert take(second, *KEYS) == set()
    tend(first, KEYS[0], KEYS[1])
    assert not first.alone
    assert take(second, *KEYS) == set(KEYS[2:])
    assert take(first, KEYS[2]) == set()
    first.release([KEYS[0]])
    second.release([KEYS[2]])
    assert take(second, KEYS[0], KEYS[1]) == {KEYS[0]}
    assert take(first, KEYS[2], KEYS[3]) == {KEYS[2]}


def test_nobody_knocks_and_the_first_stays_alone(runs: Runs) -> None:
    first = runs.come()
    tend(first, *KEYS)
    tend(first, *KEYS)
    assert first.alone


def test_a_third_comes_in_where_two_are_already(runs: Runs) -> None:
    first, second = runs.come(), runs.come()
    assert take(second, KEYS[0]) == set()
    tend(first, KEYS[0])
    third = runs.come()
    assert take(third, *KEYS) == set(KEYS[1:])
    assert take(second, *KEYS) == set()


def test_who_comes_in_is_alone_again_once_all_have_left(runs: Runs) -> None:
    first = runs.come()
    leave(first)
    second = runs.come()
    assert second.alone
    third = runs.come()
    assert take(third, KEYS[0]) == set()
    leave(second)
    assert take(third, KEYS[0]) == {KEYS[0]}


def test_what_is_not_held_can_be_released(runs: Runs) -> None:
    first, second = runs.come(), runs.come()
    take(second, KEYS[0])
    tend(first, KEYS[0])
    second.release([KEYS[0]])
    assert take(second, KEYS[0]) == set()
    leave(second)
    leave(second)


def test_a_killed_owner_frees_everything_at_once(runs: Runs) -> None:
    program = (
        "import asyncio, sys, time, pathlib\n"
        "from evalrunner.adapters.leases_file import open_file_leases\n"
        "leases = open_file_leases(pathlib.Path(sys.argv[1]), changed=lambda: False)\n"
        "asyncio.run(leases.take(sys.argv[2:]))\n"
        "print(leases.alone, flush=True)\n"
        "time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(runs.home), *KEYS], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "True\n"
        second = runs.come()
        assert take(second, *KEYS) == set()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert take(second, *KEYS) == set(KEYS)


def test_a_forked_child_does_not_keep_what_its_parent_held(runs: Runs) -> None:
    first, second = runs.come(), runs.come()
    take(second, KEYS[0])
    tend(first, KEYS[0])
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        os.write(tell, b".")
        signal.pause()
    try:
        os.read(ready, 1)
        leave(first)
        assert take(second, KEYS[0]) == {KEYS[0]}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    assert open_file_leases(tmp_path, changed=lambda: False) is None


def test_without_a_directory_there_are_no_leases(tmp_path: Path) -> None:
    assert open_file_leases(tmp_path / "gone", changed=lambda: False) is None
