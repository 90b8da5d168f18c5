from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from evalrunner.testing import FakeProvider
from tests.e2e.workspace import Workspace, ids, outcomes, questions
from tests.pytest_plugin.session import document, documents, pytest_session

HOLDS = [{"type": "is-json"}, {"type": "contains", "value": "{{q}}"}]
FAILS = [{"type": "contains", "value": "{{q}}"}, {"type": "not-contains", "value": "number 1"}]


def test_a_case_is_an_item_and_its_answer_is_paid_once(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=3, checks=HOLDS)
    cold = pytest_session(workspace, "-v", "--junitxml=junit.xml", "--eval-output=out/run.json")
    assert cold.code == 0, cold.out
    assert cold.reported == {f"suites/s.yaml::s/r{n}": 1 for n in range(3)}
    assert sum(provider.calls.values()) == 3
    assert "cases   3: 3 passed; pass rate 100 %" in cold.out
    assert "calls   3 (3 frontier)" in cold.out

    warm = pytest_session(workspace, "-q")
    assert (warm.code, sum(provider.calls.values())) == (0, 3)
    assert "3 hits, 0 misses" in warm.out

    (kept, _) = documents(workspace)
    assert ids(kept) == ["s/r0", "s/r1", "s/r2"]
    assert kept.run.argv[0] == "pytest"
    written = document(workspace.root / "out" / "run.json")
    assert written["run"]["id"] == kept.run.id
    root = ET.parse(workspace.root / "junit.xml").getroot()
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["evalrunner.run"] == kept.run.id
    assert properties["evalrunner.calls.frontier"] == "3"
    assert properties["evalrunner.incurred_usd"] == written["summary"]["cost"]["incurred_usd"]


def test_a_failed_case_shows_question_answer_and_check(workspace: Workspace) -> None:
    workspace.suite(n=3, checks=FAILS)
    ended = pytest_session(workspace, "suites")
    assert (ended.code, ended.counts) == (1, {"failed": 1, "passed": 2})
    page = ended.out
    assert "prompt    Question number 1" in page
    assert 'output    {"ok": "Question number 1"}' in page
    assert "FAILED    not-contains number 1" in page
    assert "row       golden/s.jsonl:2" in page
    assert "cost      $0.00002 paid, 1 call, answered by large" in page
    assert "Traceback" not in page


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["-k", "r1"], ["s/r1"]),
        (["-k", "german"], ["s/r2"]),
        (["-m", "evalcase(lang='de')"], ["s/r2"]),
        (["suites/s.yaml::s/r0"], ["s/r0"]),
        (["--deselect", "suites/s.yaml::s/r0", "suites"], ["s/r1", "s/r2"]),
    ],
    ids=lambda words: " ".join(words)[:20],
)
def test_only_what_is_selected_is_asked(
    workspace: Workspace, provider: FakeProvider, arguments: Sequence[str], wanted: list[str]
) -> None:
    workspace.suite(n=3, checks=HOLDS)
    rows = questions(3)
    rows[2] |= {"description": "a german one", "tags": {"lang": "de"}}
    workspace.golden("s", rows)
    ended = pytest_session(workspace, *arguments)
    assert (ended.code, ended.counts["passed"]) == (0, len(wanted)), ended.out
    assert sum(provider.calls.values()) == len(wanted)
    assert ids(documents(workspace)[0]) == wanted


def test_collecting_alone_asks_nobody_and_keeps_no_run(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=3, checks=HOLDS)
    ended = pytest_session(workspace, "--collect-only", "-q")
    assert (ended.code, "suites/s.yaml::s/r2" in ended.out) == (0, True)
    assert (sum(provider.calls.values()), documents(workspace)) == (0, [])


def test_last_failed_runs_what_failed(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=3, checks=FAILS)
    pytest_session(workspace)
    again = pytest_session(workspace, "--lf")
    assert (again.code, again.counts) == (1, {"failed": 1})
    assert sum(provider.calls.values()) == 3


