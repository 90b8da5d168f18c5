"""The disk store: what lies on the disk, what is refused, and what is set aside."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from diskcache import Cache

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.diskcache_file import RawDisk, create_cache_file
from evalrunner.adapters.sqlite_file import journal_mode
from evalrunner.errors import StoreError
from evalrunner.testing import FixedClock
from evalrunner.values.fingerprint import Fingerprint, digest

ROOT = Path(__file__).parents[2]
BODIES = {digest(number): f"answer {number}".encode() for number in range(40)}
KEYS = list(BODIES)
MARKS = {".gitignore", "README", "CACHEDIR.TAG"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opened(home: Path, *, namespace: str = "ci", read_only: bool = False) -> DiskStore:
    return open_disk_store(home, namespace=namespace, read_only=read_only)


def filled(home: Path) -> Path:
    """A store with :data:`BODIES` in it, closed; returns its file."""
    store = opened(home)
    store.put_many(BODIES)
    store.close()
    return home / "cache.db"


def run_python(script: str, *arguments: object, check: bool = True) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- what lies on the disk


def test_the_directory_explains_itself_and_is_private(home: Path) -> None:
    filled(home)
    assert {entry.name for entry in home.iterdir()} >= MARKS | {"cache.db"}
    assert (home / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in home.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_nothing_is_stored_in_files_of_its_own(home: Path) -> None:
    store = opened(home)
    store.put_many({KEYS[0]: os.urandom(300_000)})
    store.close()
    beside = {entry.name for entry in home.iterdir()} - MARKS
    assert beside <= {"cache.db", "cache.db-journal", "cache.db-wal", "cache.db-shm", ".lock"}


def test_an_open_store_that_never_wrote_has_no_file(home: Path) -> None:
    store = opened(home)
    assert store.get_many(KEYS) == {}
    assert store.identity() == ""
    assert {entry.name for entry in home.iterdir()} == MARKS


def test_the_file_never_evicts_counts_or_maps(home: Path) -> None:
    connection = sqlite3.connect(filled(home))
    settings = dict(connection.execute("SELECT key, value FROM Settings"))
    assert settings["eviction_policy"] == "none"
    assert (settings["cull_limit"], settings["statistics"], settings["sqlite_mmap_size"]) == (
        0,
        0,
        0,
    )
    expected = "wal" if journal_mode() == "wal" else "delete"  # rollback journals leave no trace
    assert connection.execute("PRAGMA journal_mode").fetchone() == (expected,)


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 37, 0), "persist"),
        ((3, 44, 5), "persist"),
        ((3, 44, 6), "wal"),
        ((3, 45, 0), "persist"),
        ((3, 50, 6), "persist"),
        ((3, 50, 7), "wal"),
        ((3, 51, 2), "persist"),
        ((3, 51, 3), "wal"),
        ((3, 52, 0), "wal"),
    ],
)
def test_the_log_is_used_only_where_sqlite_was_repaired(
    version: tuple[int, int, int], mode: str
) -> None:
    assert journal_mode(version) == mode


def test_a_reader_imports_sqlite_and_neither_diskcache_nor_pickle(home: Path) -> None:
    filled(home)
    script = (
        "import sys; from pathlib import Path\n"
        "from evalrunner.adapters.cache_disk import open_disk_store\n"
        "store = open_disk_store(Path(sys.argv[1]), namespace='ci')\n"
        "assert store.get_many([sys.argv[2]])\n"
        "store.put_many({sys.argv[2]: b'again'})\n"
        "print(sorted({'diskcache', 'pickle', 'asyncio', 'pydantic', 'click'} & set(sys.modules)))"
    )
    assert run_python(script, home, KEYS[0]).strip() == "[]"


def test_diskcache_itself_reads_what_was_stored(home: Path) -> None:
    filled(home)
    with Cache(str(home), disk=RawDisk) as cache:
        assert len(cache) == len(BODIES)
        assert sorted(cache) == sorted(cache.iterkeys())


# ---------------------------------------------------------------- names, epochs, ages


def test_namespaces_share_a_file_and_see_nothing_of_each_other(home: Path) -> None:
    ours, theirs = opened(home), opened(home, namespace="fork")
    ours.put_many({KEYS[0]: b"ours"})
    theirs.put_many({KEYS[0]: b"theirs", KEYS[1]: b"more"})
    assert ours.get_many(KEYS) == {KEYS[0]: b"ours"}
    assert list(ours.keys()) == [KEYS[0]]
    assert theirs.clear() == 2
    assert ours.size().entries == 1


def test_entries_of_another_epoch_are_never_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(home)
    monkeypatch.setattr("evalrunner.adapters.cache_disk.SCHEMA", 99)
    store = opened(home)
    assert store.get_many(KEYS) == {}
    assert list(store.keys()) == []
    assert store.clear() == len(BODIES)


def test_entries_can_be_listed_counted_and_verified(home: Path) -> None:
    filled(home)
    store = opened(home)
    assert list(store.keys()) == sorted(BODIES)
    assert {entry.key: entry.body for entry in store.entries()} == BODIES
    assert store.verify() == (len(BODIES), 0)
    assert store.size().entries == len(BODIES)
    assert store.size().bytes > 4096


def test_listing_goes_on_past_a_page(home: Path) -> None:
    store = opened(home)
    bodies = {digest(number): b"x" for number in range(700)}
    store.put_many(bodies)
    assert [entry.key for entry in store.entries()] == sorted(bodies)


def test_pruning_removes_what_is_older(home: Path) -> None:
    clock = FixedClock(1000.0)
    store = open_disk_store(home, namespace="ci", now=clock.now)
    store.put_many({KEYS[0]: b"old"})
    clock.advance(10)
    store.put_many({KEYS[1]: b"new"})
    assert store.prune(stored_before=1010.0) == 1
    assert store.get_many(KEYS) == {KEYS[1]: b"new"}


def test_the_identity_changes_when_entries_were_removed_and_only_then(home: Path) -> None:
    store = opened(home)
    store.put_many(BODIES)
    first = store.identity()
    assert len(first) == 32
    assert opened(home).identity() == first
    assert store.prune(stored_before=0.0) == 0
    store.put_many({KEYS[0]: b"other"})
    assert store.identity() == first
    store.clear()
    assert store.identity() not in ("", first)
    assert opened(home.with_name("other")).identity() == ""


@pytest.mark.parametrize("begun", [True, False], ids=["a file", "no file yet"])
def test_it_knows_whether_others_have_written_since_it_was_read(home: Path, begun: bool) -> None:
    if begun:
        filled(home)
    ours, theirs = opened(home), opened(home)
    assert ours.changed(), "never read: nobody knows"
    ours.get_many(KEYS)
    assert not ours.changed()
    if begun:
        ours.put_many({KEYS[0]: b"ours"})
        assert not ours.changed()
    theirs.get_many(KEYS)
    assert not ours.changed()
    theirs.put_many({KEYS[1]: b"theirs"})
    assert ours.changed()


def test_a_body_that_is_too_large_is_left_out_and_the_rest_is_kept(home: Path) -> None:
    store = opened(home)
    store.put_many({KEYS[0]: bytes(5 * 1024 * 1024), KEYS[1]: b"kept"})
    assert store.get_many(KEYS) == {KEYS[1]: b"kept"}
    assert "larger" in (store.stats().degraded or "")


# ---------------------------------------------------------------- what is refused


def a_link(home: Path) -> None:
    home.with_name("elsewhere").mkdir()
    home.symlink_to(home.with_name("elsewhere"))


def a_file(home: Path) -> None:
    home.write_text("")


def open_to_all(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)


@pytest.mark.parametrize("arrange", [a_link, a_file, open_to_all])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_directory_that_others_may_have_filled_is_refused(
    home: Path, arrange: Callable[[Path], None], read_only: bool
) -> None:
    arrange(home)
    with pytest.raises(StoreError) as refused:
        opened(home, read_only=read_only)
    assert refused.value.hint
    assert not list(home.with_name("elsewhere").glob("*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(home: Path) -> None:
    home.mkdir()
    os.chown(home, 65534, 65534)
    with pytest.raises(StoreError, match="another user"):
        opened(home)


# ---------------------------------------------------------------- what is set aside


def as_garbage(file: Path) -> None:
    file.write_bytes(os.urandom(20_000))


def as_nothing(file: Path) -> None:
    file.write_bytes(b"")


def as_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def as_after_a_power_cut(file: Path) -> None:
    """Pages that reached the disk beside pages that did not, and no journal to mend it with."""
    pages = file.read_bytes()
    size = int.from_bytes(pages[16:18], "big")
    lost = range(size, len(pages), 2 * size)
    file.write_bytes(
        b"".join(
            bytes(size) if start in lost else pages[start : start + size]
            for start in range(0, len(pages), size)
        )
    )


def as_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE Cache (key, raw, mode, filename, value)")


def as_a_link(file: Path) -> None:
    target = file.rename(file.with_name("outside.db"))
    file.symlink_to(target)


def as_a_second_name(file: Path) -> None:
    os.link(file, file.with_name("outside.db"))


def as_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def as_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def with_a_trigger(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END")


def with_a_computed_column(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE Cache ADD COLUMN bomb AS (zeroblob(900000000))")


def with_a_linked_journal(file: Path) -> None:
    journal = file.with_name("cache.db-journal")
    journal.unlink(missing_ok=True)
    journal.symlink_to(file.with_name("outside.db"))


def with_a_journal_that_names_a_file(file: Path) -> None:
    """SQLite deletes the file that a journal names as its super-journal."""
    outside = str(file.with_name("outside.db")).encode()
    magic = bytes.fromhex("d9d505f920a163d7")
    tail = outside + len(outside).to_bytes(4, "big") + sum(outside).to_bytes(4, "big") + magic
    file.with_name("cache.db-journal").write_bytes(magic + bytes(504) + bytes(4) + tail)


DAMAGES = [
    as_garbage,
    as_nothing,
    as_half,
    as_after_a_power_cut,
    as_another_program,
    as_a_link,
    as_a_second_name,
    as_a_pipe,
    as_a_directory,
    with_a_trigger,
    with_a_computed_column,
    with_a_linked_journal,
    with_a_journal_that_names_a_file,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_strange_file_is_set_aside_and_begun_anew(
    home: Path, damage: Callable[[Path], None]
) -> None:
    file = filled(home)
    outside = home / "outside.db"
    outside.write_text("mine")
    damage_needs_the_name = damage in (as_a_link, as_a_second_name)
    if damage_needs_the_name:
        outside.unlink()
    damage(file)
    before = outside.read_bytes()

    store = opened(home)
    assert store.get_many(KEYS) in ({}, BODIES)  # half a file may still hold a readable root
    store.put_many({KEYS[0]: b"new"})
    assert store.get_many(KEYS[:1]) == {KEYS[0]: b"new"}
    assert "cache.db" in (store.stats().degraded or "")
    assert (home / "cache.db.corrupt-1").exists() or (home / "cache.db.corrupt-1").is_symlink()
    assert outside.read_bytes() == before
    assert opened(home).get_many(KEYS) == {KEYS[0]: b"new"}


def test_a_strange_file_in_a_read_only_store_is_left_where_it_is(home: Path) -> None:
    file = filled(home)
    as_garbage(file)
    before = file.read_bytes()
    store = opened(home, read_only=True)
    assert store.get_many(KEYS) == {}
    assert "cannot be set aside" in (store.stats().degraded or "")
    assert file.read_bytes() == before


def test_only_the_last_three_are_kept_aside(home: Path) -> None:
    for _ in range(5):
        as_garbage(filled(home))
        opened(home).get_many(KEYS)
    kept = sorted(entry.name for entry in home.glob("*.corrupt-?"))
    assert kept == [f"cache.db.corrupt-{number}" for number in (3, 4, 5)]


def test_a_second_process_does_not_set_aside_the_new_file(home: Path) -> None:
    file = filled(home)
    first, second = opened(home), opened(home)
    assert first.get_many(KEYS) == second.get_many(KEYS) == BODIES
    as_garbage(file)
    first.close()
    first.put_many({KEYS[0]: b"new"})  # sets the file aside and makes another
    assert second.get_many(KEYS) == {KEYS[0]: b"new"}
    assert not (home / "cache.db.corrupt-2").exists()


def test_a_removed_directory_is_a_cache_that_lost_its_entries(home: Path) -> None:
    store = opened(home)
    store.put_many(BODIES)
    for entry in home.iterdir():
        entry.unlink()
    home.rmdir()
    assert store.get_many(KEYS) == {}
    store.put_many(BODIES)
    assert store.stats().degraded


# ---------------------------------------------------------------- hostile rows


@pytest.fixture
def planted(home: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    file = filled(home)
    connection = sqlite3.connect(file, isolation_level=None)
    yield file, connection
    connection.close()


def test_planted_rows_run_no_code_and_touch_no_file(
    planted: tuple[Path, sqlite3.Connection], tmp_path: Path
) -> None:
    file, connection = planted
    marker, outside = tmp_path / "ran", tmp_path / "outside.txt"
    outside.write_text("mine")
    pickled = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    rows = connection.execute("SELECT rowid FROM Cache ORDER BY rowid").fetchall()
    plants = [
        ("mode = 4, value = ?", pickled),
        ("mode = 4, value = NULL, filename = ?", str(outside)),
        ("mode = 2, value = NULL, filename = ?", str(outside)),
        ("mode = 3, value = NULL, filename = ?", "../outside.txt"),
        ("filename = ?", str(outside)),
        ("value = ?", "text"),
        ("value = ?", 5),
        ("value = ?", None),
        ("value = ?", pickled),
        ("value = zeroblob(?)", 20_000_000),
    ]
    for (rowid,), (change, value) in zip(rows, plants, strict=False):
        connection.execute(f"UPDATE Cache SET {change} WHERE rowid = {rowid}", (value,))
    connection.execute("UPDATE Settings SET value = 'disk' WHERE key LIKE 'sqlite%'")
    connection.execute("INSERT INTO Settings VALUES ('_directory', ?)", (str(tmp_path),))

    store = opened(file.parent)
    found = store.get_many(KEYS)
    assert len(found) == len(BODIES) - len(plants)
    assert found.items() <= BODIES.items()
    assert store.stats().damaged == len(plants)
    store.put_many(BODIES)
    assert store.get_many(KEYS) == BODIES
    assert store.clear() == len(BODIES)
    assert outside.read_text() == "mine"
    assert not marker.exists()


def test_our_disk_neither_unpickles_nor_follows_names_under_diskcache(
    planted: tuple[Path, sqlite3.Connection], tmp_path: Path
) -> None:
    file, connection = planted
    marker, outside = tmp_path / "ran", tmp_path / "outside.txt"
    outside.write_text("mine")
    pickled = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    connection.execute(
        "INSERT INTO Cache(key, raw, mode, value) VALUES (?, 1, 4, ?)", (b"p", pickled)
    )
    connection.execute(
        "INSERT INTO Cache(key, raw, mode, filename) VALUES (?, 1, 2, ?)", (b"f", str(outside))
    )
    connection.execute(
        "INSERT INTO Cache(key, raw, mode, value) VALUES (?, 0, 1, ?)", (pickled, b"v")
    )
    with Cache(str(file.parent), disk=RawDisk) as cache:
        assert cache.get(b"p") is None
        assert cache.get(b"f") is None
        assert cache.delete(b"f")
        with pytest.raises(OSError, match="raw"):
            list(cache)
        with pytest.raises(StoreError):
            cache.set("text", b"value")
        with pytest.raises(StoreError):
            cache.set(b"key", {"not": "bytes"})
        cache.clear()
    assert outside.read_text() == "mine"
    assert not marker.exists()
    with pytest.raises(StoreError):
        RawDisk(str(tmp_path)).filename()


def test_a_variable_in_the_path_leads_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "elsewhere"))
    home = tmp_path / "$ELSEWHERE"
    store = opened(home)
    store.put_many(BODIES)
    assert store.stats().degraded
    assert not (tmp_path / "elsewhere").exists()


def test_a_killed_creation_leaves_a_draft_that_the_next_one_sweeps(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / ".new-left").mkdir()
    (home / ".new-left" / "cache.db").write_text("half")
    create_cache_file(home)
    assert [entry.name for entry in home.iterdir()] == ["cache.db"]


# ---------------------------------------------------------------- processes and disks


def test_a_store_opened_by_sixteen_processes_at_once_keeps_everything(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from evalrunner.adapters.cache_disk import open_disk_store\n"
        "from evalrunner.values.fingerprint import digest\n"
        "sys.stdin.readline()\n"
        "store = open_disk_store(Path(sys.argv[1]), namespace='ci')\n"
        "for batch in range(5):\n"
        "    store.put_many({digest([sys.argv[2], batch]): sys.argv[2].encode()})\n"
        "print(store.stats().writes, store.stats().degraded)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(home), str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    said = [process.communicate("go\n", timeout=60)[0].strip() for process in started]
    assert said == ["5 None"] * 6
    expected = {digest([str(n), batch]): str(n).encode() for n in range(6) for batch in range(5)}
    assert opened(home).get_many(list(expected)) == expected
    assert not list(home.glob("*.corrupt*"))


def in_a_child(work: Callable[[], None]) -> int:
    """The exit code of a forked child that does the work and nothing else."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001  # the parent sees the code, the reader the traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_uses_a_connection_of_its_own(home: Path) -> None:
    store = opened(home)
    store.put_many(BODIES)

    def work() -> None:
        assert store.get_many(KEYS) == BODIES
        store.put_many({KEYS[0]: b"child"})
        store.close()

    assert in_a_child(work) == 0
    assert store.get_many(KEYS[:1]) == {KEYS[0]: b"child"}
    store.put_many({KEYS[0]: b"parent"})
    assert opened(home).get_many(KEYS[:1]) == {KEYS[0]: b"parent"}


