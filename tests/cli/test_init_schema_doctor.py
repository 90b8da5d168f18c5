"""``init`` makes what ``validate`` likes, ``schema`` describes real files, ``doctor`` looks around."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evalrunner.cli.app import entry
from evalrunner.wiring import doctor
from tests.cli.project import CliProject
from tests.servers import Server

ROOT = Path(__file__).parents[2]


def test_a_fresh_start_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert entry(["init"]) == 0
    assert capsys.readouterr().out.count("wrote") == 5
    assert entry(["validate"]) == 0
    said = capsys.readouterr()
    assert "3 rows" in said.out
    workflow = yaml.safe_load((tmp_path / ".github/workflows/evals.yml").read_text())
    assert workflow["permissions"] == {}
    assert any(
        step["uses"].startswith("OWNER/evalrunner@") for step in workflow["jobs"]["evals"]["steps"]
    )


def test_init_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("evalrunner.yaml").write_text("models: {}\n")
    assert entry(["init"]) == 0
    assert entry(["init"]) == 0
    assert Path("evalrunner.yaml").read_text() == "models: {}\n"
    assert "kept  evalrunner.yaml" in capsys.readouterr().out


def schema(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert entry(["schema", name]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_the_schemas_describe_the_repositorys_own_files(capsys: pytest.CaptureFixture[str]) -> None:
    of_suite, of_config = schema("suite", capsys), schema("config", capsys)
    for path in sorted((ROOT / "suites").glob("*.yaml")):
        jsonschema.validate(yaml.safe_load(path.read_text()), of_suite)
    jsonschema.validate(yaml.safe_load((ROOT / "evalrunner.yaml").read_text()), of_config)
    short = {"prompts": "hi", "checks": ["is-json"], "target": ["a"], "repeat": 3, "tags": {"a": 1}}
    jsonschema.validate(short, of_suite)
    models = {"a": "openai/x", "b": {"model": "a/b", "price": "free"}}
    jsonschema.validate({"models": models, "cost": {"gate": {"on": "window"}}}, of_config)
    for wrong in ({"prompts": []}, {"prompts": ["a"], "chekcs": []}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, of_suite)


def test_the_schema_of_a_run_describes_a_run(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("-o", "run.json") == 0
    capsys.readouterr()
    of_run = schema("run", capsys)
    document = project.document()
    jsonschema.validate(document, of_run)
    del document["cases"][0]["outcome"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, of_run)


def test_report_renders_and_repeats_the_exit_code(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(
        "suites/greet.yaml", "name: g\nprompts: [hi]\nchecks: [{type: contains, value: x}]\n"
    )
    assert project.run("-o", "run.json") == 1
    run_id = project.document()["run"]["id"]
    capsys.readouterr()
    for name in ("last", run_id, run_id[:-1], "run.json"):
        assert entry(["report", name, "-o", "again.json"]) == 1
        assert project.document("again.json") == project.document()
        assert capsys.readouterr().out == ""
    assert entry(["report", "last", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == project.document()
    assert entry(["report", "last"]) == 1
    assert "failed" in capsys.readouterr().out


def test_a_run_that_was_answered_from_another_is_reported_with_its_cases(
    project: CliProject,
) -> None:
    words = [sys.executable, "-m", "evalrunner", "run", "-q"]
    for _ in range(2):
        assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert entry(["report", "last", "-o", "run.json"]) == 0
    document = project.document()
    assert [case["id"] for case in document["cases"]] == ["greet/one", "greet/two", "greet/three"]
    assert document["summary"]["cache"]["hits"] == 3
    assert project.provider.calls == {"fake": 3}


def findings(capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert entry(["doctor"]) == code
    return capsys.readouterr().out


def test_doctor_of_a_used_project(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert "made by the first run" in findings(capsys)
    assert project.run() == 0
    capsys.readouterr()
    found = findings(capsys)
    assert "ok      cache          3 answers, 0 damaged" in found
    assert "can be read and written" in found
    assert "warning" not in found.replace("warning start-up", "")


def test_doctor_sees_damage(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run() == 0
    Path(".evalrunner/ledger.sqlite3").write_bytes(b"no database" * 999)
    capsys.readouterr()
    assert "warning ledger" in findings(capsys)


def test_doctor_looks_at_the_ledger_that_is_configured(
    project: CliProject, capsys: pytest.CaptureFixture[str], server: Server
) -> None:
    assert project.run() == 0
    config = (project.root / "evalrunner.yaml").read_text()
    address = server.url.removeprefix("redis://")
    url = f"redis://:no-such-password@{address}/0"
    project.write("evalrunner.yaml", f"{config}cost: {{ledger: {{url: '{server.url}/0'}}}}\n")
    assert f"ok      ledger         redis://{address} can be read and written" in findings(capsys)
    project.write("evalrunner.yaml", f"{config}cost: {{ledger: {{url: '{url}'}}}}\n")
    found = findings(capsys)
    assert "warning ledger" in found
    assert "no-such-password" not in found


def test_doctor_names_keys_and_shows_none(
    project: CliProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefgh")
    project.write(
        "evalrunner.yaml", "models: {a: {model: openai/gpt-5.1, api_key_env: NO_SUCH_KEY}}\n"
    )
    found = findings(capsys)
    assert "OPENAI_API_KEY is set" in found
    assert "NO_SUCH_KEY is not set" in found
    assert "no dated model id" in found
    assert "abcdefgh" not in found


def test_doctor_ends_with_2_for_a_broken_configuration(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("evalrunner.yaml", "modles: {}\n")
    assert "error   config         evalrunner.yaml:1" in findings(capsys, 2)


@pytest.mark.parametrize("version", sorted(doctor.BAD_LITELLM))
def test_doctor_knows_the_bad_releases(
    project: CliProject,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    monkeypatch.setattr(doctor, "_version_of", lambda module: version)
    found = findings(capsys)
    assert f"warning extra litellm  litellm {version} carried malware" in found


def test_doctor_lists_path_files_that_run_code(
    project: CliProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.root / "site-packages"
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    project.write("site-packages/plain.pth", "/a/folder\n")
    project.write("site-packages/strange_init.pth", "import os; os.getcwd()\n")
    found = findings(capsys)
    assert "strange_init.pth runs code whenever Python starts" in found
    assert "plain.pth" not in found


def test_doctor_imports_no_user_code_and_no_litellm(project: CliProject) -> None:
    project.write("boom.py", "raise SystemExit(99)\n")
    project.write(
        "evalrunner.yaml", (project.root / "evalrunner.yaml").read_text() + "plugins: [boom]\n"
    )
    program = (
        "import sys; from evalrunner.cli.app import entry; code = entry(['doctor']);"
        "print(code, sorted({'litellm', 'boom', 'asyncio', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"
