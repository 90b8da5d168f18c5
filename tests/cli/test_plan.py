"""``evalrunner plan``: told without asking, in the run's words, with the pre-flight gates' exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from evalrunner.cli.app import entry
from evalrunner.testing import FakeProvider
from evalrunner.wiring.schemas import json_schema
from tests.cli.project import CliProject
from tests.e2e.workspace import Workspace, answer
from tests.test_imports import command, imported_by

JUDGED = [
    {"type": "contains", "value": "ok"},
    {"type": "llm-rubric", "value": "RUBRIC: it is an answer"},
]


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = entry(["plan", "--json", *words])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema_rs.validator_for(json_schema("plan")).validate(document)
    return code, document


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A judged suite of three rows, over a provider that counts."""
    monkeypatch.chdir(tmp_path)
    with FakeProvider(answer) as provider:
        space = Workspace(tmp_path)
        space.configure(provider.base_url)
        space.suite(checks=JUDGED)
        yield space, provider


def test_a_plan_asks_nobody_and_leaves_no_trace(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(project.root.rglob("*"))
    assert entry(["plan"]) == 0
    assert "0 hits, 3 misses" in capsys.readouterr().out
    assert sorted(project.root.rglob("*")) == before
    assert project.provider.calls == {}


def test_0_everything_is_kept(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run() == 0
    code, told = plan(capsys)
    assert code == 0
    assert told["summary"]["cache"] == {
        "hits": 3,
        "misses": 0,
        "hit_rate": 1.0,
        "misses_by_cause": {},
    }
    assert told["misses"] == []
    assert told["summary"]["cost"]["estimate"] == {"expected_usd": "0", "maximum_usd": "0"}
    assert project.provider.calls == {"fake": 3}


def test_2_a_file_is_wrong(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["plan", "nowhere.yaml"]) == 2
    project.write("suites/greet.yaml", "prompts: [hi]\nchecks: [{type: nonsense}]\n")
    assert entry(["plan"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_3_the_expected_cost_is_refused_with_ways_out(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = plan(capsys, "--max-usd", "0.0011")
    assert code == 3 == told["run"]["exit_code"]
    assert [gate["decision"] for gate in told["gates"]] == ["fail"]
    (remedy,) = told["remedies"]
    assert (remedy["action"], remedy["enough"]) == ("-n 2", True)
    assert entry(["plan", "--max-usd", "0.0011", "-n", "2"]) == 0
    assert plan(capsys, "--max-usd", "0.0011", "--warn-only")[0] == 0
    assert plan(capsys, "--max-usd", "0.0011", "--no-preflight")[0] == 0


def test_4_an_unknown_price_under_a_ceiling(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    config = (project.root / "evalrunner.yaml").read_text().partition(",\n    price")[0] + "}\n"
    project.write("evalrunner.yaml", config + "tiers: {frontier: small}\n")
    code, told = plan(capsys, "--max-usd", "1")
    assert code == 4
    assert told["summary"]["cost"]["unpriced"] == ["small"]
    assert told["summary"]["cost"]["estimate"] == {"expected_usd": None, "maximum_usd": None}
    assert plan(capsys)[0] == 0


def test_5_nothing_is_selected(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(capsys, "-k", "nobody")[0] == 5


def test_verdicts_on_kept_answers_are_known_word_by_word(
    judged: tuple[Workspace, FakeProvider], capsys: pytest.CaptureFixture[str]
) -> None:
    """The answers are kept, the rubric is new: each judge's question waits, and nothing else may come."""
    space, provider = judged
    space.run()
    space.suite(checks=[JUDGED[0], {"type": "llm-rubric", "value": "RUBRIC: it is a new one"}])
    asked = sum(provider.calls.values())
    _, told = plan(capsys)
    assert told["summary"]["cache"]["hits"] == 3
    assert told["summary"]["calls"] == told["summary"]["calls"] | {"total": 3, "maximum": 12}
    assert {miss["role"] for miss in told["misses"]} == {"judge"}
    assert sum(provider.calls.values()) == asked


def test_what_is_planned_is_what_is_asked(
    judged: tuple[Workspace, FakeProvider], capsys: pytest.CaptureFixture[str]
) -> None:
    space, provider = judged
    _, told = plan(capsys)
    space.run()
    assert told["summary"]["calls"]["total"] == 6 == sum(provider.calls.values())


def test_one_changed_row_is_the_only_miss(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run() == 0
    project.rows(*({"id": word, "word": word} for word in ("one", "two", "four")))
    _, told = plan(capsys)
    assert [miss["id"] for miss in told["misses"]] == ["greet/four"]
    assert told["summary"]["cache"]["hits"] == 2


def test_the_cache_is_a_way_out_where_it_was_left_out(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run() == 0
    project.rows(*({"id": word, "word": word} for word in ("one", "two", "three", "four")))
    code, told = plan(capsys, "--no-cache", "--max-usd", "0.00003")
    assert code == 3
    best = told["remedies"][0]
    assert (best["action"], best["enough"]) == ("leave out --no-cache", True)


def test_the_month_counts_what_it_holds_already(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    config = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", config + "cost: {max_usd_per_month: 0.003}\n")
    assert plan(capsys)[0] == 0
    assert project.run("-j", "1") == 0
    project.rows(*({"id": str(n), "word": f"word {n}"} for n in range(200)))
    code, told = plan(capsys)
    assert code == 3
    assert told["gates"][0]["limit"] == "0.00294"
    assert "$0.00294 left of this month's $0.003" in told["gates"][0]["detail"]


def test_no_user_code_is_imported(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("app/__init__.py", "")
    project.write("app/checks.py", "raise SystemExit('imported')\n")
    config = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", config + "plugins: [app.checks]\n")
    project.write(
        "suites/greet.yaml",
        "name: g\nprompts: [hi]\nchecks:\n"
        "  - {type: polite}\n  - {type: python, value: 'app.checks:judge'}\n",
    )
    code, told = plan(capsys)
    assert (code, told["summary"]["to_ask"]) == (0, 1)


def test_a_frozen_plan_and_a_frozen_run_price_what_they_lack(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = plan(capsys, "--frozen")
    assert project.run("--frozen", "-o", "run.json", "-o", "run.md") == 7
    screen = capsys.readouterr().out
    cases = project.document()["cases"]
    priced = {"expected_usd", "maximum_usd"}
    assert [case["price"] for case in cases] == [
        {name: miss[name] for name in priced} for miss in told["misses"]
    ]
    assert all(case["reason"] == "frozen_miss" for case in cases)
    assert "to ask would cost $0.0015" in screen
    assert "would cost $0.0015" in (project.root / "run.md").read_text()
    assert entry(["report", "last", "-o", "again.json"]) == 7
    assert project.document("again.json")["cases"] == cases


def test_a_refused_run_names_the_ways_out(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("--max-usd", "0.0011", "-o", "run.json", "-o", "run.md") == 3
    assert "remedy" in capsys.readouterr().out
    assert project.document()["remedies"][0]["action"] == "-n 2"
    assert "-n 2" in (project.root / "run.md").read_text()
    assert project.provider.calls == {}


def test_the_error_of_an_estimate_is_told(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("-o", "run.json") == 0
    assert "planned" in capsys.readouterr().out
    cost = project.document()["summary"]["cost"]
    expected = float(cost["estimate"]["expected_usd"])
    paid = float(cost["incurred_usd"])
    assert float(cost["estimate"]["error"]) == pytest.approx(paid / expected - 1, abs=1e-4)


def test_a_plan_of_an_unchanged_suite_reads_the_record_alone(project: CliProject) -> None:
    """As the installed program, since only that looks for a record before it imports anything."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    here = [sys.executable, "-m", "evalrunner"]
    subprocess.run([*here, "run", "--no-progress"], check=True, env=environment)
    done = subprocess.run(
        [*here, "plan", "--json"], check=True, env=environment, capture_output=True
    )
    told = json.loads(done.stdout)
    jsonschema_rs.validator_for(json_schema("plan")).validate(told)
    assert told["run"]["answered_from"]
    assert (told["summary"]["cases"], told["summary"]["cache"]["hits"]) == (3, 3)
    said = subprocess.run([*here, "plan"], check=True, env=environment, capture_output=True)
    assert b"nothing changed since run" in said.stdout
    project.rows({"id": "one", "word": "one"}, {"id": "two", "word": "2"})
    done = subprocess.run(
        [*here, "plan", "--json"], check=True, env=environment, capture_output=True
    )
    assert json.loads(done.stdout)["summary"]["to_ask"] == 1


def test_a_plan_imports_no_client_and_no_litellm(project: CliProject) -> None:
    """Where its lines fit it does not need rich either."""
    assert imported_by(command("plan")) & {"litellm", "asyncio", "httptools", "uvloop"} == set()
