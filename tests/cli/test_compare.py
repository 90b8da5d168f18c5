from __future__ import annotations

import json

import pytest

from evalrunner.cli.app import entry
from tests.cli.project import CliProject


def two_runs(project: CliProject, number: int, missing: int) -> None:
    """``base.json``, and ``head.json`` where the answers of some rows no longer hold the word."""
    rows = [{"id": f"r{n}", "word": f"w{n}", "wanted": f"w{n}"} for n in range(number)]
    suite = (project.root / "suites/greet.yaml").read_text()
    suite = suite.replace('value: "{{word}}"', 'value: "{{wanted}}"')
    project.write("suites/greet.yaml", suite + "gate: {min_pass_rate: 0.5}\n")
    project.rows(*rows)
    assert project.run("-o", "base.json") == 0
    for row in rows[:missing]:
        row["wanted"] = "never said"
    project.rows(*rows)
    assert project.run("-o", "head.json") == 0


def test_a_significant_regression_is_exit_1_and_named(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    two_runs(project, 40, 8)
    capsys.readouterr()
    assert entry(["compare", "base.json", "head.json"]) == 1
    said = capsys.readouterr().out
    assert "significantly worse" in said and "regressed greet/r0  contains" in said
    assert entry(["compare", "head.json", "base.json"]) == 0
    assert entry(["compare", "base.json", "base.json"]) == 0


def test_chance_is_no_failure_unless_a_number_is_allowed(project: CliProject) -> None:
    two_runs(project, 40, 2)
    assert entry(["compare", "base.json", "head.json"]) == 0
    assert entry(["compare", "base.json", "head.json", "--max-regressions", "1"]) == 1
    assert entry(["compare", "base.json", "head.json", "--max-regressions", "2"]) == 0
    assert entry(["compare", "base.json", "head.json", "--alpha", "0.3"]) == 1


def test_it_is_written_for_programs_and_for_people(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    two_runs(project, 10, 1)
    capsys.readouterr()
    words = ["compare", "base.json", "last", "--json", "-o", "out/it.md", "-o", "out/it.json"]
    assert entry(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "evalrunner.compare/1"
    assert [each["id"] for each in document["regressions"]] == ["greet/r0"]
    assert json.loads((project.root / "out/it.json").read_text()) == document
    assert "`greet/r0`" in (project.root / "out/it.md").read_text()


@pytest.mark.parametrize(
    "words",
    [["a.json"], ["gone.json", "gone.json"], ["last", "last", "--alpha", "2"]],
)
def test_bad_words_are_one_line(
    project: CliProject, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["compare", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_ending_says_which_are_known(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run() == 0
    assert entry(["compare", "last", "last", "-o", "x.pdf"]) == 2
    assert "end the path in .json or .md" in capsys.readouterr().err
