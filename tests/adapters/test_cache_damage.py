"""Thousands of random damages to a cache file: a value may be lost, and is never another."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.values.fingerprint import Fingerprint, digest

BODIES = {digest(n): (f"answer {n} ".encode() * (1 + n % 90))[: 40 + 13 * n] for n in range(60)}
KEYS = list(BODIES)
Damage = Callable[[random.Random, Path, Path], None]


def flip_bits(rng: random.Random, file: Path, _: Path) -> None:
    data = bytearray(file.read_bytes())
    for _bit in range(rng.choice((1, 1, 1, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def cut(rng: random.Random, file: Path, _: Path) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size))


def blank_a_page(rng: random.Random, file: Path, _: Path) -> None:
    data = bytearray(file.read_bytes())
    start = 8192 * rng.randrange(len(data) // 8192)
    data[start : start + 8192] = bytes(8192)
    file.write_bytes(data)


def swap_pages(rng: random.Random, file: Path, _: Path) -> None:
    data = bytearray(file.read_bytes())
    one, other = (8192 * rng.randrange(len(data) // 8192) for _page in range(2))
    first, second = data[one : one + 8192], data[other : other + 8192]
    data[one : one + 8192], data[other : other + 8192] = second, first
    file.write_bytes(data)


def mix_with_an_older_copy(rng: random.Random, file: Path, older: Path) -> None:
    data, old = bytearray(file.read_bytes()), older.read_bytes()
    start = 8192 * rng.randrange(len(old) // 8192)
    data[start : start + 8192] = old[start : start + 8192]
    file.write_bytes(data)


def change_rows(rng: random.Random, file: Path, _: Path) -> None:
    """What somebody would do who can write to the table: swap, replay, retype, plant."""
    with sqlite3.connect(file) as connection:
        one, other = rng.sample(range(1, len(KEYS) + 1), 2)
        statement = rng.choice(
            (
                "UPDATE Cache SET value = (SELECT value FROM Cache WHERE rowid = :other)",
                "UPDATE Cache SET value = substr(value, 1, length(value) - 1)",
                "UPDATE Cache SET value = value || x'00'",
                "UPDATE Cache SET value = substr(value, 47)",
                "UPDATE Cache SET value = CAST(value AS TEXT)",
                "UPDATE Cache SET value = x'80049530', mode = 4",
                "UPDATE Cache SET mode = 2, filename = :outside, value = NULL",
                "UPDATE Cache SET filename = :outside",
                "UPDATE Cache SET key = randomblob(40)",
                "UPDATE Cache SET key = substr(key, 1, 39) || x'00'",
                "UPDATE Cache SET raw = 0",
            )
        )
        outside = str(file.parent.parent / "outside.txt")
        values = {"one": one, "other": other, "outside": outside}
        connection.execute(f"{statement} WHERE rowid = :one", values)
    connection.close()


def plant_a_journal(rng: random.Random, file: Path, older: Path) -> None:
    journal = file.with_name("cache.db-journal")
    header = bytes.fromhex("d9d505f920a163d7") + (1).to_bytes(4, "big") + rng.randbytes(16)
    page = older.read_bytes()[:8192]
    journal.write_bytes(header.ljust(512, b"\0") + (1).to_bytes(4, "big") + page + rng.randbytes(4))


DAMAGES: list[Damage] = [
    *[flip_bits] * 6,
    cut,
    blank_a_page,
    swap_pages,
    mix_with_an_older_copy,
    *[change_rows] * 4,
    plant_a_journal,
]


@pytest.fixture
def copies(tmp_path: Path) -> tuple[Path, Path]:
    """A sound file, and one of the same store that is older and holds other answers."""
    store = open_disk_store(tmp_path / "made", namespace="ci")
    store.put_many(dict.fromkeys(KEYS, b"an older answer"))
    store.put_many(dict.fromkeys([digest("gone")], b"x" * 3000))
    store.close()
    older = shutil.copy(tmp_path / "made" / "cache.db", tmp_path / "older.db")
    store = open_disk_store(tmp_path / "made", namespace="ci")
    store.clear()
    store.put_many(BODIES)
    store.close()
    sound = shutil.copy(tmp_path / "made" / "cache.db", tmp_path / "sound.db")
    return Path(sound), Path(older)


@pytest.mark.damage
def test_no_damage_makes_a_wrong_value(
    copies: tuple[Path, Path], tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    sound, older = copies
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    rng = random.Random(seed)
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    home = tmp_path / "cache"
    lost = 0
    for number in range(rounds(2000, 10_000)):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        file = Path(shutil.copy(sound, home / "cache.db"))
        damage = rng.choice(DAMAGES)
        damage(rng, file, older)
        store = open_disk_store(home, namespace="ci")
        found = store.get_many(KEYS)
        assert _wrong(found, damage) == set(), (seed, number, damage.__name__)
        lost += len(found) < len(KEYS)
        if number % 10 == 0:
            store.put_many(BODIES)
            store.put_many(BODIES)
            assert _wrong(store.get_many(KEYS), damage) == set(), (seed, number, damage.__name__)
        store.close()
    assert lost > rounds(2000, 10_000) // 10, "the damages did no damage"
    assert outside.read_text() == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} <= {
        "made", "older.db", "sound.db", "outside.txt", "cache"
    }  # fmt: skip


def _wrong(found: Mapping[Fingerprint, bytes], damage: Damage) -> set[Fingerprint]:
    """Keys whose value never was theirs. Where older pages came back, an older answer was."""
    replayed = damage in (mix_with_an_older_copy, plant_a_journal)
    genuine = (b"an older answer",) if replayed else ()
    return {key for key, body in found.items() if body != BODIES[key] and body not in genuine}
