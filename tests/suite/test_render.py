"""Templates: one pass, two engines that agree, and a sandbox that stays one."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.errors import TemplateError
from evalrunner.suite.render import (
    JsonTemplate,
    compile_template,
    render_json,
    render_messages,
)
from evalrunner.suite.sandbox import JinjaTemplate, compile_jinja
from evalrunner.values.exchange import Json, Message
from evalrunner.values.spec import Prompt, SourceRef

SOURCE = SourceRef(file="p.j2", line=1)
VARS: dict[str, Json] = {
    "name": "Ada",
    "n": 3,
    "flag": True,
    "nothing": None,
    "half": 0.5,
    "xs": [1, "two", {"deep": "er"}],
    "user": {"name": "{{n}}", "items": 5, "__class__": "mine"},
    "big": "x" * 1_000_000,
    "many": list(range(1000)),
    "evil": "{{ 7*7 }}{% for x in y %}",
}


def render(text: str) -> str:
    return compile_template(text, SOURCE).render(VARS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no template { } }} %} #}", "no template { } }} %} #}"),
        ("Hi {{name}}{{ name }}{{\nname\t}}!", "Hi AdaAdaAda!"),
        ("{{ n }} {{ flag }} {{ nothing }} {{ half }}", "3 true null 0.5"),
        ("{{ xs }}", '[1,"two",{"deep":"er"}]'),
        ("{{ user.name }}/{{ user.items }}", "{{n}}/5"),
        ("{{ evil }}", "{{ 7*7 }}{% for x in y %}"),
        ("{% if flag %}{{ evil }}{% endif %}", "{{ 7*7 }}{% for x in y %}"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("{% if flag %}a\r\nb{% endif %}\n", "a\nb\n"),
        ("a{# gone #}b", "ab"),
        ("{# {{ undefined_name }} #}", ""),
        ("{% for x in xs %}{{ loop.index }}{{ x }}{% endfor %}", '112two3{"deep":"er"}'),
        ("{% for k, v in user|items %}{{ k }},{% endfor %}", "name,items,__class__,"),
        ("{{ missing|default('d') }}", "d"),
        ("{{ name|upper }} {{ xs|length }} {{ name ~ n }} {{ n * 2 + 1 }}", "ADA 3 Ada3 7"),
        ("{{ user|tojson }}", '{"name":"{{n}}","items":5,"__class__":"mine"}'),
        ("{{ xs[0] }}{{ user['name'] }}{{ name[1:] }}", "1{{n}}da"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("{{- name -}}  x", "Adax"),
        ("{% set y = n + 1 %}{{ y }}", "4"),
    ],
)
def test_template_renders(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("{{nam}}", 1, "'nam' is undefined", "did you mean 'name'?"),
        ("\n\n{{ user.nme }}", 3, "'user.nme' is undefined", None),
        ("\n{{ nam|upper }}", 2, "'nam' is undefined", "did you mean 'name'?"),
        ("\n{% if flag %}\n{{ nam }}{% endif %}", 3, "'nam' is undefined", "did you mean 'name'?"),
        ("{{ name.first }}", 1, "'name.first' is undefined", None),
        ("\n{{", 2, "unexpected", None),
        ("\n{% for %}", 2, "Expected an expression", None),
    ],
)
def test_template_error_has_line_and_hint(
    text: str, line: int, message: str, hint: str | None
) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text)
    problem = caught.value.problem
    assert (problem.file, problem.line) == ("p.j2", line)
    assert message in problem.message
    assert problem.hint == hint


PAYLOADS = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ [].__class__.__base__ }}",
    "{{ ''['__class__'] }}",
    "{{ name|attr('__class__') }}",
    "{{ name.format }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ name.__init__.__globals__ }}",
    "{{ user.get('name') }}",
    "{{ user.keys }}",
    "{{ xs.append(1) }}",
    "{{ self }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ request }}",
    "{{ config }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner() }}",
    "{{ namespace() }}",
    "{{ lipsum(n=100000) }}",
    "{{ range(100000) }}",
    "{{ dict(a=1) }}",
    "{{ n() }}",
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 2 ** 64 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ name|center(1000000000) }}",
    "{{ name|indent(1000000000) }}",
    "{{ name|indent(-5) }}",
    "{{ big|replace('x', big) }}",
    "{{ many|join(big) }}",
    "{{ big ~ big ~ big ~ big ~ big ~ big }}",
    "{{ big + big + big + big + big + big }}",
    "{% set a = big ~ big %}{% set b = a ~ a %}{% set c = b ~ b %}{{ c ~ c }}",
    "{% set a = many + many %}" + "".join("{% set a = a + a %}" for _ in range(20)),
    "{% set a = [many, many] %}" + "".join("{% set a = [a, a] %}" for _ in range(40)) + "{{ a }}",
    "{% set a = {'x': user, 'y': user} %}{{ a }}",
    "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in many %}{{ big }}{% endfor %}",
    "{% for a in many %}{% for b in many %}{{ a }}{% endfor %}{% endfor %}",
    "{% for x in xs recursive %}{{ loop(xs) }}{% endfor %}",
    "{% for a in big %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call name() %}{% endcall %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}{{ self.a() }}",
    "{% filter upper %}x{% endfilter %}",
    "{% set a %}{{ big }}{% endset %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do xs.append(1) %}",
    "{% debug %}",
    "{{ xs|map(attribute='__class__')|list }}",
    "{{ xs|groupby('__class__') }}",
    "{{ xs|sort(attribute='__class__') }}",
    "{{ xs|pprint }}",
    "{{ name|safe }}",
    "{{ 1/0 }}",
    "{{ 9999999999999999999 * 9999999999999999999 }}",
    "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
    "{{ " + " + ".join(["n"] * 5000) + " }}",
    "{% if flag %}" * 500 + "{% endif %}" * 500,
    "{{ user.__class__.__base__ }}",
    "{{ loop }}",
    "{{ xs.0.__class__ }}",
    "{{ nothing.x }}",
]


def test_payload_corpus_is_large_enough() -> None:
    assert len(set(PAYLOADS)) >= 60


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_payload_is_refused_soon_and_in_little_memory(payload: str) -> None:
    compile_template.cache_clear()
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError) as caught:
            render(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 3.0
    assert peak < 128 * 2**20
    assert caught.value.problem.line == 1


def test_attribute_of_data_is_an_item_and_never_an_object() -> None:
    assert render("{{ user.items }}{{ user.__class__ }}{% if flag %}{% endif %}") == "5mine"


NAMES = st.sampled_from(["a", "b", "a.x", "b.y.z", "A_1"])
TEXTS = st.text(st.characters(exclude_characters="{", exclude_categories=["Cs"]), max_size=8)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(parts=st.lists(st.tuples(TEXTS, NAMES, st.sampled_from(["", " ", "\n"]))), value=JSONS)
def test_both_engines_agree(parts: list[tuple[str, str, str]], value: Json) -> None:
    text = "".join(f"{before}{{{{{blank}{name}{blank}}}}}" for before, name, blank in parts)
    variables: dict[str, Json] = {
        "a": {"x": value, "items": 1},
        "b": {"y": {"z": value}},
        "A_1": value,
    }
    simple = compile_template(text, SOURCE)
    full = compile_jinja(text.replace("\r\n", "\n").replace("\r", "\n"), SOURCE)
    assert not isinstance(simple, JinjaTemplate)
    assert simple.render(variables) == full.render(variables)
    assert simple.names == full.names


def test_value_without_template_is_the_same_object() -> None:
    value: Json = {"type": "object", "properties": {"a": [1, 2]}}
    assert render_json(value, VARS) is value
    assert JsonTemplate(value).constant


def test_value_with_templates_renders_inside() -> None:
    value: Json = {"a": ["{{name}}", 1, {"b": "x"}], "{{key}}": None}
    assert render_json(value, VARS) == {"a": ["Ada", 1, {"b": "x"}], "{{key}}": None}
    assert JsonTemplate(value).names == {"name"}


def test_chat_renders_every_content_once() -> None:
    prompt = Prompt(
        label="p",
        template=(
            Message(role="system", content="Be {{ evil }}"),
            Message(role="user", content=[{"type": "text", "text": "{{name}}"}]),
        ),
        source=SOURCE,
    )
    assert render_messages(prompt, VARS) == (
        Message(role="system", content=f"Be {VARS['evil']}"),
        Message(role="user", content=[{"type": "text", "text": "Ada"}]),
    )
