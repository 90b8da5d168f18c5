"""``evalrunner cache`` on real stores: what it says, what it removes, what it refuses."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from evalrunner.adapters.cache_archive import open_archive, write_archive
from evalrunner.adapters.envelope import seal
from evalrunner.adapters.uses_file import FOLDER
from evalrunner.cli import main
from evalrunner.cli.app import entry
from evalrunner.testing import FakeProvider
from evalrunner.values.fingerprint import digest
from tests.cli.project import CliProject, echo, make_project
from tests.servers import Server


@pytest.fixture(params=["disk", "server"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three answers in a store; the provider counts what is asked."""
    monkeypatch.chdir(tmp_path)
    if request.param == "server":
        server: Server = request.getfixturevalue("server")
        monkeypatch.setenv("EVALRUNNER_CACHE_URL", server.url)
    with FakeProvider(echo) as provider:
        made = make_project(tmp_path, provider)
        assert made.run("-o", "run.json") == 0
        yield made


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    with FakeProvider(echo) as provider:
        made = make_project(tmp_path, provider)
        assert made.run("-o", "run.json") == 0
        yield made


@pytest.fixture(autouse=True)
def _quiet(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()


class Said:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        found = entry(["cache", *words])
        captured = self._capsys.readouterr()
        assert found == code, captured.err + captured.out
        assert "Traceback" not in captured.err
        return captured.out + captured.err

    def document(self, *words: str, code: int = 0) -> dict[str, Any]:
        self._capsys.readouterr()
        assert entry(["cache", *words, "--json"]) == code
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return found


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


def shared(document: dict[str, Any]) -> dict[str, Any]:
    """What is said of the store that has the answers."""
    found: dict[str, Any] = max(document["stores"], key=lambda store: store["entries"])
    return found


def program() -> None:
    """The command as a shell runs it: an unchanged run is answered before anything is imported."""
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def change_a_row(project: CliProject) -> None:
    project.rows(*({"id": word, "word": word} for word in ("one", "two", "drei")))


def damage(project: CliProject) -> None:
    with sqlite3.connect(project.root / ".evalrunner/cache/cache.db") as connection:
        connection.execute("UPDATE Cache SET value = zeroblob(90) WHERE rowid = 1")


def asked(project: CliProject) -> int:
    return len(project.provider.requests)


# ---------------------------------------------------------------- stats


def test_stats_tell_what_is_there_whose_it_is_and_how_often_it_helped(
    project: CliProject, said: Said
) -> None:
    project.run("--filter", "o")
    found = said.document("stats")
    store = shared(found)
    assert store["entries"] == store["by_suite"]["greet"]["entries"] == 3
    assert store["bytes"] == store["by_suite"]["greet"]["bytes"] > 300
    assert store["unbelieved"] == 0
    assert time.time() - 100 < store["oldest"] <= store["newest"] <= time.time()
    assert time.time() - 100 < store["by_suite"]["greet"]["used_at"] <= time.time()
    (day,) = found["days"]
    assert (day["runs"], day["hits"], day["calls"]) == (2, 2, 3)
    assert day["hit_rate"] == 0.4
    text = said.text("stats")
    assert "greet: 3 entries" in text
    assert "40.0%" in text


def test_an_unchanged_run_counts_as_a_use(
    on_disk: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["evalrunner", "run", "-q"])
    program()
    uses = on_disk.root / ".evalrunner/cache" / FOLDER
    for file in uses.iterdir():
        os.utime(file, (1000.0, 1000.0))
    program()
    runs = (on_disk.root / ".evalrunner/runs").iterdir()
    newest = max(runs, key=lambda path: path.stat().st_mtime_ns)
    assert json.loads(newest.read_bytes())["run"]["answered_from"]
    used_at = shared(said.document("stats"))["by_suite"]["greet"]["used_at"]
    assert used_at > 1000.0


def test_stats_of_an_empty_project(tmp_path: Path, monkeypatch: Any, said: Said) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evalrunner.yaml").write_text("{}")
    assert "0 entries" in said.text("stats")


# ---------------------------------------------------------------- verify


def test_verify_finds_nothing_wrong_where_nothing_is(project: CliProject, said: Said) -> None:
    found = said.document("verify")
    assert found["sound"]
    assert shared(found)["entries"] == 3
    assert "all sound" in said.text("verify")


def test_verify_names_what_is_damaged_and_prune_removes_it(on_disk: CliProject, said: Said) -> None:
    damage(on_disk)
    found = said.document("verify", code=1)
    (store,) = found["stores"]
    assert (found["sound"], store["damaged"], len(store["wrong"])) == (False, 1, 1)
    assert store["wrong"][0] in said.text("verify", code=1)
    assert "by rule: damaged 1" in said.text("prune", "--damaged")
    assert said.document("verify")["sound"]
    assert on_disk.run() == 0
    assert asked(on_disk) == 4


@pytest.mark.parametrize("project", ["server"], indirect=True)
def test_verify_finds_what_another_program_wrote_on_the_server(
    project: CliProject, said: Said, server: Server
) -> None:
    key = "evalrunner:1.1:default"
    server.command("HSET", key, bytes.fromhex(digest("planted")), b"\x80\x04N.")
    found = shared(said.document("verify", code=1))
    assert (found["entries"], found["damaged"], found["wrong"]) == (4, 1, [digest("planted")])


def test_a_server_that_does_not_answer_is_no_sound_cache(
    project: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALRUNNER_CACHE_URL", "redis://127.0.0.1:1")
    assert "nobody listens" in said.text("verify", code=6)


# ---------------------------------------------------------------- prune and clear


def test_pruning_what_no_suite_reaches_leaves_what_the_next_run_needs(
    project: CliProject, said: Said
) -> None:
    change_a_row(project)
    assert project.run() == 0
    before = shared(said.document("prune", "--unreachable", "--dry-run"))
    assert (before["entries"], before["removed"], before["by_suite"]) == (4, 1, {"greet": 1})
    assert shared(said.document("stats"))["entries"] == 4, "a dry run removes nothing"
    said.text("prune", "--unreachable")
    assert shared(said.document("stats"))["entries"] == 3
    count = asked(project)
    assert project.run("--repeat", "1") == 0
    assert asked(project) == count


def test_pruning_by_age_and_by_size(project: CliProject, said: Said) -> None:
    assert shared(said.document("prune", "--older-than", "1h"))["removed"] == 0
    sizes = shared(said.document("stats"))
    most = sizes["bytes"] - 1
    found = shared(said.document("prune", "--max-size", f"{most}b"))
    assert (found["removed"], found["by_reason"]) == (1, {"size": 1})
    assert shared(said.document("prune", "--max-size", f"{most}b"))["removed"] == 0
    assert shared(said.document("prune", "--older-than", "0s"))["by_reason"] == {"age": 2}


def test_pruning_what_was_not_used_asks_what_runs_have_used(
    on_disk: CliProject, said: Said
) -> None:
    change_a_row(on_disk)
    on_disk.run()
    cache = on_disk.root / ".evalrunner/cache"
    old = time.time() - 10 * 86400
    run_id = max((cache.parent / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns).stem
    used = (cache / FOLDER / f"{run_id}.run").read_text().split()
    for file in (cache / FOLDER).iterdir():
        if file.name not in used:
            os.utime(file, (old, old))
    reseal_as_stored_at(cache / "cache.db", old)
    found = shared(said.document("prune", "--unused-for", "5d", "--dry-run"))
    assert (found["entries"], found["removed"], found["by_reason"]) == (4, 1, {"unused": 1})
    assert shared(said.document("prune", "--unused-for", "11d"))["removed"] == 0


def reseal_as_stored_at(database: Path, moment: float) -> None:
    from evalrunner.adapters.cache_disk import open_disk_store

    store = open_disk_store(database.parent, namespace="default")
    bodies = {one.key: one.kept.body for one in store.scan() if one.kept}
    store.put_sealed(
        {
            key: seal(key, body, namespace="default", stored_at=moment)
            for key, body in bodies.items()
        }
    )
    store.close()


def test_where_no_use_was_ever_written_down_nothing_is_unused(
    on_disk: CliProject, said: Said
) -> None:
    cache = on_disk.root / ".evalrunner/cache"
    for file in (cache / FOLDER).iterdir():
        file.unlink()
    reseal_as_stored_at(cache / "cache.db", 1000.0)
    assert shared(said.document("prune", "--unused-for", "1h"))["removed"] == 0


@pytest.mark.parametrize("words", [("prune", "--older-than", "0s"), ("clear", "--yes")])
def test_what_was_remembered_of_a_run_is_void_once_entries_are_gone(
    on_disk: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.argv", ["evalrunner", "run", "-q"])
    program()
    said.text(*words)
    program()
    assert asked(on_disk) == 6


def test_clear_removes_this_project_s_entries_alone(project: CliProject, said: Said) -> None:
    assert "3 entries removed" in said.text("clear", "--yes")
    assert shared(said.document("stats"))["entries"] == 0
    project.run()
    assert asked(project) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prune",), "say what goes"),
        (("prune", "suites/greet.yaml", "--damaged"), "for --unreachable"),
        (("prune", "--older-than", "soon"), "no duration"),
        (("prune", "--max-size", "much"), "no size"),
        (("export", "x", "--since", "yesterday"), "neither a duration nor a run"),
        (("export", "x", "--run", "nobody"), "neither a file nor the id"),
        (("export", "gone/x"), "cannot be written"),
        (("import", "missing"), "cannot be read"),
        (("import", "evalrunner.yaml"), "no cache archive"),
        (("similar", "suites/gone.yaml"), "gone.yaml"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    on_disk: CliProject, said: Said, words: tuple[str, ...], message: str
) -> None:
    assert message in said.text(*words, code=2)


def test_clear_asks_or_is_told(
    on_disk: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--yes" in said.text("clear", code=2)
    assert shared(said.document("stats"))["entries"] == 3


# ---------------------------------------------------------------- export and import


def test_what_is_exported_here_is_known_there(
    project: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said.document("export", "cache.bin")["entries"] == 3
    first = Path("cache.bin").read_bytes()
    said.text("export", "again.bin")
    assert Path("again.bin").read_bytes() == first, "the same entries are the same bytes"
    said.text("clear", "--yes")
    found = said.document("import", "cache.bin")
    assert (found["stored"], found["known"], found["refused"]) == (3, 0, 0)
    assert said.document("import", "cache.bin")["known"] == 3
    assert project.run("--frozen") == 0
    assert asked(project) == 3


def test_only_what_a_run_used_or_what_is_new_is_exported(on_disk: CliProject, said: Said) -> None:
    project = on_disk
    assert project.run("--filter", "two") == 0
    assert said.document("export", "a", "--run", "last")["entries"] == 1
    assert said.document("export", "b", "--run", "run.json")["entries"] == 3
    change_a_row(project)
    project.run("-o", "second.json")
    assert said.document("export", "c", "--since", "second.json")["entries"] == 1
    assert said.document("export", "d", "--since", "1h")["entries"] == 4
    said.text("prune", "--unreachable")
    assert said.document("export", "e", "--run", "run.json")["missing"] == 1


def test_entries_that_are_not_believed_are_refused_and_the_others_kept(
    on_disk: CliProject, said: Said
) -> None:
    keys = sorted(digest(number) for number in range(5))
    raw = [seal(key, b"{}", namespace="default", stored_at=1.0) for key in keys]
    raw[1] = seal(keys[1], b"{}", namespace="another", stored_at=1.0)
    raw[2] = raw[3]
    raw[4] = b"\x80\x04N."
    write_archive(Path("a"), zip(keys, raw, strict=True), namespace="default")
    found = said.document("import", "a", code=1)
    assert (found["entries"], found["stored"], found["refused"]) == (5, 2, 3)
    assert said.document("verify")["sound"]


@pytest.mark.parametrize("field", ["namespace", "epoch"])
def test_another_project_s_archive_is_refused_as_a_whole(
    on_disk: CliProject, said: Said, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    key = digest("x")
    if field == "epoch":
        monkeypatch.setattr("evalrunner.adapters.cache_archive.EPOCH", "9.9")
    namespace = "another" if field == "namespace" else "default"
    entries = [(key, seal(key, b"{}", namespace=namespace, stored_at=1.0))]
    write_archive(Path("a"), entries, namespace=namespace)
    assert "written by another" in said.text("import", "a", code=2) or field == "namespace"
    assert shared(said.document("stats"))["entries"] == 3


def test_an_import_keeps_the_age_of_what_it_brings(on_disk: CliProject, said: Said) -> None:
    reseal_as_stored_at(on_disk.root / ".evalrunner/cache/cache.db", 1000.0)
    said.text("export", "a")
    said.text("clear", "--yes")
    said.text("import", "a")
    assert shared(said.document("stats"))["oldest"] == 1000.0
    with open_archive(Path("a")) as archive:
        assert len(list(archive.entries())) == 3


# ---------------------------------------------------------------- similar

ROWS = [
    {"id": "a", "word": "Where is my parcel with the number you gave me?"},
    {"id": "b", "word": "Where is my  parcel with the number you gave me"},
    {"id": "c", "word": "How do I get my money back for a broken cup?"},
]


def test_similar_rows_are_named_priced_and_left_out(on_disk: CliProject, said: Said) -> None:
    on_disk.rows(*ROWS)
    on_disk.run()
    (found,) = said.document("similar", "-o", "small.jsonl")["suites"]
    (twin,) = found["similar"]
    assert (twin["row"], twin["of"], twin["differs"]) == ("b", "a", ["word"])
    assert twin["similarity"] > 0.9
    assert (found["rows"], found["cases"], found["calls"]) == (3, 1, 1)
    assert found["usd"] == "0.00002", "10 tokens at 1 dollar and 5 at 2 a million"
    kept = [json.loads(line)["id"] for line in Path("small.jsonl").read_text().splitlines()]
    assert kept == ["a", "c"]
    text = said.text("similar")
    assert "greet.jsonl:2 b is" in text
    assert "saves 1 call, $0.00002" in text


def test_what_was_never_asked_is_estimated(on_disk: CliProject, said: Said) -> None:
    on_disk.rows(*ROWS)
    (found,) = said.document("similar")["suites"]
    assert found["calls"] == 1
    assert float(found["usd"]) > 0
    assert asked(on_disk) == 3


def test_rows_that_differ_are_left_alone(on_disk: CliProject, said: Said) -> None:
    (found,) = said.document("similar")["suites"]
    assert found["similar"] == []
    assert (found["calls"], found["usd"]) == (0, "0")
