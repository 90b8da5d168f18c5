"""Every documented exit code, reached by a command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evalrunner.cli import app
from evalrunner.cli.app import entry
from evalrunner.testing import FakeProvider, FakeReply
from tests.cli.project import CliProject, make_project


def test_0_everything_held(project: CliProject) -> None:
    assert project.run() == 0
    assert project.provider.calls == {"fake": 3}


def test_1_quality(project: CliProject) -> None:
    project.write(
        "suites/greet.yaml", "name: g\nprompts: [hi]\nchecks: [{type: contains, value: no}]\n"
    )
    assert project.run() == 1
    assert project.run("--warn-only") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["run", "--max-usd", "cheap"],
        ["run", "--max-usd", "-1"],
        ["run", "--shard", "3/2"],
        ["run", "--tag", "novalue"],
        ["run", "-o", "report.docx"],
        ["run", "nowhere.yaml"],
        ["run", "--only-failed"],
        ["run", "--baseline", "last"],
        ["report", "last"],
        ["report", "gone.json"],
        ["schema", "house"],
        ["schema"],
        ["run", "--config", "gone.yaml"],
        [],
    ],
)
def test_2_usage(project: CliProject, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(words) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if words:
        assert said.out == ""
        assert said.err.count("\n") == 1
    assert project.provider.calls == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("EVALRUNNER_FROZEN", "maybe"), ("EVALRUNNER_STATE_DIR", "evalrunner.yaml")],
)
def test_2_a_variable_of_the_environment_is_named(
    project: CliProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert project.run() == 2
    assert variable in capsys.readouterr().err
    assert project.provider.calls == {}


def test_3_the_expected_cost_is_refused(project: CliProject) -> None:
    assert project.run("--max-usd", "0.0001") == 3
    assert project.provider.calls == {}
    assert project.run("--max-usd", "0.0001", "--no-preflight") == 8


def test_4_a_ceiling_over_an_unpriced_model(project: CliProject) -> None:
    config = (project.root / "evalrunner.yaml").read_text().partition(",\n    price")[0] + "}\n"
    project.write("evalrunner.yaml", config + "tiers: {frontier: small}\n")
    assert project.run("--max-usd", "1") == 4
    assert project.provider.calls == {}
    assert project.run() == 0


def test_5_nothing_selected(project: CliProject) -> None:
    assert project.run("-k", "nobody") == 5
    (project.root / "suites/greet.yaml").unlink()
    assert project.run() == 5


def test_6_the_provider_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeProvider(FakeReply(text="who are you", status=401)) as provider:
        assert make_project(tmp_path, provider).run() == 6


def test_6_a_key_that_is_missing_says_what_to_type(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    config = (project.root / "evalrunner.yaml").read_text()
    project.write(
        "evalrunner.yaml", config.replace("revision", "api_key_env: NO_SUCH_KEY, revision")
    )
    assert project.run() == 6
    said = " ".join(capsys.readouterr().out.split())
    assert "'NO_SUCH_KEY'" in said
    assert "export NO_SUCH_KEY=…" in said
    assert "--env-file" in said


def test_7_frozen_misses_are_counted_as_misses(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("--frozen") == 7
    assert "0 hits, 3 misses (0 %), 3 not asked" in capsys.readouterr().out


def test_7_frozen_miss(project: CliProject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.run("--frozen") == 7
    monkeypatch.setenv("EVALRUNNER_FROZEN", "1")
    assert project.run() == 7
    monkeypatch.setenv("EVALRUNNER_FROZEN", "0")
    assert project.run() == 0
    assert project.run("--frozen") == 0
    assert project.provider.calls == {"fake": 3}


def test_8_the_ceiling_in_mid_run(project: CliProject) -> None:
    """The worst case of one call is above the ceiling, which only ``--no-preflight`` starts with."""
    assert project.run("--max-usd", "0.0001", "--no-preflight", "--recache", "-o", "run.json") == 8
    assert {case["reason"] for case in project.document()["cases"]} == {"budget"}


def test_70_a_bug_is_a_report_without_keys(
    project: CliProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-1234")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("impossible, said sk-very-secret-1234")

    monkeypatch.setattr("evalrunner.wiring.session.run_command", broken)
    assert project.run() == 70
    said = capsys.readouterr().err
    assert "this is a bug" in said
    assert "RuntimeError: impossible" in said
    assert "very-secret" not in said


def test_130_interrupted_before_the_first_call(
    project: CliProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evalrunner.suite.config.load_project", interrupted)
    assert project.run() == 130
    assert "Traceback" not in capsys.readouterr().err


def test_130_interrupted_while_a_call_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process itself, since a signal goes to a process; the signal is sent when a call arrived."""
    monkeypatch.chdir(tmp_path)
    process: subprocess.Popen[bytes] | None = None

    def answer(body: dict[str, object]) -> FakeReply:
        assert process is not None
        os.kill(process.pid, signal.SIGINT)
        return FakeReply(text="Say one two three", after_seconds=0.3)

    with FakeProvider(answer) as provider:
        make_project(tmp_path, provider)
        process = subprocess.Popen(
            [sys.executable, "-m", "evalrunner", "run", "-j", "1", "-o", "run.json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert (tmp_path / "run.json").exists()


def test_the_installed_program_ends_with_the_code(project: CliProject) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evalrunner", "run", "--frozen"], capture_output=True, check=False
    )
    assert done.returncode == 7


def test_a_reader_that_leaves_changes_no_exit_code(project: CliProject) -> None:
    """As in ``evalrunner run --json | head -c 1``, of a run that failed its gate."""
    project.write("suites/greet.yaml", "prompts: [hi]\nchecks: [{type: contains, value: no}]\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "evalrunner", "run", "--json", "--no-progress"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


def test_every_error_is_one_line_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app._say("a\x1b[2Jb")
    assert capsys.readouterr().err == "a\\x1b[2Jb\n"
    assert app._flat("one\n::error::two") == "one ::error::two"
