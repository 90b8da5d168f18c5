"""A project is taken from the record only while its files are the very ones that were read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalrunner.adapters.unchanged_file import FOLDER, read_record, write_record
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.testing import FakeProvider
from evalrunner.wiring.api import run_command
from evalrunner.wiring.command import Command
from evalrunner.wiring.known_project import known_project

CONFIG = "models:\n  m: {{model: openai/m, base_url: '{url}', revision: r1, price: free}}\n"
SUITE = """\
name: s
prompts: ["{{q}}"]
golden: "file://../golden/s.jsonl"
target: m
checks: [{type: contains, value: "{{word}}"}]
"""


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(lambda _: "ok") as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, provider: FakeProvider) -> Command:
    """The command of a project that has run once."""
    for name, text in (
        ("evalrunner.yaml", CONFIG.format(url=provider.base_url)),
        ("suites/s.yaml", SUITE),
        ("golden/s.jsonl", '{"q": "a", "word": "ok"}\n{"q": "b", "word": "ok"}\n'),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    made = Command(argv=("run",), start=tmp_path)
    run_command(made)
    return made


def root_of(command: Command) -> Path:
    assert command.start is not None
    return command.start


def edit_golden(command: Command) -> None:
    golden = root_of(command) / "golden" / "s.jsonl"
    golden.write_text(golden.read_text().replace('"b"', '"c"'))


def test_it_is_what_reading_the_files_gives(command: Command) -> None:
    edit_golden(command)
    known = known_project(command)
    assert known is not None
    project = load_project(root_of(command))
    (read,) = load_suites(project, find_suites(project))
    (suite,) = known.suites
    assert suite.suite == read.suite
    assert list(suite.goldens.rows()) == list(read.goldens.rows())
    assert {file.path: file.sha256 for file in suite.files} == {
        file.path: file.sha256 for file in read.files
    }
    assert known.project.models == project.models
    assert known.project.cost == project.cost


@pytest.mark.parametrize("name", ["evalrunner.yaml", "suites/s.yaml"])
def test_a_file_written_anew_with_the_same_bytes_is_read_anew(command: Command, name: str) -> None:
    path = root_of(command) / name
    times = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert known_project(command) is None


def test_a_copy_of_the_folder_is_read_anew(command: Command, tmp_path: Path) -> None:
    copied = shutil.copytree(root_of(command), tmp_path.parent / f"{tmp_path.name}-copy")
    assert known_project(Command(argv=("run",), start=copied)) is None


def test_a_record_from_elsewhere_chooses_no_host(
    command: Command, provider: FakeProvider, tmp_path: Path
) -> None:
    """Somebody who can write the store's folder, but not the configuration, sends no request away."""
    with FakeProvider(lambda _: "ok") as thief:
        store = str(tmp_path / ".evalrunner" / "cache")
        (name,) = [path.name for path in Path(store, FOLDER).iterdir() if path.suffix == ".rows"]
        record: Any = read_record(store, name)
        forged = json.loads(json.dumps(record).replace(provider.base_url, thief.base_url))
        assert forged != record
        write_record(store, name, forged)
        config = tmp_path / "evalrunner.yaml"
        config.write_bytes(config.read_bytes())  # as a checkout does
        edit_golden(command)
        before = len(provider.requests)
        run_command(command)
        assert (len(provider.requests) - before, len(thief.requests)) == (1, 0)


def test_flags_that_choose_another_configuration_are_not_answered(command: Command) -> None:
    assert known_project(Command(argv=("run",), start=command.start)) is not None
    assert known_project(Command(argv=("run",), start=command.start, config=Path("x"))) is None
    assert known_project(Command(argv=("run", "--policy", "x"), start=command.start)) is None
