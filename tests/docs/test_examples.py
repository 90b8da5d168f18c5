"""Every example of the documentation works: files load, Python runs, commands parse."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from evalrunner.cli.app import COMMANDS, app, entry
from evalrunner.suite.config import load_project
from tests.docs.pages import PAGES, ROOT, Example, all_examples, examples, write_project

LANGUAGES = {"bash", "console", "jinja", "jsonl", "python", "sh", "text", "yaml"}
PROJECTS = [page for page in PAGES if any(e.title for e in examples(page))]


def _at(example: Example) -> str:
    return example.place


@pytest.mark.parametrize("example", all_examples(), ids=_at)
def test_every_example_says_what_it_is(example: Example) -> None:
    """A YAML block without a title would be checked by nobody."""
    assert example.language in LANGUAGES
    assert example.title or example.language not in {"yaml", "jsonl", "jinja"}


@pytest.mark.parametrize("page", PROJECTS, ids=lambda page: page.name)
def test_the_files_of_a_page_are_a_project_that_validates(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = write_project(page, tmp_path)
    assert len(names) == len(set(names)), "one page shows each file once"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVAL_OPENAI_KEY", "made-up")
    load_project(tmp_path)
    if any(name.startswith("suites/") for name in names):
        assert entry(["validate"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", PROJECTS, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """Files are imported, and what is no file is run, in the project that the page shows."""
    names = write_project(page, tmp_path)
    modules = [name[:-3].replace("/", ".") for name in names if name.endswith(".py")]
    programs = [f"import {module}" for module in modules]
    programs += [e.text for e in examples(page) if e.language == "python" and e.title is None]
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program}\n{done.stderr}"


def _commands(example: Example) -> list[list[str]]:
    lines = example.text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["evalrunner"]]


COMMAND_LINES = [
    pytest.param(words, id=f"{example.place}: {shlex.join(words)}")
    for example in all_examples("sh", "console")
    for words in _commands(example)
]


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_every_command_line_can_be_typed(words: list[str]) -> None:
    """It is parsed by the real command, and not run."""
    command = app.get_command(click.Context(app), words[0])
    assert command is not None, f"{words[0]!r} is none of {', '.join(COMMANDS)}"
    command.make_context(words[0], words[1:])
