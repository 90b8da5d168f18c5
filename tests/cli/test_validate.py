"""``validate``: every problem of every file at once, each with its line, and nothing imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evalrunner.cli.app import entry
from tests.cli.project import CliProject

BOOM = "raise SystemExit('user code was imported')\n"


def problems(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert entry(["validate", *words]) == 2
    *lines, last = capsys.readouterr().err.splitlines()
    assert last.endswith("nothing was run")
    return [line for line in lines if not line.startswith("warning")]


def test_a_sound_project(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["validate"]) == 0
    assert capsys.readouterr() == ("ok suites/greet.yaml: 3 rows, 3 cases, 1 check\n", "")
    assert project.provider.calls == {}
    assert not Path(".evalrunner").exists()


def test_cases_are_rows_by_prompts_targets_and_draws(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = (project.root / "suites/greet.yaml").read_text().replace('"Say {{word}}"', "a, b")
    project.write("suites/greet.yaml", suite + "target: [small, frontier]\nrepeat: 4\n")
    assert entry(["validate"]) == 0
    assert "3 rows, 48 cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("evalrunner.yaml", "tiers: {frontier: gone}\n", "evalrunner.yaml:1: tiers.frontier"),
        ("evalrunner.yaml", "modles: {}\n", "evalrunner.yaml:1: 'modles'"),
        ("suites/b.yaml", "prompts: [a]\nchekcs: []\n", "suites/b.yaml:2: 'chekcs'"),
        ("suites/b.yaml", "prompts: ['{{gone}}']\n", "suites/b.yaml:1: "),
        ("suites/b.yaml", "prompts: ['{{']\n", "suites/b.yaml:1: "),
        ("suites/b.yaml", "prompts: [a]\ngolden: 'file://no.jsonl'\n", "suites/b.yaml:2: golden"),
        ("suites/b.yaml", "prompts: [a]\nchecks:\n  - {type: contians, value: a}\n", "b.yaml:3: "),
        ("suites/b.yaml", "prompts: [a]\nchecks:\n  - {type: regex, value: '('}\n", "b.yaml:3: "),
        ("suites/b.yaml", "prompts: [a]\nchecks:\n  - {type: contains, value: '{{x}}'}\n", ":3: "),
        ("suites/b.yaml", "prompts: [a]\ntarget: gone\n", "suites/b.yaml:2: "),
        (
            "suites/b.yaml",
            "prompts: [a]\ntarget: proxy\n",
            "suites/b.yaml:2: the target is the tier",
        ),
        (
            "suites/b.yaml",
            "prompts: [a]\nchecks:\n  - {type: llm-rubric, value: x, tier: proxy}\n",
            "suites/b.yaml:3: the check 'llm-rubric' needs a judge",
        ),
        (
            "suites/b.yaml",
            "prompts: [a]\nchecks:\n  - {type: python, value: 'file://gone.py:f'}\n",
            "suites/b.yaml:3: 'gone.py' is no file",
        ),
        (
            "suites/b.yaml",
            "prompts: [a]\ntarget: {python: 'gone_app:answer'}\n",
            "suites/b.yaml:2: the package 'gone_app'",
        ),
        ("golden/greet.jsonl", '{"word": "a"}\n{"word": }\n', "golden/greet.jsonl:2: "),
        (
            "golden/greet.jsonl",
            '{"id": "a", "word": "a"}\n{"id": "a", "word": "b"}\n',
            ":2: the id",
        ),
        ("golden/greet.jsonl", '{"word": "a"}\n{"wrod": "b"}\n', "golden/greet.jsonl:2"),
        (
            "golden/greet.jsonl",
            '{"word": "a"}\n{"word": "b", "checks": [{"type": "regex", "value": "("}]}\n',
            "golden/greet.jsonl:2: 'regex'",
        ),
    ],
)
def test_each_problem_has_its_place(
    project: CliProject, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    project.write(name, text)
    assert any(said in line for line in problems(capsys)), said


def test_all_problems_of_all_files_at_once(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("evalrunner.yaml", "modles: {}\n")
    project.write("suites/b.yaml", "prompts: ['{{gone}}']\nchecks: [{type: contians, value: a}]\n")
    project.write("suites/c.yaml", "prompts: 7\n")
    project.write("golden/greet.jsonl", '{"word": "a"}\nnothing\n{"wrod": "b"}\n')
    found = problems(capsys)
    for place in ("evalrunner.yaml:1", "b.yaml:1", "b.yaml:2", "c.yaml:1", "greet.jsonl:2"):
        assert any(place in line for line in found), (place, found)
    assert len(found) == len(set(found))


EVERYTHING_WRONG = """\
promts: hi
prompts:
  - "Say {{word}} {{missing}}"
  - "Say {{ word "
  - {label: 3, text: a}
golden: file://../golden/b.jsonl
target: nosuch
checks:
  - {type: contians, value: x}
  - {value: y}
  - {type: equals, value: "{{nowhere}}", threshold: abc}
  - {type: llm-rubric, value: ok, model: nobody}
  - {type: regex, value: "("}
