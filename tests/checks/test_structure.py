from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.checks.registry import build
from evalrunner.checks.structure import embedded_json
from evalrunner.errors import ConfigError
from evalrunner.values.exchange import ModelText
from tests.checks.making import context_of, grade, spec_of

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
}
FENCED = 'Here:\n```json\n{"name": "Ann"}\n```'


@pytest.mark.parametrize(
    ("name", "value", "output", "passes"),
    [
        ("is-json", None, '{"a": 1}', True),
        ("is-json", None, " \n[1, 2] ", True),
        ("is-json", None, '"text"', True),
        ("is-json", None, "null", True),
        ("is-json", None, "", False),
        ("is-json", None, "{'a': 1}", False),
        ("is-json", None, '{"a": 1} and more', False),
        ("is-json", None, FENCED, False),
        ("is-json", None, "NaN", False),
        ("is-json", None, '{"a": Infinity}', False),
        ("is-json", None, "1" * 5000, True),
        ("is-json", PERSON, '{"name": "Ann", "age": 3}', True),
        ("is-json", PERSON, '{"name": "Ann", "age": -3}', False),
        ("is-json", PERSON, '{"age": 3}', False),
        ("is-json", PERSON, "[]", False),
        ("is-json", '{"type": "array"}', "[]", True),
        ("is-json", '{"type": "array"}', "{}", False),
        ("is-json", {"type": "number"}, "1e999", True),
        ("is-json", {"type": "string", "format": "email"}, '"nobody"', False),
        ("is-json", True, "1", True),
        ("is-json", False, "1", False),
        ("is-json", {"$ref": "#/$defs/n", "$defs": {"n": {"type": "null"}}}, "null", True),
        ("is-json", {"prefixItems": [{"type": "null"}]}, "[1]", False),  # 2020-12
        ("contains-json", None, FENCED, True),
        ("contains-json", None, "no json", False),
        ("contains-json", None, "{broken [1]", True),
        ("contains-json", None, "a { b } c", False),
        ("contains-json", None, "42", False),
        ("contains-json", None, '[NaN] {"a": 1}', True),
        ("contains-json", None, '[1, NaN] {"a": 1}', True),
        ("contains-json", None, "[1, NaN]", False),
        ("contains-json", None, "{ }", True),
        ("contains-json", PERSON, 'first {"x": 1} then {"name": "Ann"}', True),
        ("contains-json", PERSON, 'only {"x": {"name": "Ann"}}', False),
    ],
)
def test_json(name: str, value: Any, output: str, passes: bool) -> None:
    assert grade(name, output, value).passed is passes
    assert grade(f"not-{name}", output, value).passed is not passes


def test_what_the_schema_says_is_model_text() -> None:
    reason = grade("is-json", '{"name": "\x1b[2J"', PERSON).reason
    assert reason == "is not JSON"
    reason = grade("is-json", '{"name": 5}', PERSON).reason
    assert isinstance(reason, ModelText)
    assert "5 is not of type" in reason.raw


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "nothing"}, "cannot be used"),
        ({"$ref": "https://example.com/x.json"}, "another file or host"),
        ({"$ref": "file:///etc/passwd"}, "another file or host"),
        ({"$ref": "#/nowhere"}, "cannot be used"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "JSON Schema"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "("}, "broken"),
        ([], "takes a JSON Schema"),
        ("{", "this text is not JSON"),
        ({"\ud800": 1, "properties": {"\ud800": True}}, "cannot be used"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_built(schema: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        build(spec_of("is-json", schema))


def test_a_templated_schema_is_compiled_for_each_row() -> None:
    check = build(spec_of("is-json", {"const": "{{expected}}"}))
    assert check.grade is not None
    assert check.grade(context_of('"a"', {"const": "a"})).passed
    assert not check.grade(context_of('"a"', {"const": "b"})).passed


@pytest.mark.parametrize("name", ["is-json", "not-is-json"])
def test_nesting_beyond_reading_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="too deeply"):
        grade(name, "[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(
    "hostile",
    ["[" * 300_000, '{"a":' * 200_000, "[1," * 300_000, "[1x" * 100_000, '{"' * 100_000],
)
def test_looking_for_json_ends(hostile: str) -> None:
    began = perf_counter()
    for name in ("contains-json", "not-contains-json"):
        with pytest.raises(ValueError, match="too many"):
            grade(name, hostile)
    assert perf_counter() - began < 10


def test_braces_that_open_no_json_cost_nothing() -> None:
    assert not grade("contains-json", "{" * 1_000_000 + "[x" * 1_000).passed


def test_a_pattern_in_a_schema_takes_linear_time() -> None:
    began = perf_counter()
    assert not grade("is-json", f'"{"a" * 100_000}!"', {"pattern": "^(a+)+$"}).passed
    assert perf_counter() - began < 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(json_values.filter(lambda value: isinstance(value, (dict, list)))))
def test_embedded_json_is_found_in_order(values: list[Any]) -> None:
    import json

    text = " and ".join(json.dumps(value) for value in values)
    assert list(embedded_json(text)) == values
