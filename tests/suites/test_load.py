"""The repository's own suites, read as a user's run reads them."""

from __future__ import annotations

import json
from pathlib import Path

from evalrunner.checks.registry import build, cautions, problems
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.render import PromptTemplate, render_json
from evalrunner.values.exchange import Message
from evalrunner.values.spec import CheckClass

ROOT = Path(__file__).resolve().parents[2]


def loaded() -> dict[str, LoadedSuite]:
    project = load_project(ROOT)
    return {one.suite.name: one for one in load_suites(project, find_suites(project))}


def test_every_suite_loads_without_a_problem() -> None:
    files = sorted(path.stem for path in (ROOT / "suites").glob("*.yaml"))
    assert sorted(loaded()) == files


def test_every_check_can_be_built_and_decides_something() -> None:
    for name, one in loaded().items():
        specs = [*one.suite.checks, *(check for row in one.goldens.rows() for check in row.checks)]
        assert specs, name
        for spec in specs:
            assert not problems(spec), spec
            assert not cautions(spec), spec
            build(spec)


def test_every_prompt_and_value_renders_for_every_row() -> None:
    for one in loaded().values():
        prompts = [PromptTemplate(prompt) for prompt in one.suite.prompts]
        for row in one.goldens.rows():
            for prompt in prompts:
                assert "{{" not in written(prompt.render(row.vars)), row.id
            for check in (*one.suite.checks, *row.checks):
                value = render_json(check.value, row.vars, check.source)
                assert "{{" not in json.dumps(value), row.id


def test_the_quickstart_is_free_and_local() -> None:
    project = load_project(ROOT)
    endpoints = [
        project.models[name or ""] for name in (project.tiers.proxy, project.tiers.frontier)
    ]
    assert [endpoint.provider for endpoint in endpoints] == ["local", "local"]
    assert [endpoint.api_key_env for endpoint in endpoints] == [None, None]
    assert all(endpoint.price and endpoint.price.input == 0 for endpoint in endpoints)


def test_the_quickstart_has_checks_of_both_classes_and_a_case_of_form_alone() -> None:
    one = loaded()["quickstart"]
    classes = [
        {build(check).check_class for check in (*one.suite.checks, *row.checks)}
        for row in one.goldens.rows()
    ]
    assert {CheckClass.FORMAT} in classes
    assert {CheckClass.FORMAT, CheckClass.SEMANTIC} in classes


def written(prompt: str | tuple[Message, ...]) -> str:
    if isinstance(prompt, str):
        return prompt
    return json.dumps([message.content for message in prompt])
