"""Archives: the same bytes for the same entries, and nothing believed that is not whole."""

from __future__ import annotations

import json
import os
import random
import stat
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from evalrunner.adapters import cache_archive
from evalrunner.adapters.cache_archive import open_archive, write_archive
from evalrunner.adapters.envelope import EPOCH, LARGEST_BODY, seal
from evalrunner.errors import StoreError
from evalrunner.values.fingerprint import Fingerprint, digest

Entries = list[tuple[Fingerprint, bytes]]
MARK = b"evalrunner cache 1\n"


def sealed(count: int, size: int = 100) -> Entries:
    keys = sorted(digest(number) for number in range(count))
    return [(key, seal(key, b"x" * size, namespace="ci", stored_at=1.0)) for key in keys]


def read(path: Path) -> Entries:
    with open_archive(path) as archive:
        assert (archive.namespace, archive.epoch) == ("ci", EPOCH)
        return list(archive.entries())


def planted(path: Path, inside: bytes, *, mark: bytes = MARK) -> Path:
    """A file that is whole, with whatever in it."""
    data = mark + zlib.compress(inside)
    path.write_bytes(data + sha256(data).digest())
    return path


HEADER = json.dumps({"epoch": EPOCH, "namespace": "ci"}, sort_keys=True).encode() + b"\n"


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_entries_come_back_as_they_were(tmp_path: Path, count: int) -> None:
    entries = sealed(count)
    written = write_archive(tmp_path / "a", entries, namespace="ci")
    assert read(tmp_path / "a") == entries
    assert written == (count, (tmp_path / "a").stat().st_size)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_the_same_entries_are_the_same_bytes(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", sealed(50), namespace="ci")
    write_archive(tmp_path / "b", iter(sealed(50)), namespace="ci")
    write_archive(tmp_path / "c", sealed(51), namespace="ci")
    data = [(tmp_path / name).read_bytes() for name in "abc"]
    assert data[0] == data[1] != data[2]


@pytest.mark.damage
def test_no_damage_goes_unnoticed(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    path = tmp_path / "a"
    write_archive(path, sealed(20), namespace="ci")
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(rounds(300, 10_000)):
        data = bytearray(whole)
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data.insert(place, chance.randrange(256))
            case _:
                data += bytes([chance.randrange(256)])
        path.write_bytes(data)
        with pytest.raises(StoreError, match="not whole"):
            read(path)


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b"no line's end",
        b"x" * 100_000,
        b"[" * 4000 + b"\n",
        HEADER,
        HEADER + bytes(4),
        HEADER + bytes(4) + (7).to_bytes(8, "big"),
        HEADER + (50).to_bytes(4, "big") + b"k" * 32 + b"short",
        HEADER + b"\xff\xff\xff\xff" + b"k" * 32,
        HEADER + (LARGEST_BODY + 4097).to_bytes(4, "big") + b"k" * 32,
    ],
)
def test_what_is_whole_and_no_archive_is_refused(tmp_path: Path, inside: bytes) -> None:
    with pytest.raises(StoreError, match="no cache archive"):
        read(planted(tmp_path / "a", inside))


@pytest.mark.parametrize("data", [b"", MARK, b"PK\3\4" + bytes(200), bytes(40), MARK + bytes(32)])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(StoreError):
        read(tmp_path / "a")


def test_a_bomb_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_archive, "MOST_INFLATED", 30_000_000)
    entry = (1_000_000).to_bytes(4, "big") + b"k" * 32 + bytes(1_000_000)
    path = planted(tmp_path / "a", HEADER + entry * 60)
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match="unpacks to more"), open_archive(path) as archive:
            assert sum(1 for _ in archive.entries()) > 0
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    for name in ("a", "", "missing"):
        with pytest.raises(StoreError):
            read(tmp_path / name)


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[Fingerprint, bytes]]:
        yield from sealed(2)
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="cannot be written"):
        write_archive(tmp_path / "gone" / "a", [], namespace="ci")
    with pytest.raises(StoreError, match="No space"):
        write_archive(tmp_path / "a", failing(), namespace="ci")
    assert os.listdir(tmp_path) == []
