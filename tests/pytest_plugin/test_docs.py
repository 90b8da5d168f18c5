from __future__ import annotations

import json

from evalrunner.testing import FakeBody, FakeProvider
from tests.docs.pages import ROOT, write_project
from tests.e2e.workspace import PASS, Workspace, prompt_of
from tests.pytest_plugin.session import documents, pytest_session

PAGE = ROOT / "docs" / "pytest.md"


def _says(body: FakeBody) -> str:
    text = prompt_of(body)
    if "It is a greeting" in text:
        return PASS
    return next((city for country, city in CITIES.items() if country in text), "Hello.")


CITIES = {"France": "Paris", "Japan": "Tokyo"}


def test_the_page_is_a_project_whose_evals_pass(workspace: Workspace) -> None:
    write_project(PAGE, workspace.root)
    config = workspace.root / "evalrunner.yaml"
    with FakeProvider(_says) as provider:
        config.write_text(config.read_text().replace("http://127.0.0.1:8080/v1", provider.base_url))
        ended = pytest_session(workspace, "-v", "-W", "error")
        asia = pytest_session(workspace, "-m", "evalcase(continent='asia')")
    assert (ended.code, ended.counts) == (0, {"passed": 6}), ended.out
    for line in PAGE.read_text().splitlines():
        if line.startswith("suites/capitals.yaml::"):
            assert line in ended.out
    assert asia.counts == {"passed": 1, "deselected": 5}
    suites = {case.case.suite for case in documents(workspace)[0].cases}
    assert suites == {"capitals", "tests/test_capitals.py", "tone"}
    assert sum(provider.calls.values()) == 6, json.dumps(provider.requests)
