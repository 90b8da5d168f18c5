"""Every flag of ``run``, and the variables that stand for some of them, once."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from evalrunner.cli.app import entry
from tests.cli.project import CliProject

LOUD = """
import subprocess


def answer(prompt, vars):
    print("from Python")
    subprocess.run(["echo", "from a program"], check=True)
    return prompt
"""


def ids(project: CliProject, *words: str) -> list[str]:
    """The cases that a run with these flags takes."""
    project.run("-o", "run.json", *words)
    return [case["id"] for case in project.document()["cases"]]


def test_selection(project: CliProject) -> None:
    project.rows(
        {"id": "one", "word": "1", "tags": {"kind": "odd"}},
        {"id": "two", "word": "2", "description": "even"},
        {"id": "three", "word": "3", "tags": {"kind": "odd"}},
    )
    assert ids(project, "-k", "two") == ["greet/two"]
    assert ids(project, "--filter", "even") == ["greet/two"]
    assert ids(project, "--tag", "kind=odd") == ["greet/one", "greet/three"]
    assert ids(project, "-n", "1") == ["greet/one"]
    assert ids(project, "--repeat", "2", "-k", "/one") == ["greet/one", "greet/one#1"]
    assert ids(project, "suites/greet.yaml", "-n", "2") == ["greet/one", "greet/two"]


def test_a_suite_without_a_selected_case_is_skipped(project: CliProject) -> None:
    project.write(
        "suites/other.yaml", "name: other\nprompts: [hi]\nchecks: [{type: contains, value: hi}]\n"
    )
    assert project.run("-k", "greet/one", "-o", "run.json") == 0
    decisions = {gate["suite"]: gate["decision"] for gate in project.document()["gates"]}
    assert decisions == {"greet": "pass", "other": "skipped"}
    shards = [f"{index}/3" for index in (1, 2, 3)]
    assert {project.run("--shard", part, "-o", f"{part[0]}.json") for part in shards} <= {0, 5}
    assert entry(["report", "1.json", "2.json", "3.json", "-o", "run.json"]) == 0
    assert project.document()["summary"]["cases"] == 4


def test_only_failed_takes_what_did_not_pass_last_time(project: CliProject) -> None:
    project.write(
        "suites/greet.yaml",
        (project.root / "suites/greet.yaml").read_text().replace('"{{word}}"}', "one}"),
    )
    assert project.run() == 1
    assert ids(project, "--only-failed") == ["greet/two", "greet/three"]


def test_cache_flags(project: CliProject) -> None:
    assert project.run("--no-cache") == 0
    assert project.run() == 0
    assert project.provider.calls["fake"] == 6
    assert project.run() == 0
    assert project.provider.calls["fake"] == 6
    assert project.run("--recache") == 0
    assert project.provider.calls["fake"] == 9
    assert project.run("--no-cache") == 0
    assert project.provider.calls["fake"] == 12


def test_concurrency(project: CliProject) -> None:
    project.provider._latency_seconds = 0.01
    assert project.run("-j", "1") == 0
    assert project.provider.most_in_flight == 1


def test_variables_win_over_rows(project: CliProject) -> None:
    assert project.run("--var", "word=all", "-o", "run.json") == 0
    assert {case["output"] for case in project.document()["cases"]} == {"Say all"}


def test_the_baseline_counts_regressions(project: CliProject) -> None:
    suite = (project.root / "suites/greet.yaml").read_text()
    suite += "gate: {min_pass_rate: 0, max_regressions: 0}\n"
    project.write("suites/greet.yaml", suite)
    assert project.run("-o", "before.json") == 0
    project.write("suites/greet.yaml", suite.replace('"{{word}}"}', "one}"))
    assert project.run("--baseline", "before.json", "-o", "run.json") == 1
    rules = [failure["rule"] for failure in project.document()["failures"]]
    assert rules == ["regressions"]


def test_the_lowest_of_all_ceilings_holds(
    project: CliProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALRUNNER_MAX_USD", "0.0001")
    assert project.run() == 3
    assert project.run("--max-usd", "5") == 3
    monkeypatch.setenv("EVALRUNNER_MAX_USD", "5")
    assert project.run("--max-usd", "0.0001") == 3
    monkeypatch.setenv("EVALRUNNER_MAX_USD", "much")
    assert project.run() == 2
    monkeypatch.delenv("EVALRUNNER_MAX_USD")
    config = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", config + "cost: {max_usd_per_run: 0.0001}\n")
    assert project.run("--max-usd", "5") == 3


def test_state_and_configuration_elsewhere(
    project: CliProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.run("--state-dir", "flagged") == 0
    monkeypatch.setenv("EVALRUNNER_STATE_DIR", "named")
    assert project.run() == 0
    assert (project.root / "flagged/ledger.sqlite3").is_file()
    assert (project.root / "named/cache/cache.db").is_file()
    assert not (project.root / ".evalrunner").exists()
    (project.root / "evalrunner.yaml").rename(project.root / "other.yaml")
    assert project.run("--config", "other.yaml") == 0
    monkeypatch.setenv("EVALRUNNER_CONFIG", "other.yaml")
    assert project.run() == 0


def test_the_cache_elsewhere(project: CliProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALRUNNER_CACHE_URL", "disk:elsewhere")
    assert project.run() == 0
    assert (project.root / "elsewhere/cache.db").is_file()
    monkeypatch.setenv("EVALRUNNER_CACHE_URL", "memcached://x")
    assert project.run() == 2


def test_a_key_reaches_its_endpoint_and_no_file(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model under test repeats a key that it was given: neither checks nor reports see it."""
    config = (
        (project.root / "evalrunner.yaml")
        .read_text()
        .replace("price:", "api_key_env: MY_KEY, price:")
    )
    project.write("evalrunner.yaml", config)
    project.write("keys.env", "MY_KEY=swordfish-1234567\n")
    words = ["--env-file", "keys.env", "--var", "word=swordfish-1234567", "--no-cache"]
    outputs = [
        f"-oreport{ending}" for ending in (".json", ".html", ".md", ".csv", ".jsonl", ".junit.xml")
    ]
    assert project.run(*words, *outputs, "-v") == 1, "the answer comes without the key"
    written = [*project.root.glob("report*"), *project.root.glob(".evalrunner/runs/*")]
    assert len(written) == 7
    for path in written:
        assert "swordfish" not in path.read_text(), path
    said = capsys.readouterr()
    assert "swordfish" not in said.out + said.err