def test_a_broken_suite_is_an_error_with_file_and_line_and_nothing_is_paid(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=3, checks=HOLDS)
    workspace.write("suites/bad.yaml", "prompts: [hi]\nchekcs: []\n")
    ended = pytest_session(workspace)
    assert ended.code == 2
    assert "suites/bad.yaml:2: " in ended.out
    assert "Traceback" not in ended.out
    assert sum(provider.calls.values()) == 0


def test_yaml_files_that_are_no_suites_are_left_alone(workspace: Workspace) -> None:
    workspace.suite(n=1, checks=HOLDS)
    workspace.write("app/suites/other.yaml", "not: [ours")
    workspace.write("tests/data.yaml", "not: [ours")
    workspace.write("tests/named.yaml", {"prompts": ["Question {{q}}"], "golden": [{"q": "7"}]})
    assert pytest_session(workspace).counts == {"passed": 1}
    assert "not found" in pytest_session(workspace, "tests/data.yaml").out
    assert pytest_session(workspace, "tests/named.yaml").counts == {"passed": 1}


def test_a_frozen_session_reports_misses_as_such(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=2, checks=HOLDS)
    pytest_session(workspace, "-k", "r0")
    failed = pytest_session(workspace, "--eval-frozen")
    assert (failed.code, failed.counts) == (1, {"failed": 1, "passed": 1})
    assert "frozen_miss" in failed.out
    skipped = pytest_session(workspace, "--eval-frozen", "--eval-on-miss=skip", "-rs")
    assert (skipped.code, skipped.counts) == (0, {"passed": 1, "skipped": 1})
    by_environment = pytest_session(workspace, "--eval-on-miss=skip", EVALRUNNER_FROZEN="1")
    assert by_environment.counts == {"passed": 1, "skipped": 1}
    assert outcomes(documents(workspace)[-1]) == {"passed": 1, "not_run": 1}
    assert sum(provider.calls.values()) == 1


def test_a_gate_fails_a_session_whose_cases_all_passed(workspace: Workspace) -> None:
    workspace.suite(n=3, checks=HOLDS, gate={"min_pass_rate": 0.9, "confidence": 0.95})
    failed = pytest_session(workspace)
    assert (failed.code, failed.counts) == (1, {"passed": 3})
    assert "FAILED  pass_rate: s: " in failed.out
    assert pytest_session(workspace, "--no-eval-gate").code == 0


def test_a_ceiling_refuses_the_start_or_stops_on_the_way(
    workspace: Workspace, provider: FakeProvider
) -> None:
    workspace.suite(n=6, checks=HOLDS)
    refused = pytest_session(workspace, "--eval-max-usd=0.0001")
    assert (refused.code, refused.counts) == (1, {"failed": 6})
    assert "nothing was spent" in refused.out
    assert sum(provider.calls.values()) == 0
    assert pytest_session(workspace, EVALRUNNER_MAX_USD="0.0001").counts == {"failed": 6}
    stopped = pytest_session(workspace, "--eval-max-usd=0.0021", "--no-eval-gate")
    assert stopped.code == 1
    assert outcomes(documents(workspace)[-1])["not_run"] > 0
    assert 0 < sum(provider.calls.values()) < 6


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--eval-output=run.txt", "ends in no known format; known: .junit.xml .json"),
        ("--eval-max-usd=much", "'much' is not an amount of dollars"),
    ],
)
def test_options_that_cannot_be_used_are_said_before_anybody_is_asked(
    workspace: Workspace, provider: FakeProvider, option: str, said: str
) -> None:
    workspace.suite(n=1, checks=HOLDS)
    ended = pytest_session(workspace, option)
    assert (ended.code, said in ended.out) == (2, True), ended.out
    assert "Traceback" not in ended.out
    assert sum(provider.calls.values()) == 0


def test_recache_asks_again(workspace: Workspace, provider: FakeProvider) -> None:
    workspace.suite(n=2, checks=HOLDS)
    pytest_session(workspace)
    assert pytest_session(workspace, "--eval-recache").counts == {"passed": 2}
    assert sum(provider.calls.values()) == 4
