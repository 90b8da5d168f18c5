"""A hostile head under the base's policy: nothing it edits loosens a gate, moves a key or costs more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evalrunner.testing import FakeProvider
from tests.cli.project import CliProject, echo
from tests.servers import Server

STRICT = "gate: {min_pass_rate: 0.9}\ntarget: frontier\n"


@pytest.fixture
def base(project: CliProject) -> Path:
    """The base's checkout beside the head's; one of three rows fails, so that its gate is red."""
    suite = (project.root / "suites/greet.yaml").read_text() + STRICT
    project.write("suites/greet.yaml", suite.replace('value: "{{word}}"', 'value: "Say t"'))
    project.rows({"id": "one", "word": "one"}, {"id": "two", "word": "two"})
    base = project.root.parent / f"{project.root.name}-base"
    shutil.copytree(project.root, base)
    return base


def run(project: CliProject, base: Path, *words: str) -> int:
    policy = str(base / "evalrunner.yaml")
    return project.run("--policy", policy, "-o", "run.json", *words)


def asked(provider: FakeProvider) -> int:
    return sum(provider.calls.values())


def edit(project: CliProject, name: str, old: str, new: str) -> None:
    text = (project.root / name).read_text()
    assert old in text
    project.write(name, text.replace(old, new))


def test_the_policy_of_the_same_files_changes_nothing(project: CliProject, base: Path) -> None:
    assert run(project, base) == 1
    assert project.document()["warnings"] == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("min_pass_rate: 0.9", "min_pass_rate: 0", "gate"),
        ("target: frontier", "repeat: 40", "repeat"),
        ("target: frontier", "threshold: 0", "threshold"),
        ("target: frontier", "max_usd: 1000", "max_usd"),
        ("target: frontier", "target: [frontier, small]", "targets"),
        ("target: frontier", "routing: {format: {subject: target, judge: proxy}}", "routing"),
    ],
)
def test_what_the_head_loosens_is_overruled_and_named(
    project: CliProject, base: Path, old: str, new: str, named: str
) -> None:
    edit(project, "suites/greet.yaml", old, new)
    assert run(project, base) == 1
    assert asked(project.provider) == 2, "as many requests as the base's suite makes"
    assert project.document()["warnings"] == [
        f"suite 'greet': {named} changed here: the policy's rule"
    ]


def test_a_gate_that_is_loosened_without_a_policy_is_green(project: CliProject, base: Path) -> None:
    edit(project, "suites/greet.yaml", "min_pass_rate: 0.9", "min_pass_rate: 0")
    assert project.run() == 0


def test_models_hosts_and_ceilings_are_the_policys(project: CliProject, base: Path) -> None:
    with FakeProvider(echo) as stranger:
        edit(project, "evalrunner.yaml", project.provider.base_url, stranger.base_url)
        assert run(project, base) == 1
        assert asked(stranger) == 0 and asked(project.provider) == 2
    project.write("evalrunner.yaml", "this: {is: not, a: configuration}\n")
    assert run(project, base, "--no-cache") == 1
    with (base / "evalrunner.yaml").open("a") as file:
        file.write("cost: {max_usd_per_run: 0.000001}\n")
    assert run(project, base, "--no-cache") == 3
    assert asked(project.provider) == 4


@pytest.mark.parametrize(
    "target", ["openai/gpt-5.1", "{http: {url: 'http://127.0.0.1:1/', body: {}, output: a}}"]
)
def test_a_new_suite_tests_what_the_policy_names(
    project: CliProject, base: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("suites/new.yaml", f"name: new\nprompts: [hi]\ntarget: {target}\n")
    assert run(project, base) == 2
    assert "suites/new.yaml:3: " in (said := capsys.readouterr().err) and "policy" in said
    assert asked(project.provider) == 0


def test_a_judge_is_named_by_the_policy_too(
    project: CliProject, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, "suites/greet.yaml", "contains,", "llm-rubric, provider: openai/gpt-5.1,")
    assert run(project, base) == 2
    assert "policy" in capsys.readouterr().err
    assert asked(project.provider) == 0


def test_a_new_suite_has_the_default_gate(project: CliProject, base: Path) -> None:
    text = 'name: new\nprompts: ["Say no"]\nchecks: [{type: contains, value: "yes"}]\n'
    project.write("suites/new.yaml", text + "gate: {min_pass_rate: 0}\n")
    assert run(project, base, "suites/new.yaml") == 1
    (warning,) = project.document()["warnings"]
    assert "'new'" in warning and "gate" in warning and "does not have" in warning


def test_a_removed_suite_is_named(project: CliProject, base: Path) -> None:
    (project.root / "suites/greet.yaml").rename(project.root / "suites/hidden.txt")
    project.write("suites/new.yaml", 'name: new\nprompts: ["hi"]\nchecks: []\n')
    run(project, base)
    warnings = project.document()["warnings"]
    assert "the policy has the suite 'greet', which is missing here" in warnings


def test_a_policy_that_is_not_there_is_one_line(
    project: CliProject, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("--policy", "gone.yaml") == 2
    assert "there is no policy 'gone.yaml'" in capsys.readouterr().err


def test_a_shared_store_is_read_and_never_written(
    project: CliProject, base: Path, server: Server
) -> None:
    with (base / "evalrunner.yaml").open("a") as file:
        file.write(f"cache: {{url: '{server.url}', namespace: team}}\n")
    assert project.run("--config", str(base / "evalrunner.yaml"), str(base / "suites")) == 1
    held = server.command("DBSIZE"), _entries(server)
    assert asked(project.provider) == 2
    project.rows({"id": "one", "word": "one"}, {"id": "new", "word": "new"})
    assert run(project, base) == 1
    assert asked(project.provider) == 3, "one row was the team's, one is new"
    assert (server.command("DBSIZE"), _entries(server)) == held
    assert run(project, base) == 1
    assert asked(project.provider) == 3, "the new one is in the head's own overlay"
    assert project.document()["summary"]["cache"]["mode"] == "overlay"


def _entries(server: Server) -> dict[str, object]:
    keys = server.command("KEYS", "*")
    assert isinstance(keys, list) and keys
    return {str(key): server.command("HLEN", key) for key in keys}
