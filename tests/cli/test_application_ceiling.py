"""An application that says what a call of it costs at most: ceilings hold for it as for a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalrunner.cli.app import entry

BOT = """\
from evalrunner import Answer


def answer(prompt, vars):
    return Answer(output="a", usd=vars.get("usd", "0.10"))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evalrunner.yaml").write_text("cost: {}\n")
    (tmp_path / "ceilingbot.py").write_text(BOT)
    (tmp_path / "suites").mkdir()
    return tmp_path


def suite(project: Path, most: str = "", rows: str = "") -> None:
    letters = ", ".join(f"{{x: {letter}}}" for letter in "abcdef")
    (project / "suites/s.yaml").write_text(
        f'name: s\ntarget: {{python: "ceilingbot:answer"{most}}}\nprompts: ["Say {{{{x}}}}"]\n'
        f"golden: [{letters}{rows}]\nchecks: [{{type: contains, value: a}}]\n"
    )


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = entry([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_ceiling_holds_exactly_for_what_says_its_worst_case(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(project, ", max_usd_per_call: 0.1")
    code, document = said(capsys, "run", "--no-progress", "--max-usd", "0.25")
    assert (code, document["summary"]["cost"]["incurred_usd"]) == (8, "0.2")
    assert document["summary"]["not_run"] == 4
    suite(project)
    code, document = said(capsys, "run", "--no-progress", "--recache", "--max-usd", "0.25")
    assert document["summary"]["cost"]["estimate"]["maximum_usd"] is None, "nobody says at most"


def test_the_bound_is_the_plans_maximum_and_no_part_of_the_question(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(project, ", max_usd_per_call: 0.1")
    _, document = said(capsys, "run", "--no-progress")
    assert document["summary"]["cost"]["estimate"]["maximum_usd"] == "2.4", "four attempts each"
    for other in (", max_usd_per_call: 0.2", ""):
        suite(project, other)
        _, document = said(capsys, "run", "--no-progress")
        assert document["summary"]["cache"]["misses"] == 0


def test_an_application_that_costs_more_than_it_says_is_told_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(project, ", max_usd_per_call: 0.1", ", {x: g, usd: '0.2'}, {x: h, usd: '0.3'}")
    capsys.readouterr()
    assert entry(["run", "--no-progress"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("max_usd_per_call") == 1
    assert "s:ceilingbot:answer: a call cost $0.3, more than its max_usd_per_call of $0.1" in out


def test_a_model_has_a_price_and_no_bound_of_its_own(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(project)
    path = project / "suites/s.yaml"
    path.write_text(
        path.read_text().replace(
            '{python: "ceilingbot:answer"}', "{model: openai/x, max_usd_per_call: 1}"
        )
    )
    assert entry(["validate"]) == 2
    assert "suites/s.yaml:2: target[0]: max_usd_per_call is for applications" in (
        capsys.readouterr().err
    )
