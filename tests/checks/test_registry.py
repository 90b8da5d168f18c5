from __future__ import annotations

import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.checks import registry
from evalrunner.checks.registry import build, cautions, problems, register
from evalrunner.checks.table import KINDS
from evalrunner.checks.unsupported import UNSUPPORTED
from evalrunner.errors import ConfigError, EvalRunnerError
from evalrunner.values.exchange import Tier
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckClass
from tests.checks.making import context_of, grade, spec_of

FORMAT = {
    "is-json", "contains-json", "is-xml", "contains-xml", "is-html", "contains-html", "is-sql",
    "contains-sql", "regex", "starts-with", "word-count", "is-valid-openai-tools-call",
    "is-valid-function-call", "is-valid-openai-function-call",
}  # fmt: skip

# For each type in code a value, an answer that holds and the rest of what it needs.
HOLDING: dict[str, dict[str, Any]] = {
    "equals": {"value": "a", "output": "a"},
    "contains": {"value": "a", "output": "a"},
    "icontains": {"value": "A", "output": "a"},
    "contains-any": {"value": "a,b", "output": "a"},
    "icontains-any": {"value": "A,b", "output": "a"},
    "contains-all": {"value": "a", "output": "a"},
    "icontains-all": {"value": "A", "output": "a"},
    "starts-with": {"value": "a", "output": "a"},
    "regex": {"value": "a", "output": "a"},
    "word-count": {"value": 1, "output": "a"},
    "is-refusal": {"output": ""},
    "finish-reason": {"value": "stop", "output": "", "finish_reason": "stop"},
    "is-json": {"output": "{}"},
    "contains-json": {"output": "x {}"},
    "is-xml": {"output": "<a/>"},
    "contains-xml": {"output": "x <a/>"},
    "is-html": {"output": "<p>x</p>"},
    "contains-html": {"output": "x <p>x</p>"},
    "is-sql": {"output": "SELECT 1"},
    "contains-sql": {"output": "SELECT 1"},
    "levenshtein": {"value": "a", "output": "a"},
    "rouge-n": {"value": "a", "output": "a"},
    "bleu": {"value": "a", "output": "a"},
    "gleu": {"value": "a", "output": "a"},
    "is-valid-openai-tools-call": {
        "output": "", "tools": [{"name": "f"}], "tool_calls": [{"name": "f"}]
    },
    "is-valid-function-call": {
        "output": "", "tools": [{"name": "f"}], "tool_calls": [{"name": "f"}]
    },
    "is-valid-openai-function-call": {
        "output": "", "tools": [{"name": "f"}], "tool_calls": [{"name": "f"}]
    },
    "tool-call-f1": {"value": "f", "output": "", "tool_calls": [{"name": "f"}]},
    "latency": {"output": "", "threshold": 10, "latency_seconds": 0.001},
    "cost": {"output": "", "threshold": 10, "cost": 0},
}  # fmt: skip

JUDGES = {name for name, kind in KINDS.items() if kind.is_judge}


def test_every_type_has_its_row_here() -> None:
    assert set(HOLDING) | JUDGES | {"python"} == set(KINDS)
    assert not set(KINDS) & set(UNSUPPORTED)


@pytest.mark.parametrize("name", HOLDING)
def test_not_inverts_every_type(name: str) -> None:
    fields = dict(HOLDING[name])
    output, value = fields.pop("output"), fields.pop("value", None)
    straight, inverted = (
        grade(name, output, value, **fields),
        grade(f"not-{name}", output, value, **fields),
    )
    assert (straight.passed, straight.value) == (True, 1.0)
    assert (inverted.passed, inverted.value) == (False, 0.0)


@pytest.mark.parametrize("name", KINDS)
def test_classes(name: str) -> None:
    assert (KINDS[name].check_class is CheckClass.FORMAT) is (name in FORMAT)
    fields: dict[str, Any] = {"threshold": 1} if name in {"latency", "cost"} else {}
    kind = KINDS[name]
    value = {"python": "a.py:f", "word-count": 1}.get(name, "a") if kind.value_required else None
    value = "polite" if kind.is_judge else value
    for given_class in CheckClass:
        spec = spec_of(name, value, check_class=given_class, **fields)
        assert build(spec).check_class is given_class, "the user's word overrules"


