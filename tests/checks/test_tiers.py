from __future__ import annotations

import pytest

from evalrunner.checks.registry import build
from evalrunner.checks.tiers import judge_tier, plan_case
from evalrunner.values.exchange import Tier
from evalrunner.values.spec import CheckClass, Route, Routing
from tests.checks.making import spec_of

FORMAT, SEMANTIC = build(spec_of("is-json")), build(spec_of("contains", "x"))
JUDGE = build(spec_of("llm-rubric", "polite"))
FORMAT_JUDGE = build(spec_of("llm-rubric", "a list", check_class=CheckClass.FORMAT))
UNCONFIRMED = Routing(format=Route(subject="proxy", judge=Tier.PROXY, confirm=False))
ALL_ON_PROXY = Routing(semantic=Route(subject="proxy", judge=Tier.PROXY, confirm=False))
NOTHING_ON_PROXY = Routing(format=Route(subject="target", judge=Tier.FRONTIER))


@pytest.mark.parametrize(
    ("checks", "routing", "situation", "plan"),
    [
        ([FORMAT], Routing(), {}, ("proxy", True)),
        ([FORMAT, FORMAT_JUDGE], Routing(), {}, ("proxy", True)),
        ([FORMAT, SEMANTIC], Routing(), {}, ("target", False)),
        ([FORMAT, JUDGE], Routing(), {}, ("target", False)),
        ([SEMANTIC], Routing(), {}, ("target", False)),
        ([], Routing(), {}, ("target", False)),
        ([FORMAT], UNCONFIRMED, {}, ("proxy", False)),
        ([FORMAT, SEMANTIC], ALL_ON_PROXY, {}, ("proxy", True)),
        ([SEMANTIC], ALL_ON_PROXY, {}, ("proxy", False)),
        ([FORMAT], NOTHING_ON_PROXY, {}, ("target", False)),
        ([FORMAT], Routing(), {"has_proxy": False}, ("target", False)),
        ([FORMAT], Routing(), {"target_is_application": True}, ("target", False)),
        ([FORMAT], Routing(), {"target_is_proxy": True}, ("target", False)),
    ],
)
def test_plans(
    checks: list, routing: Routing, situation: dict[str, bool], plan: tuple[str, bool]
) -> None:
    facts = {"has_proxy": True, "target_is_application": False, "target_is_proxy": False}
    found = plan_case(checks, routing, **{**facts, **situation})
    assert (found.subject, found.confirm) == plan


@pytest.mark.parametrize(
    ("check", "has_proxy", "tier"),
    [
        (JUDGE, True, Tier.FRONTIER),
        (FORMAT_JUDGE, True, Tier.PROXY),
        (FORMAT_JUDGE, False, Tier.FRONTIER),
        (build(spec_of("llm-rubric", "polite", tier=Tier.PROXY)), True, Tier.PROXY),
        (build(spec_of("llm-rubric", "polite", tier=Tier.PROXY)), False, Tier.PROXY),
    ],
)
def test_judges(check, has_proxy: bool, tier: Tier) -> None:
    assert judge_tier(check, Routing(), has_proxy=has_proxy) is tier
