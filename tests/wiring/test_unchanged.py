"""An unchanged run is answered before anything is imported, and any change at all ends that."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.adapters.unchanged_file import FOLDER, selection_of
from evalrunner.reports.document import from_json
from evalrunner.testing import FakeProvider, FakeReply
from evalrunner.wiring.command import Command
from evalrunner.wiring.session import run_command
from evalrunner.wiring.unchanged import answer_unchanged

CONFIG = """\
models:
  large:
    model: openai/large
    base_url: "{url}"
    revision: "1"
    price: {{input_per_mtok: 1, output_per_mtok: 1}}
tiers: {{frontier: large}}
"""
SUITE = """\
name: words
prompts: ["file://../prompts/ask.txt"]
golden: "file://../golden/words.jsonl"
checks: [{type: contains, value: "{{expected}}"}]
"""


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider("a word") as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "evalrunner.yaml": CONFIG.format(url=provider.base_url),
        "suites/words.yaml": SUITE,
        "prompts/ask.txt": "Say {{q}}",
        "golden/words.jsonl": '{"q": "a", "expected": "a word"}\n{"q": "b", "expected": "word"}\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, **flags: object) -> int:
    report = run_command(Command(argv=("run", *arguments), **flags))  # type: ignore[arg-type]
    return report.run.exit_code


def records(project: Path) -> list[Path]:
    """The records of whole runs; those of single rows lie beside them under longer names."""
    return sorted(
        path for path in (project / ".evalrunner/cache" / FOLDER).iterdir() if len(path.name) == 64
    )


def documents(project: Path) -> list[dict[str, object]]:
    return [
        json.loads(path.read_text()) for path in sorted((project / ".evalrunner/runs").iterdir())
    ]


def test_it_says_the_same_again(
    project: Path, provider: FakeProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    (first,) = documents(project)
    requests = len(provider.requests)
    assert answer_unchanged([]) == 0
    assert len(provider.requests) == requests
    assert "2 of 2 cases passed, nothing changed since" in capsys.readouterr().out
    second = next(one for one in documents(project) if one["run"]["id"] != first["run"]["id"])  # type: ignore[index]
    assert second["run"]["answered_from"] == first["run"]["id"]  # type: ignore[index]
    assert second["gates"] == first["gates"]
    summary = second["summary"]
    assert summary["cache"]["hits"] == 2  # type: ignore[index]
    assert summary["calls"]["total"] == 0  # type: ignore[index]
    assert summary["cost"]["incurred_usd"] == "0"  # type: ignore[index]
    assert summary["cost"]["nominal_usd"] == first["summary"]["cost"]["nominal_usd"]  # type: ignore[index]
    from_json(json.dumps(second).encode(), name="second")


def test_it_has_a_row_in_the_ledger(project: Path) -> None:
    run()
    answer_unchanged([])
    SqliteLedger(project / ".evalrunner/ledger.sqlite3", run_id="x").close()
    connection = sqlite3.connect(project / ".evalrunner/ledger.sqlite3")
    rows = connection.execute(
        "SELECT suite, cases, passed, calls FROM runs ORDER BY number"
    ).fetchall()
    connection.close()
    assert rows == [("words", 2, 2, 2), ("words", 2, 2, 0)]


def test_quiet_leaves_the_verdict(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    capsys.readouterr()
    assert answer_unchanged(["-q"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("passed  2 of 2 cases passed, nothing changed since run ")
    assert said.count("\n") == 1


def test_a_failing_run_fails_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "golden/words.jsonl").write_text('{"q": "a", "expected": "absent"}\n')
    assert run() == 1
    assert answer_unchanged([]) == 1
    assert answer_unchanged(["--quiet"]) == 1
    assert "exit 1" in capsys.readouterr().out
    assert answer_unchanged(["--warn-only"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-j", "5"],
        ["-q"],
        ["--no-progress"],
        ["--frozen"],
        ["--max-concurrency=7"],
        ["--no-preflight"],
    ],
    ids=" ".join,
)
def test_what_changes_no_verdict_changes_nothing(project: Path, arguments: list[str]) -> None:
    run()
    assert answer_unchanged(arguments) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--recache"],
        ["--no-cache"],
        ["--only-failed"],
        ["-o", "x.json"],
        ["--json"],
        ["-v"],
        ["--config", "evalrunner.yaml"],
        ["-k", "a"],
        ["suites/words.yaml"],
        ["-n", "1"],
        ["--var", "q=1"],
        ["--repeat", "2"],
        ["-j5"],
    ],
    ids=" ".join,
)
def test_another_selection_is_run(project: Path, arguments: list[str]) -> None:
    run()
    assert answer_unchanged(arguments) is None


def _append(name: str) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        with (project / name).open("a") as file:
            file.write("\n")

    return edit


def _clear_store(project: Path) -> None:
    store = open_disk_store(project / ".evalrunner/cache", namespace="default")
    assert store.clear() == 2
    store.close()


def _damage_record(project: Path) -> None:
    (record,) = records(project)
    data = bytearray(record.read_bytes())
    data[len(data) // 2] ^= 1
    record.write_bytes(bytes(data))


CHANGES: dict[str, Callable[[Path], None]] = {
    "configuration": _append("evalrunner.yaml"),
    "suite": _append("suites/words.yaml"),
    "golden": _append("golden/words.jsonl"),
    "prompt": _append("prompts/ask.txt"),
    "another suite": lambda project: (project / "suites/more.yaml").write_text("x") and None,
    "suite gone": lambda project: (project / "suites/words.yaml").unlink(),
    "golden gone": lambda project: (project / "golden/words.jsonl").unlink(),
    "store cleared": _clear_store,
    "store gone": lambda project: (project / ".evalrunner/cache/cache.db").unlink(),
    "store emptied": lambda project: (
        (project / ".evalrunner/cache/cache.db").write_bytes(b"") and None
    ),
    "record damaged": _damage_record,
    "ledger gone": lambda project: (project / ".evalrunner/ledger.sqlite3").unlink(),
    "a second configuration": lambda project: (
        (project / "suites/evalrunner.yaml").write_text("{}") and None
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_any_change_at_all_is_run(project: Path, change: Callable[[Path], None]) -> None:
    run()
    assert answer_unchanged([]) == 0
    change(project)
    assert answer_unchanged([]) is None


def test_a_record_of_another_name_is_none(project: Path) -> None:
    """Renaming a record must not make it answer another command line."""
    run()
    run("-n", "1", limit=1)
    first, second = records(project)
    swapped = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swapped)
    assert answer_unchanged([]) is None
    assert answer_unchanged(["-n", "1"]) is None


def test_our_variables_are_part_of_the_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setenv("EVALRUNNER_MAX_USD", "1")
    assert answer_unchanged([]) is None


def test_another_folder_means_other_suites(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.chdir(project / "suites")
    assert answer_unchanged([]) is None


@pytest.mark.parametrize(
    "reply",
    [FakeReply(text="a word", finish_reason="length"), FakeReply(status=400, text="no")],
    ids=["cut off", "errored"],
)
def test_a_run_that_would_ask_again_is_not_recorded(
    project: Path, provider: FakeProvider, reply: FakeReply
) -> None:
    with FakeProvider(reply) as other:
        (project / "evalrunner.yaml").write_text(CONFIG.format(url=other.base_url))
        run()
    assert answer_unchanged([]) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evalrunner.yaml", "cache: {max_age: 30d}\n"),
        ("suites/words.yaml", "target: {command: [cat], version: '1'}\n"),
    ],
)
def test_what_can_change_unseen_is_not_recorded(project: Path, name: str, text: str) -> None:
    with (project / name).open("a") as file:
        file.write(text)
    run()
    assert answer_unchanged([]) is None


def test_old_documents_go_but_not_the_one_that_was_answered_from(project: Path) -> None:
    run()
    (origin,) = (project / ".evalrunner/runs").iterdir()
    os.utime(origin, (1, 1))
    for _ in range(25):
        assert answer_unchanged([]) == 0
    left = list((project / ".evalrunner/runs").iterdir())
    assert origin in left
    assert len(left) == 21


def test_nothing_heavy_is_imported(project: Path) -> None:
    run()
    code = (
        "import sys; from evalrunner.wiring.unchanged import answer_unchanged;"
        "assert answer_unchanged(['-q']) == 0;"
        "heavy = {'click', 'pydantic', 'yaml', 'jinja2', 'rich', 'asyncio', 'datasets', 'litellm',"
        " 'diskcache', 'httptools', 'dataclasses'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "selection"),
    [
        ([], []),
        (["suites", "-j", "4", "-q"], ["suites"]),
        (["--limit=3"], ["--limit", "3"]),
        (["--max-usd", "1", "a.yaml"], ["--max-usd", "1", "a.yaml"]),
        (["--unknown"], None),
        (["-qv"], None),
        (["a.yaml", "-o", "run.json", "--output=x.md", "--json", "-v"], ["a.yaml"]),
    ],
)
def test_the_words_that_choose(arguments: list[str], selection: list[str] | None) -> None:
    assert selection_of(arguments) == selection


@pytest.mark.parametrize("more", [["-o", "run.json"], ["--output=r.md"], ["--json"], ["-v"]])
def test_a_run_that_is_to_say_more_is_made_again_from_what_is_kept(
    project: Path, provider: FakeProvider, more: list[str]
) -> None:
    run(*more)
    asked = len(provider.requests)
    assert answer_unchanged(more) is None
    assert answer_unchanged([]) == 0
    assert len(provider.requests) == asked


def test_what_python_asked_for_is_no_command_line(project: Path) -> None:
    """A run of one case from Python must not answer for ``evalrunner run`` in the same folder."""
    run_command(Command(start=project, limit=1))
    assert answer_unchanged([]) is None