gate: {min_pass_rate: 7}
"""
ROWS_WRONG = """\
{"word": "1"}
{"word":
{"word": "2", "checks": [{"type": "levenstein"}]}
[1]
{"id": "x", "word": "3"}
{"id": "x", "word": "4"}
"""


def test_no_problem_of_a_suite_hides_another(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("suites/b.yaml", EVERYTHING_WRONG)
    project.write("golden/b.jsonl", ROWS_WRONG)
    found = "\n".join(problems(capsys))
    for said in (
        "suites/b.yaml:1: 'promts'",
        "suites/b.yaml:3: 'missing' is undefined in the row of golden/b.jsonl:1",
        "suites/b.yaml:4: unexpected end of template",
        "suites/b.yaml:5: prompts[2].label",
        "suites/b.yaml:7: 'nosuch'",
        "suites/b.yaml:9: 'contians'",
        "suites/b.yaml:10: 'checks[1].type' is missing",
        "suites/b.yaml:11: 'nowhere' is undefined in the row of golden/b.jsonl:6",
        "suites/b.yaml:11: checks[2].threshold",
        "suites/b.yaml:12: 'nobody'",
        "suites/b.yaml:13: 'regex'",
        "suites/b.yaml:14: gate.min_pass_rate",
        "golden/b.jsonl:2: ",
        "golden/b.jsonl:3: 'levenstein'",
        "golden/b.jsonl:4: ",
        "golden/b.jsonl:6: the id 'x'",
    ):
        assert said in found, (said, found)


@pytest.mark.parametrize(
    "text",
    [
        "prompts: ['{{word}}']\nvars: [1]\n",
        "prompts: ['{{word}}']\ngolden: {a: 1}\n",
        "prompts: ['{{word}}']\ngolden: [7]\n",
        "prompts: ['{{word}}']\ngolden: 'file://gone.jsonl'\n",
        "prompts: [a]\ntarget: {modle: small}\n",
        "prompts: 7\ntarget: small\n",
        "prompts: [a]\nchecks: 7\n",
    ],
)
def test_what_cannot_be_read_is_not_blamed_on_others(
    project: CliProject, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    project.write("suites/b.yaml", text)
    assert len(problems(capsys)) == 1


def test_no_problem_of_the_configuration_hides_another(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    config = "modles: {}\ntiers: {proxy: gone}\ncost:\n  gate: {warning: 0.5, critical: 0.1}\n"
    project.write("evalrunner.yaml", config)
    found = "\n".join(problems(capsys))
    for said in ("yaml:1: 'modles'", "yaml:2: tiers.proxy", "yaml:4: cost.gate"):
        assert said in found


def test_the_good_ones_are_named_beside_the_bad(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("suites/b.yaml", "prompts: 7\n")
    assert entry(["validate"]) == 2
    assert capsys.readouterr().out.startswith("ok suites/greet.yaml")
    assert entry(["validate", "suites/greet.yaml"]) == 0


def test_a_broken_configuration_blames_no_model_of_a_suite(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("evalrunner.yaml", "modles: {}\n")
    project.write(
        "suites/greet.yaml", (project.root / "suites/greet.yaml").read_text() + "target: large\n"
    )
    assert len(problems(capsys)) == 1


def test_a_suite_that_decides_nothing_is_told(
    project: CliProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("suites/greet.yaml", "prompts: [a]\n")
    assert entry(["validate"]) == 0
    out, err = capsys.readouterr()
    assert out == "ok suites/greet.yaml: 1 row, 1 case, 0 checks\n"
    assert "warning: suites/greet.yaml: no checks" in err


@pytest.mark.parametrize("threshold", ["3", "-0.1", "x"])
def test_a_share_of_a_score_lies_between_0_and_1(
    project: CliProject, capsys: pytest.CaptureFixture[str], threshold: str
) -> None:
    project.write("suites/greet.yaml", f"prompts: [a]\nthreshold: {threshold}\n")
    (found,) = problems(capsys)
    assert "suites/greet.yaml:2: threshold: " in found


def test_no_user_code_and_no_litellm_is_imported(project: CliProject) -> None:
    config = (project.root / "evalrunner.yaml").read_text()
    project.write("evalrunner.yaml", config + "plugins: [boom]\n")
    suite = (project.root / "suites/greet.yaml").read_text()
    project.write("boom.py", BOOM + "def f(*_): return 1\n")
    project.write(
        "suites/greet.yaml",
        suite + "  - {type: of-a-plugin}\n  - {type: python, value: 'file://../boom.py:f'}\n"
        "target: [small, {python: 'boom:f'}]\n",
    )
    program = (
        "import sys; from evalrunner.cli.app import entry; code = entry(['validate']);"
        "print(code, sorted({'litellm', 'boom', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


def test_doubts_are_warnings(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    suite = (project.root / "suites/greet.yaml").read_text()
    project.write(
        "suites/greet.yaml",
        suite + "  - {type: word-count, value: 3, tier: proxy}\n"
        "gate: {min_pass_rate: 0.95, confidence: 0.95}\ntarget: openai/gpt-5.1\n",
    )
    assert entry(["validate"]) == 0
    warnings = capsys.readouterr().err
    assert "asks no model, so that its tier is ignored" in warnings
    assert "3 cases are too few for min_pass_rate 0.95" in warnings
    assert "openai/gpt-5.1: no dated model id" in warnings


def test_nothing_found(project: CliProject, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "suites/greet.yaml").unlink()
    assert entry(["validate"]) == 5
    assert "evalrunner init" in capsys.readouterr().err