@pytest.mark.parametrize(
    ("spec", "complaint", "hint"),
    [
        (spec_of("contians", "x"), "is not a type of check", "did you mean 'contains'?"),
        (spec_of("llm_rubric", "x"), "is not a type of check", "did you mean 'llm-rubric'?"),
        (spec_of("qqqqq"), "is not a type of check", "schema suite"),
        (spec_of("similar", "x"), "needs an embedding model", None),
        (spec_of("not-javascript", "x"), "python check", None),
        (spec_of("promptfoo:redteam:pii"), "red-team", None),
        (spec_of("contains"), "needs a value", None),
        (spec_of("contains", ["a"]), "takes text or a number", None),
        (spec_of("contains-all", {"a": 1}), "takes a list", None),
        (spec_of("contains-any", []), "at least one entry", None),
        (spec_of("word-count", "many"), "whole number", None),
        (spec_of("word-count", -1), "whole number", None),
        (spec_of("word-count", {"min": 3, "max": 2}), "not below the min", None),
        (spec_of("word-count", {"least": 3}), "takes min and max", None),
        (spec_of("is-refusal", "x"), "takes no value", None),
        (spec_of("is-html", "x"), "takes no value", None),
        (spec_of("llm-rubric"), "needs a value", None),
        (spec_of("llm-rubric", "x", threshold=1.5), "threshold from 0 to 1", None),
        (spec_of("bleu", "x", threshold=50), "threshold from 0 to 1", None),
        (spec_of("rouge-n", "x", threshold=float("nan")), "threshold of 0 or more", None),
        (spec_of("levenshtein", "x", threshold=-1), "threshold of 0 or more", None),
        (spec_of("latency"), "needs a threshold", None),
        (spec_of("contains", "x", weight=-1), "weight of 0 or more", None),
        (spec_of("contains", "x", weight=float("inf")), "weight of 0 or more", None),
        (spec_of("python", "output == 'x'"), "put the code into a file", None),
        (spec_of("is-xml", {"elements": 1}), "requiredElements", None),
        (spec_of("llm-rubric", "x", config={"response_format": "xml"}), "response_format", None),
    ],
)
def test_problems(spec: Any, complaint: str, hint: str | None) -> None:
    found = problems(spec)
    assert len(found) == 1
    assert repr(spec.name) in found[0].message
    assert complaint in found[0].message
    assert hint is None or hint in str(found[0].hint)
    with pytest.raises(ConfigError):
        build(spec)


def test_several_problems_are_told_at_once() -> None:
    assert len(problems(spec_of("bleu", threshold=7, weight=-1))) == 3


@pytest.mark.parametrize(
    ("spec", "doubts"),
    [
        (spec_of("bleu", "x", threshold=0), ["always passes"]),
        (spec_of("not-g-eval", "x", threshold=0), ["never passes"]),
        (spec_of("llm-rubric", "x", threshold=0), []),
        (spec_of("levenshtein", "x", threshold=0), []),
        (spec_of("contains", "x", threshold=0.5), ["takes no threshold"]),
        (spec_of("contains", ""), ["an error on every row"]),
        (spec_of("contains", "x", tier=Tier.PROXY), ["its tier is ignored"]),
        (spec_of("nonsense"), []),
    ],
)
def test_cautions(spec: Any, doubts: list[str]) -> None:
    found = [problem.message for problem in cautions(spec)]
    assert len(found) == len(doubts)
    assert all(doubt in message for doubt, message in zip(doubts, found, strict=True))


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_PLUGINS", {})
    monkeypatch.setattr(registry, "_FUNCTIONS", {})


