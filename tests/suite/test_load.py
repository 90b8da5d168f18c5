"""Suites: every field, every reference, all problems at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from evalrunner.errors import ConfigError, LoadError
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.suite.spec import suite_schema
from evalrunner.values.exchange import Message, Tier
from evalrunner.values.spec import CheckClass, RepeatSpec
from tests.suite.conftest import Load, Write


def test_every_field(load: Load, write: Write) -> None:
    write("schemas/s.json", '{"type": "object"}')
    write("prompts/frame.txt", "Grade\r\n{{rubric}}")
    suite = load(
        """\
name: replies
description: what it is
prompts: ["Hi {{q}}"]
target: [frontier, openai/gpt-x, {python: "app.bot:answer", watch: ["app/**"]}]
checks:
  - is-json
  - type: not-is-json
    value: file://../schemas/s.json
    threshold: 1
    weight: 0
    metric: m
    class: semantic
    tier: proxy
    rubricPrompt: file://../prompts/frame.txt
    config: {a: 0.5}
  - {type: equals, value: "file://{{q}}"}
  - {type: llm-rubric, value: ok, provider: openai/judge}
gate: {min_pass_rate: 0.95, confidence: 0.9, max_regressions: 0, on_inconclusive: warn}
repeat: {n: 5, pass: 4}
routing: {semantic: {judge: proxy}}
threshold: 0.5
tools: [{type: function}]
response_format: file://../schemas/s.json
vars: {a: no, b: 012, c: 0.5}
tags: {team: billing, year: 2026}
max_usd: 0.10
judge: always
"""
    ).suite
    assert (suite.name, suite.path) == ("replies", "suites/one.yaml")
    assert [target.label for target in suite.targets] == [
        "frontier", "openai-gpt-x", "app.bot:answer",
    ]  # fmt: skip
    assert suite.targets[2].kind == "python"
    assert suite.targets[2].spec == {"python": "app.bot:answer", "watch": ["app/**"]}
    first, second, third, fourth = suite.checks
    assert (first.type, first.negated, first.source.line) == ("is-json", False, 6)
    assert (second.name, second.value, second.weight) == ("not-is-json", {"type": "object"}, 0.0)
    assert (second.check_class, second.tier) == (CheckClass.SEMANTIC, Tier.PROXY)
    assert second.rubric_prompt == "Grade\n{{rubric}}"
    assert second.config == {"a": 0.5}
    assert type(second.config["a"]) is float
    assert third.value == "file://{{q}}"
    assert fourth.model == "openai/judge"
    assert suite.gate.min_pass_rate == Decimal("0.95")
    assert suite.repeat == RepeatSpec(n=5, required=4)
    assert suite.routing is not None
    assert suite.routing.semantic.judge is Tier.PROXY
    assert suite.routing.format.confirm
    assert suite.response_format == {"type": "object"}
    assert suite.vars == {"a": "no", "b": "012", "c": 0.5}
    assert suite.tags == {"team": "billing", "year": "2026"}
    assert suite.max_usd == 100_000_000_000
    assert suite.judge_always


def test_defaults(load: Load) -> None:
    suite = load("prompts: hi").suite
    assert (suite.name, suite.repeat, suite.judge_always) == ("one", RepeatSpec(), False)
    assert [(prompt.label, prompt.template) for prompt in suite.prompts] == [("prompt-1", "hi")]
    assert [target.model for target in suite.targets] == ["frontier"]


def test_prompt_forms(load: Load, write: Write) -> None:
    write("prompts/a.j2", b"\xef\xbb\xbfA {{x}}\r\n")
    write("prompts/chat.json", '[{"role": "user", "content": "{{x}}"}]')
    write("prompts/chat2.yaml", "- {role: user, content: [{type: text, text: hi}]}\n")
    loaded = load(
        """\
prompts:
  - file://../prompts/a.j2
  - [{role: system, content: S}, {role: user, content: "{{x}}"}]
  - {label: named, file: "file://../prompts/chat.json"}
  - {label: parts, file: "file://../prompts/chat2.yaml"}
  - {label: inline, text: ""}
