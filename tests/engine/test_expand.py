"""Rows become cases: ids that stay, prompts that are filled in, requests that hold what is sent."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from evalrunner.engine.case import EvalCase
from evalrunner.engine.expand import Expansion, Variant
from evalrunner.engine.panel import Bench, PanelBuilder
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, LoadError
from evalrunner.values.exchange import Json, Message, ModelRequest, TargetRequest, Tier
from evalrunner.values.fingerprint import fingerprint
from evalrunner.values.spec import CheckSpec, Endpoint, Golden, Prompt, Routing, SourceRef, Suite
from tests.engine.builders import ENDPOINTS, contains


def find(name: str) -> Endpoint:
    if name not in ENDPOINTS:
        raise ConfigError(f"{name!r} is unknown")
    return ENDPOINTS[name]


BENCH = Bench(proxy=ENDPOINTS["small"], frontier=ENDPOINTS["large"], find=find)


def suite(
    *checks: CheckSpec, prompts: tuple[str, ...] = ("Say {{q}}",), **changes: object
) -> Suite:
    return Suite(
        name="s",
        path="suites/s.yaml",
        prompts=tuple(Prompt(label=f"p{i}", template=text) for i, text in enumerate(prompts)),
        targets=(),
        checks=checks,
        **changes,  # type: ignore[arg-type]
    )


def row(
    number: int, *, checks: tuple[CheckSpec, ...] = (), **variables: Json
) -> tuple[str, Golden]:
    source = SourceRef(file="golden/s.jsonl", line=number + 1)
    return f"r{number}", Golden(row=number, id=None, vars=variables, checks=checks, source=source)


def variant(
    of: Suite, name: str = "large", tier: Tier = Tier.FRONTIER, bench: Bench = BENCH
) -> Variant:
    builder = PanelBuilder(of, bench, Routing(), application=False, target_is_proxy=False)
    return Variant(
        label=name,
        endpoint=ENDPOINTS[name],
        tier=tier,
        builder=builder,
        panel=builder.build(of.checks),
    )


def expand(
    of: Suite,
    rows: Iterable[tuple[str, Golden]],
    *,
    variants: list[Variant] | None = None,
    draws: int = 1,
    selection: Selection | None = None,
    overrides: dict[str, Json] | None = None,
) -> list[EvalCase]:
    expansion = Expansion(
        of,
        variants=variants or [variant(of)],
        proxy=BENCH.proxy,
        draws=draws,
        overrides=overrides or {},
    )
    return list(expansion.cases(rows, selection or Selection()))


def test_ids_name_prompt_target_and_draw_only_where_there_are_several() -> None:
    one = suite(contains("x"))
    two = suite(contains("x"), prompts=("A {{q}}", "B {{q}}"))
    assert [case.ref.id for case in expand(one, [row(0, q="a")])] == ["s/r0"]
    assert [case.ref.id for case in expand(one, [row(0, q="a")], draws=2)] == ["s/r0", "s/r0#1"]
    assert [case.ref.id for case in expand(two, [row(0, q="a")])] == ["s/r0@p0", "s/r0@p1"]
    both = [variant(two), variant(two, "small", Tier.PROXY)]
    ids = [case.ref.id for case in expand(two, [row(0, q="a")], variants=both)]
    assert ids == ["s/r0@p0@large", "s/r0@p0@small", "s/r0@p1@large", "s/r0@p1@small"]


def test_the_request_holds_what_is_sent() -> None:
    tools = [{"type": "function"}]
    (case,) = expand(suite(contains("x"), tools=tools), [row(0, q="hi")])
    request = case.target
    assert isinstance(request, ModelRequest)
    assert request.messages == (Message(role="user", content="Say hi"),)
    assert request.params == {"max_tokens": 1024}
    assert request.tools == tools
    assert (request.endpoint, request.tier, request.case_id) == ("large", Tier.FRONTIER, "s/r0")


def test_draws_are_different_questions_and_rows_alike_are_one() -> None:
    first, second = expand(suite(contains("x")), [row(0, q="a")], draws=2)
    other, *_ = expand(suite(contains("y")), [row(5, q="a")])
    assert fingerprint(first.target) != fingerprint(second.target)
    assert fingerprint(first.target) == fingerprint(other.target)


def test_variables_of_the_row_win_over_the_suite_and_the_command_line_over_both() -> None:
    of = suite(contains("x"), prompts=("{{a}}{{b}}{{c}}",), vars={"a": "1", "b": "1", "c": "1"})
    (case,) = expand(of, [row(0, b="2", c="2")], overrides={"c": "3"})
    assert case.ref.rendered == "123"


def test_values_are_rendered_for_the_row_and_rows_bring_checks_of_their_own() -> None:
    of = suite(contains("{{q}}!"))
    own = (CheckSpec(type="equals", value="{{q}}?"),)
    plain, special = expand(of, [row(0, q="a"), row(1, q="b", checks=own)])
    assert plain.values == ("a!",)
    assert special.values == ("b!", "b?")
    assert [check.spec.type for check in special.panel.checks] == ["contains", "equals"]


def test_the_proxy_answers_where_only_the_form_counts() -> None:
    (form,) = expand(suite(CheckSpec(type="is-json")), [row(0, q="a")])
    (meaning,) = expand(suite(CheckSpec(type="is-json"), contains("x")), [row(0, q="a")])
    assert form.proxy is not None
    assert (form.proxy.endpoint, form.proxy.tier) == ("small", Tier.PROXY)
    assert meaning.proxy is None


def test_an_application_is_asked_with_its_variables() -> None:
    of = suite(contains("x"))
    builder = PanelBuilder(of, BENCH, Routing(), application=True, target_is_proxy=False)
    stand_in = Endpoint(name="s:bot", provider="application", model="python", identity='{"v":1}')
    application = Variant(
        label="bot",
        endpoint=stand_in,
        tier=Tier.TARGET,
        application=True,
        cacheable=False,
        builder=builder,
        panel=builder.build(of.checks),
    )
    (case,) = expand(of, [row(0, q="a")], variants=[application])
    assert isinstance(case.target, TargetRequest)
    assert (case.target.target, case.target.vars, case.target.cacheable) == (
        '{"v":1}',
        {"q": "a"},
        False,
    )


def test_rows_that_cannot_be_filled_in_are_named_together() -> None:
    with pytest.raises(LoadError) as caught:
        expand(suite(contains("x")), [row(0, q="a"), row(1, p="b"), row(2)])
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == 2
    assert "golden/s.jsonl:2" in lines[0]
    assert "golden/s.jsonl:3" in lines[1]


def test_only_what_is_selected() -> None:
    rows = [row(i, q=str(i)) for i in range(5)]
    taken = expand(suite(contains("x")), rows, selection=Selection(limit=2))
    assert [case.ref.row for case in taken] == [0, 1]


def test_a_judge_without_a_model_is_a_problem_with_a_place() -> None:
    rubric = CheckSpec(type="llm-rubric", value="x", source=SourceRef(file="suites/s.yaml", line=7))
    empty = Bench(proxy=None, frontier=None, find=find)
    builder = PanelBuilder(suite(rubric), empty, Routing(), application=True, target_is_proxy=False)
    with pytest.raises(LoadError, match=r"suites/s\.yaml:7: .*needs a judge") as caught:
        builder.build([rubric])
    assert caught.value.problems[0].hint


def test_a_check_may_name_its_judge() -> None:
    rubric = CheckSpec(type="llm-rubric", value="x", model="small")
    builder = PanelBuilder(
        suite(rubric), BENCH, Routing(), application=False, target_is_proxy=False
    )
    (seat,) = builder.build([rubric]).seats
    assert seat is not None
    assert (seat.endpoint.name, seat.tier) == ("small", Tier.PROXY)