def test_no_contents_leave_where_the_configuration_says_so(project: CliProject) -> None:
    config = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", config + "report: {include: none}\n")
    assert project.run("-o", "run.json", "-o", "run.html") == 0
    for name in ("run.json", "run.html"):
        assert "Say one" not in (project.root / name).read_text()


def test_safe_refuses_what_a_suite_brings_along(project: CliProject) -> None:
    assert project.run("--safe") == 0
    suite = (project.root / "suites/greet.yaml").read_text()
    targets = (
        "{python: 'app:answer'}",
        "{command: ['./bot']}",
        "{http: {url: 'http://127.0.0.1:9/'}}",
    )
    for target in targets:
        project.write("suites/greet.yaml", f"{suite}target: {target}\n")
        project.write("app.py", "open('imported', 'w').close()\ndef f(*_): return True\n")
        assert project.run("--safe") == 2
    project.write("suites/greet.yaml", suite + "  - {type: python, value: 'file://../app.py:f'}\n")
    assert project.run("--safe") == 2
    project.write("suites/greet.yaml", suite)
    project.write(
        "evalrunner.yaml", (project.root / "evalrunner.yaml").read_text() + "plugins: [app]\n"
    )
    assert project.run("--safe") == 2
    assert not Path("imported").exists()


def test_json_stands_alone_on_stdout(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["run", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["schema"] == "evalrunner.run/1"
    assert "3 passed" in said.err


def test_json_stands_alone_although_the_application_prints(
    project: CliProject, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("loud_bot/__init__.py", "print('imported')\n")
    project.write("loud_bot/app.py", LOUD)
    project.write(
        "suites/greet.yaml",
        "name: g\nprompts: [hi]\ntarget: {python: 'loud_bot.app:answer'}\n"
        "checks: [{type: contains, value: hi}]\n",
    )
    assert entry(["run", "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["summary"]["passed"] == 1
    for word in ("imported", "from Python", "from a program"):
        assert word in said.err
    sys.stdout.write("later\n")
    assert capfd.readouterr().out == "later\n"


def test_quiet_leaves_the_verdict(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["run", "-q"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("passed  3 cases: 3 passed\n", "")


def test_verbose_shows_every_case_that_did_not_pass(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.rows(*({"id": f"r{n}", "word": "no"} for n in range(12)))
    project.write(
        "suites/greet.yaml",
        "name: g\nprompts: [hi]\ngolden: 'file://../golden/greet.jsonl'\n"
        "checks: [{type: contains, value: absent}]\n",
    )
    assert project.run() == 1
    few = capsys.readouterr().out
    assert project.run("-v") == 1
    assert few.count("✗ g/") == 10
    assert capsys.readouterr().out.count("✗ g/") == 12


def test_no_color_without_a_terminal(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run() == 0
    assert "\x1b" not in capsys.readouterr().out


def test_all_formats(project: CliProject) -> None:
    words = [
        f"-oout/r{ending}" for ending in (".json", ".jsonl", ".junit.xml", ".md", ".html", ".csv")
    ]
    assert project.run(*words) == 0
    out = project.root / "out"
    assert json.loads((out / "r.json").read_bytes())["summary"]["passed"] == 3
    assert (out / "r.jsonl").read_text().count("\n") == 3
    assert len(ET.parse(out / "r.junit.xml").findall(".//testcase")) >= 3
    assert "3" in (out / "r.md").read_text()
    assert "<html" in (out / "r.html").read_text()
    assert len(list(csv.reader((out / "r.csv").read_text().splitlines()))) == 4


def test_a_report_that_cannot_be_written_is_said(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("file", "")
    assert project.run("-o", "file/run.json") == 2
    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert "3 passed" in said.out


def test_a_ledger_that_cannot_be_opened_is_an_error_once_something_is_to_be_paid(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run() == 0
    Path(".evalrunner/ledger.sqlite3").write_bytes(b"this is no database at all" * 99)
    capsys.readouterr()
    assert project.run("--frozen") == 0
    assert "no ledger in this run" in capsys.readouterr().out
    assert project.run("-k", "one") == 0
    assert project.run("--recache") == 2
    assert project.provider.calls["fake"] == 3


def test_a_cache_that_cannot_be_opened_costs_a_warning(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(".evalrunner/cache", "a file where a folder belongs")
    (project.root / ".evalrunner").chmod(0o700)
    assert project.run() == 0
    assert "no cache in this run" in capsys.readouterr().out


@pytest.mark.parametrize("count", [2, 3])
def test_shards_merged_are_the_whole_run(project: CliProject, count: int) -> None:
    project.rows(*({"id": f"row-{n}", "word": "0" if n % 4 else "no"} for n in range(12)))
    suite = (project.root / "suites/greet.yaml").read_text().replace('"{{word}}"}', '"0"}')
    project.write("suites/greet.yaml", suite + "gate: {min_pass_rate: 0.7}\n")
    whole = project.run("-o", "whole.json")
    names = [f"shard{index}.json" for index in range(1, count + 1)]
    for index, name in enumerate(names, 1):
        project.run("--shard", f"{index}/{count}", "-o", name)
    assert entry(["report", *names, "-o", "merged.json"]) == whole
    merged, expected = project.document("merged.json"), project.document("whole.json")
    assert [case["id"] for case in merged["cases"]] == [case["id"] for case in expected["cases"]]
    assert merged["gates"] == expected["gates"]
    for key in ("cases", "passed", "failed", "pass_rate"):
        assert merged["summary"][key] == expected["summary"][key]
    if count > 2:
        assert entry(["report", *names[:-1]]) == 6, "a missing shard is no pass"


def test_a_report_that_goes_to_a_file_says_on_the_terminal_why_it_fails(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{index}.json" for index in (1, 2, 3)]
    assert {project.run("--shard", f"{name[0]}/3", "-o", name) for name in names} <= {0, 5}
    capsys.readouterr()
    assert entry(["report", *names, "-o", "all.md"]) == 0
    assert capsys.readouterr().out == ""
    assert entry(["report", *names[:2], "-o", "all.md"]) == 6
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 of 3 shards is missing: 3/3" in said.err