"""
    )
    prompts = {prompt.label: prompt.template for prompt in loaded.suite.prompts}
    assert prompts == {
        "a": "A {{x}}\n",
        "prompt-2": (Message(role="system", content="S"), Message(role="user", content="{{x}}")),
        "named": (Message(role="user", content="{{x}}"),),
        "parts": (Message(role="user", content=[{"type": "text", "text": "hi"}]),),
        "inline": "",
    }
    assert [file.path for file in loaded.files] == [
        "suites/one.yaml", "prompts/a.j2", "prompts/chat.json", "prompts/chat2.yaml",
    ]  # fmt: skip


def test_one_chat_is_one_prompt(load: Load) -> None:
    suite = load("prompts: [{role: user, content: hi}]").suite
    assert [prompt.template for prompt in suite.prompts] == [(Message(role="user", content="hi"),)]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: x", 1, "'prompts' is missing"),
        ("prompts: []", 1, "prompts"),
        ("prompts: hi\nchekcs: []", 2, "did you mean 'checks'?"),
        ("prompts: hi\nname: a/b", 2, "part of case ids"),
        ("prompts: hi\nchecks:\n  - {type: equals, valeu: 1}", 3, "did you mean 'value'?"),
        ("prompts: hi\nchecks:\n  - is json", 3, "not the name of a check"),
        ("prompts: hi\nchecks:\n  - not-not-equals", 3, "not the name of a check"),
        ("prompts: hi\nchecks:\n  - {type: equals, weight: -1}", 3, "weight"),
        ("prompts: hi\nchecks:\n  - {type: equals, threshold: 'a'}", 3, "number"),
        ("prompts: hi\nchecks:\n  - {type: equals, value: file://../no.txt}", 3, "no file"),
        ("prompts: hi\nchecks:\n  - {type: equals, value: '{{ a b }}'}", 3, "expected token"),
        (
            "prompts: hi\nchecks:\n  - {type: j, tier: proxy, model: openai/x}",
            3,
            "names its judge once",
        ),
        ("prompts: hi\nchecks:\n  - {type: j, model: gpt}", 3, "neither a name"),
        ("prompts: hi\nrepeat: 0", 2, "repeat"),
        ("prompts: hi\nrepeat: {n: 2, pass: 3}", 2, "more than n"),
        ("prompts: hi\nrepeat: true", 2, "repeat"),
        ("prompts: hi\ngate: {min_pass_rate: 1.1}", 2, "between 0 and 1"),
        ("prompts: hi\ngate: {confidence: 1}", 2, "confidence"),
        ("prompts: hi\ntarget: gpt", 2, "neither a name"),
        ("prompts: hi\ntarget: {python: 'import os'}", 2, "module:function"),
        ("prompts: hi\ntarget: {python: 'a:b', command: [x]}", 2, "exactly one"),
        ("prompts: hi\ntarget: {http: {url: 'http://169.254.169.254/'}}", 2, "not a model"),
        ("prompts: hi\ntarget: [frontier, {label: frontier, tier: proxy}]", 2, "given twice"),
        ("prompts: [{label: a, text: b}, {label: a, text: c}]", 1, "'a' is given twice"),
        ("prompts: [{label: a, text: b, file: file://x}]", 1, "exactly one of"),
        ("prompts: [{role: robot, content: x}]", 1, "role"),
        ("prompts: file://../../x", 1, "outside the project root"),
        ("prompts: hi\ngolden: ../x.jsonl", 2, "file://"),
        ("prompts: hi\ngolden: file://x.docx", 2, "no golden file"),
        ("prompts: hi\ngolden: file://x.jsonl", 2, "no file"),
        ("prompts: hi\ngolden: hf://a/b", 2, "revision"),
        ("prompts: hi\ngolden:\n  - {q: 1}\n  - {id: 'a#b'}", 4, "part of case ids"),
    ],
)
def test_mistake_is_named_with_its_line(load: Load, text: str, line: int, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(text)
    assert message in str(caught.value)
    assert {problem.line for problem in caught.value.problems} == {line}
    assert {problem.file for problem in caught.value.problems} == {"suites/one.yaml"}


def test_template_mistake_in_a_prompt_file_names_that_file(load: Load, write: Write) -> None:
    write("prompts/a.j2", "fine\n{% if %}\n")
    with pytest.raises(LoadError, match=r"^prompts/a.j2:2: "):
        load("prompts: file://../prompts/a.j2")


def test_all_problems_of_all_files_come_sorted(tmp_path: Path, write: Write) -> None:
    write("suites/b.yaml", "prompts: hi\nrepeat: 0\nfoo: 1\n")
    write("suites/a.json", '{"prompts": "hi",\n "foo": 1}')
    write("suites/sub/c.yml", "a: b: c")
    write("suites/.hidden/d.yaml", "a: [")
    project = load_project(tmp_path)
    with pytest.raises(LoadError) as caught:
        load_suites(project, find_suites(project))
    found = [(problem.file, problem.line) for problem in caught.value.problems]
    assert found == [
        ("suites/a.json", 2), ("suites/b.yaml", 2), ("suites/b.yaml", 3), ("suites/sub/c.yml", 1),
    ]  # fmt: skip


def test_suite_name_given_twice_names_both_files(tmp_path: Path, write: Write) -> None:
    write("suites/a.yaml", "prompts: hi\nname: x")
    write("suites/b.yaml", "prompts: hi\nname: x")
    project = load_project(tmp_path)
    with pytest.raises(LoadError, match=r"suites/b.yaml:1: .*first in suites/a.yaml"):
        load_suites(project, find_suites(project))


def test_finding_suites(tmp_path: Path, write: Write) -> None:
    a = write("suites/a.yaml", "prompts: hi")
    b = write("suites/sub/b.json", "{}")
    other = write("evals/c.yml", "prompts: hi")
    write("suites/notes.txt", "")
    project = load_project(tmp_path)
    assert find_suites(project) == (a, b)
    assert find_suites(project, ["suites/sub", "suites/a.yaml", "suites"]) == (b, a)
    assert find_suites(project, ["c.yml"], start=tmp_path / "evals") == (other,)
    write("evalrunner.yaml", "suites: ['evals/*.yml', 'suites/a.yaml']")
    assert find_suites(load_project(tmp_path)) == (other, a)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("suites/aa.yaml", "did you mean 'suites/a.yaml'?"), ("a", "did you mean 'suites/a.yaml'?")],
)
def test_name_that_is_not_there(tmp_path: Path, write: Write, name: str, hint: str) -> None:
    write("suites/a.yaml", "prompts: hi")
    with pytest.raises(ConfigError) as caught:
        find_suites(load_project(tmp_path), [name])
    assert caught.value.hint == hint


def test_schema_describes_the_suite() -> None:
    properties = suite_schema()["properties"]
    assert isinstance(properties, dict)
    assert {"prompts", "golden", "target", "checks", "gate", "repeat"} <= set(properties)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tools", "search", "tools: this must be a list"),
        ("response_format", "3", "must be a mapping"),
    ],
)
def test_what_a_provider_would_refuse_is_refused_here(
    load: Load, field: str, value: str, words: str
) -> None:
    with pytest.raises(LoadError) as caught:
        load(f"prompts: [hi]\n{field}: {value}\n")
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.line == 2