@pytest.fixture
def public_tmp() -> Iterator[Path]:
    """A folder that a user without rights can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_read_only_directory_is_read_and_not_written(public_tmp: Path) -> None:
    home = public_tmp / "cache"
    file = filled(home)
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    for path in (*home.iterdir(), home):
        os.chown(path, nobody, -1)
    home.chmod(0o500)
    before = {path.name: path.stat().st_mtime_ns for path in home.iterdir()}

    def work() -> None:
        os.setresuid(nobody, nobody, nobody)
        store = opened(home)
        assert store.get_many(KEYS) == BODIES
        store.put_many({KEYS[0]: b"changed"})
        store.put_many({KEYS[1]: b"changed"})
        assert store.get_many(KEYS) == BODIES
        assert "cannot be written" in (store.stats().degraded or "")
        store.close()

    try:
        assert in_a_child(work) == 0
        assert {path.name: path.stat().st_mtime_ns for path in home.iterdir()} == before
    finally:
        home.chmod(0o700)
    assert file.exists()


def test_a_read_only_file_is_read_and_not_written(public_tmp: Path) -> None:
    home = public_tmp / "cache"
    file = filled(home)
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    for path in (*home.iterdir(), home):
        os.chown(path, nobody, -1)
    file.chmod(0o400)

    def work() -> None:
        os.setresuid(nobody, nobody, nobody)
        store = opened(home)
        assert store.get_many(KEYS) == BODIES
        store.put_many({KEYS[0]: b"changed"})
        assert store.get_many(KEYS) == BODIES
        assert store.stats().degraded

    assert in_a_child(work) == 0


def test_a_store_opened_read_only_changes_nothing_and_complains_of_nothing(home: Path) -> None:
    assert opened(home, read_only=True).get_many(KEYS) == {}
    assert not home.exists()
    filled(home)
    store = opened(home, read_only=True)
    store.put_many({KEYS[0]: b"changed"})
    assert store.clear() == 0
    assert store.get_many(KEYS) == BODIES
    assert store.stats() == opened(home).stats()


FILL = """
import os, resource, sys
from pathlib import Path
from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.values.fingerprint import digest
if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
store = open_disk_store(Path(sys.argv[1]), namespace="ci")
kept = set()
for batch in range(40):
    before = store.stats().writes
    bodies = {digest([batch, n]): os.urandom(1000) for n in range(20)}
    store.put_many(bodies)
    if store.stats().writes > before:
        kept |= bodies.keys()
