"""What a record keeps of a project comes back as it was, and nothing else does."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from evalrunner.values.exchange import Message, Tier
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.plain_form import from_plain, to_plain
from evalrunner.values.project import CostConfig, FileRead, Project, Tiers
from evalrunner.values.spec import CheckClass, CheckSpec, Endpoint, Prompt, Suite, Target

PROJECT = Project(
    root=Path("/somewhere"),
    config_path=Path("/somewhere/evalrunner.yaml"),
    models={
        "m": Endpoint(
            name="m",
            provider="openai",
            model="m",
            identity="{}",
            params={"stop": ["a", "b"], "temperature": 0.5},
            price=Price(input=Picodollars(3)),
        )
    },
    tiers=Tiers(proxy="m"),
    cost=CostConfig(runs_per_month=Decimal("1.50"), production=({"source": "fixed", "usd": "1"},)),
)
SUITE = Suite(
    name="s",
    path="suites/s.yaml",
    prompts=(Prompt(label="p", template=(Message(role="user", content="{{x}}"),)),),
    targets=(Target(label="m", model="m"),),
    checks=(CheckSpec(type="contains", value=["tuple", 1], check_class=CheckClass.FORMAT),),
    tools=[{"type": "function", "function": {"name": "f"}}],
)


@pytest.mark.parametrize("value", [PROJECT, SUITE, Tier.PROXY, (1, (2, ["list"])), {"Path": None}])
def test_it_comes_back_as_it_was_through_json(value: object) -> None:
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "value", [b"bytes", {1: 2}, {1, 2}, FileRead(path="", sha256="", data=b"x")]
)
def test_what_would_not_come_back_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        to_plain(value)


@pytest.mark.parametrize(
    "form",
    [
        [],
        [1],
        ["Popen", {"args": "true"}],
        ["Endpoint", {"name": "m"}],
        ["Endpoint", 5],
        ["Tiers", {"other": None}],
        ["Tier", "gold"],
        ["Decimal", "much"],
        ["tuple", ["system"]],
    ],
)
def test_a_form_that_nobody_wrote_is_refused(form: object) -> None:
    with pytest.raises(ValueError):
        from_plain(form)