@pytest.mark.usefixtures("no_plugins")
def test_a_plugin_is_a_check_like_any_other() -> None:
    @registry.check("long", check_class=CheckClass.FORMAT)
    def long(ctx: Any) -> float:
        return len(ctx.output) / 10

    assert build(spec_of("long")).check_class is CheckClass.FORMAT
    assert grade("long", "abc", threshold=0.3).passed
    assert not grade("not-long", "abc", threshold=0.3).passed
    assert "did you mean 'long'?" in str(problems(spec_of("lonk"))[0].hint)
    register("long", long)  # a second import of the same module


@pytest.mark.usefixtures("no_plugins")
@pytest.mark.parametrize("name", ["", "not-mine", " mine", "{{x}}", "contains", "taken"])
def test_names_that_no_plugin_may_have(name: str) -> None:
    register("taken", len)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        register(name, lambda ctx: True)


def test_an_unknown_type_may_be_a_plugins_where_none_were_imported() -> None:
    assert problems(spec_of("polite"), plugins_absent=True) == []
    assert problems(spec_of("similar", "x"), plugins_absent=True)
    check = build(spec_of("polite"), plugins_absent=True)
    assert (check.check_class, check.is_judge) == (CheckClass.SEMANTIC, False)
    assert check.grade is not None
    with pytest.raises(ValueError, match="not imported"):
        check.grade(context_of("x"))


def test_looking_types_up_imports_nothing_heavy() -> None:
    heavy = "re2 jsonschema_rs rapidfuzz sqlglot asyncio socket random pydantic jinja2 csvx".split()
    code = (
        "import sys, evalrunner.checks.registry as r\n"
        "from evalrunner.values.spec import CheckSpec\n"
        "r.build(CheckSpec(type='contains', value='x')); r.build(CheckSpec(type='is-json'))\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


any_text = st.text(st.characters(exclude_categories=()))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
HUGE = ["a" * 1_000_000, "\x00" * 1_000_000, "é \ud800" * 300_000, "word " * 200_000]


@pytest.mark.parametrize("name", HOLDING)
@given(output=any_text)
def test_no_answer_makes_a_check_raise_anything_else(name: str, output: str) -> None:
    _only_value_errors(name, output)


@pytest.mark.parametrize("name", HOLDING)
@pytest.mark.parametrize("output", HUGE, ids=["letters", "nul", "surrogates", "words"])
def test_no_huge_answer_makes_a_check_raise_anything_else(name: str, output: str) -> None:
    began = perf_counter()
    _only_value_errors(name, output)
    assert perf_counter() - began < 5


def _only_value_errors(name: str, output: str) -> None:
    fields = {key: item for key, item in HOLDING[name].items() if key not in ("output", "value")}
    try:
        score = grade(name, output, HOLDING[name].get("value"), **fields)
    except ValueError:
        return
    assert isinstance(score, Score)
    assert 0 <= score.value <= 1


@given(name=st.sampled_from([*HOLDING, "python", *JUDGES]), value=anything, threshold=anything)
def test_no_value_makes_building_or_grading_raise_anything_else(
    name: str, value: Any, threshold: Any
) -> None:
    spec = spec_of(name, value, threshold=threshold)
    cautions(spec)
    try:
        check = build(spec)
    except EvalRunnerError:
        assert problems(spec)
        return
    assert not problems(spec)
    if check.grade is not None:
        try:
            check.grade(context_of("an answer", value, threshold=threshold))
        except ValueError:
            return


@pytest.mark.parametrize(
    ("name", "value", "output"),
    [("contains", "needle", "hay " * 50), ("is-json", None, '{"a": [1, 2, {"b": "text"}]}')],
)
def test_common_checks_are_fast(name: str, value: Any, output: str) -> None:
    check, context = build(spec_of(name, value)), context_of(output, value)
    assert check.grade is not None
    began = perf_counter()
    for _ in range(2_000):
        check.grade(context)
    assert (perf_counter() - began) / 2_000 < 100e-6  # about 5 µs on a quiet machine