assert store.stats().degraded, "the disk was large enough"
assert kept and store.get_many(list(kept)).keys() == kept
assert 0 < len(kept) < 800
print("survived")
"""


def test_a_file_that_may_not_grow_loses_new_entries_only(home: Path) -> None:
    assert run_python(FILL, home, 300_000).strip() == "survived"


def test_a_full_disk_loses_new_entries_only(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=300k,mode=700 tmpfs {tmp_path}"
    if subprocess.run(["unshare", "-Urm", "sh", "-c", mount], check=False).returncode:
        pytest.skip("this machine gives us no user namespace to fill a disk in")
    script = tmp_path.with_name("fill.py")
    script.write_text(FILL)
    inner = f"{mount} && exec env PYTHONPATH={ROOT} {sys.executable} {script} {tmp_path}/cache 0"
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", inner],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == "survived", done.stderr


def test_a_file_that_is_locked_for_long_is_a_miss(home: Path) -> None:
    file = filled(home)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    store = opened(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evalrunner.adapters.sqlite_file.BUSY_SECONDS", 0.05)
        patch.setattr(
            "evalrunner.adapters.sqlite_file.connect.__kwdefaults__", {"busy_seconds": 0.05}
        )
        found = store.get_many(KEYS)
        store.put_many({KEYS[0]: b"lost"})
    holder.execute("ROLLBACK")
    if journal_mode() != "wal":
        assert found == {}
    assert "locked" in (store.stats().degraded or "")
    assert store.get_many(KEYS) == BODIES
    assert not list(home.glob("*.corrupt*"))


WRITER = """
import os, sys
from pathlib import Path
from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.values.fingerprint import digest
home, life = Path(sys.argv[1]), sys.argv[2]
store = open_disk_store(home, namespace="ci")
for batch in range(10_000):
    keys = [digest([life, batch, n]) for n in range(20)]
    store.put_many({key: key.encode() * 10 for key in keys})
    assert store.stats().degraded is None, store.stats()
    os.write(1, f"{batch}\\n".encode())
"""


@pytest.mark.kill
def test_a_kill_loses_nothing_that_was_acknowledged(
    home: Path, rounds: Callable[[int, int], int]
) -> None:
    acknowledged: list[Fingerprint] = []
    for life in range(rounds(24, 300)):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), str(life)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(life % 7):  # from the very creation on, at a different point in each life
            writer.stdout.readline()
        writer.kill()
        batches = writer.stdout.read().split()
        writer.communicate()
        done = life % 7 + len(batches)
        acknowledged += [digest([str(life), b, n]) for b in range(done) for n in range(20)]
    store = opened(home)
    found = store.get_many(acknowledged)
    assert len(acknowledged) > 500
    assert [key for key in acknowledged if found.get(key) != key.encode() * 10] == []
    assert store.stats().degraded is None
    assert not list(home.glob("*.corrupt*"))
