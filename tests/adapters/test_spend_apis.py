"""Sources of spend behind HTTP, each against a server that speaks its documented shape, faults included."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from aiohttp import web

from evalrunner.adapters.spend_anthropic import AnthropicSpend
from evalrunner.adapters.spend_langfuse import LangfuseSpend
from evalrunner.adapters.spend_litellm import LitellmSpend
from evalrunner.adapters.spend_openai import OpenAISpend
from evalrunner.errors import ConfigError, SpendError
from evalrunner.values.money import Picodollars, Price, PriceStep
from evalrunner.values.spend import RowFilter, SpendRead, SpendSpec, shifted

from .spend_server import SpendServer

SINCE, UNTIL = "2026-11-01", "2026-11-20"
KEY = "sk-admin-very-secret"
ENVIRON = {
    "ADMIN_KEY": KEY,
    "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
    "LANGFUSE_SECRET_KEY": "sk-lf-very-secret",
}


class Naps:
    """Remembers how long it was to sleep, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def spec(source: str, url: str, rows: RowFilter | None = None, **further: Any) -> SpendSpec:
    fields = {name: further.pop(name) for name in ("fx", "settle_days") if name in further}
    options = {"base_url": url, "api_key_env": "ADMIN_KEY", **further}
    return SpendSpec(
        source=source, name=source, filter=rows or RowFilter(), options=options, **fields
    )


def list_price(model: str) -> Price | None:
    if not model.startswith("claude"):
        return None
    return Price(
        input=Picodollars(3_000_000),
        output=Picodollars(15_000_000),
        cached_input=Picodollars(300_000),
        cache_write=Picodollars(3_750_000),
        steps=(
            PriceStep(above=200_000, input=Picodollars(6_000_000), output=Picodollars(22_500_000)),
        ),
    )


def source_for(one: SpendSpec, naps: Naps | None = None) -> Any:
    kinds: Mapping[str, Any] = {
        "openai": OpenAISpend,
        "anthropic": AnthropicSpend,
        "litellm": LitellmSpend,
        "langfuse": LangfuseSpend,
    }
    further = {"price_of": list_price} if one.source == "anthropic" else {}
    return kinds[one.source](
        one, environ=ENVIRON, now=lambda: 1_795_300_000.0, sleep=naps or Naps(), **further
    )


def fetch(one: SpendSpec, naps: Naps | None = None) -> SpendRead:
    return source_for(one, naps).fetch(SINCE, UNTIL)


def counted(read: SpendRead) -> dict[str, Fraction]:
    days: dict[str, Fraction] = {}
    for part in read.parts:
        if part.left_out is None and part.usd is not None:
            days[part.day] = days.get(part.day, Fraction(0)) + part.usd
    return days


def left_out(read: SpendRead) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for part in read.parts:
        if part.left_out is not None:
            found[part.left_out] = found.get(part.left_out, Fraction(0)) + (part.usd or 0)
    return found


def unknown_rows(read: SpendRead) -> int:
    return sum(part.rows for part in read.parts if part.usd is None and part.left_out is None)


# ---------------------------------------------------------------- OpenAI


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def cost(value: object, currency: str | None = "usd", **facts: Any) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": currency},
        "line_item": "gpt-5.1, input_tokens",
        **facts,
    }


def openai_pages(request: web.Request) -> Mapping[str, Any]:
    """Two pages of one day each, the second with a day on which nothing happened."""
    if "page" not in request.query:
        results = [cost(0.1), cost(0.2, project_id="proj_evals"), cost(1)]
        bucket = {"object": "bucket", "start_time": at("2026-11-02"), "results": results}
        return {"object": "page", "data": [bucket], "has_more": True, "next_page": "p2"}
    assert request.query["page"] == "p2"
    quiet = {"object": "bucket", "start_time": at("2026-11-03"), "results": []}
    last = {"object": "bucket", "start_time": at("2026-11-04"), "results": [cost(0.3)]}
    return {"object": "page", "data": [quiet, last], "has_more": False, "next_page": None}


def test_openai_is_read_page_by_page_exactly_and_without_the_evals() -> None:
    rows = RowFilter(exclude={"project_id": ["proj_evals"]})
    with SpendServer(openai_pages) as server:
        read = fetch(spec("openai", f"{server.url}/v1", rows))
    assert counted(read) == {"2026-11-02": Fraction("1.1"), "2026-11-04": Fraction("0.3")}
    assert left_out(read) == {"evals": Fraction("0.2")}
    assert (read.since, read.through) == (SINCE, "2026-11-19")
    first = server.requests[0]
    assert first.path == "/v1/organization/costs"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.query["start_time"] == str(at(SINCE))
    assert first.query["end_time"] == str(at("2026-11-21"))
    assert first.query.getall("group_by[]") == ["line_item", "project_id"]
    assert {part.label for part in read.parts} == {"gpt-5.1"}


def openai_day(*results: Mapping[str, Any]) -> Any:
    bucket = {"start_time": at("2026-11-02"), "results": list(results)}
    return lambda _: {"data": [bucket], "has_more": False}


@pytest.mark.parametrize(
    "amount",
    [None, "twelve", True, {}, [], "NaN", 1e300, "Infinity"],
)
def test_an_amount_that_is_none_is_unknown_and_never_zero(amount: object) -> None:
    with SpendServer(openai_day(cost(amount), cost(2), {"amount": None})) as server:
        read = fetch(spec("openai", server.url))
    assert counted(read) == {"2026-11-02": 2}
    assert unknown_rows(read) == 2
    assert any("do not say an amount" in note for note in read.notes)


def test_another_currency_needs_a_rate() -> None:
    with SpendServer(openai_day(cost(10, "eur"))) as server:
        with pytest.raises(ConfigError, match="'EUR'"):
            fetch(spec("openai", server.url))
        read = fetch(spec("openai", server.url, fx={"EUR": Fraction("1.08")}))
    assert counted(read) == {"2026-11-02": Fraction("10.8")}
    assert read.notes == ("EUR is converted at 1.08 USD",)


# ---------------------------------------------------------------- faults, which all of them share


def test_what_may_pass_is_asked_again_after_as_long_as_they_want() -> None:
    naps = Naps()
    with SpendServer(openai_pages) as server:
        server.faults = [
            web.Response(status=429, headers={"retry-after": "7"}),
            web.Response(status=503),
            web.Response(status=429, headers={"retry-after": "9999"}),
        ]
        read = fetch(spec("openai", server.url), naps)
    assert sum(counted(read).values()) == Fraction("1.6")
    assert naps.seconds == [7, 2, 30]
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (web.Response(status=401, text=f"bad key {KEY}"), "401"),
        (web.Response(status=302, headers={"location": "http://127.0.0.1:1/"}), "302"),
        (web.Response(status=404), "404"),
        (web.Response(text="<html>"), "JSON object"),
        (web.Response(text='{"data": ['), "JSON object"),
        (web.Response(text="[1]"), "JSON object"),
        (web.json_response({"object": "page"}), "'data'"),
        (web.json_response({"data": [{"results": []}]}), "without a time"),
        (web.json_response({"data": [], "has_more": True}), "not where"),
        (web.Response(body=b" " * (17 * 1024 * 1024)), "larger than"),
    ],
    ids=str,
)
def test_a_refusal_is_one_line_without_the_key(fault: web.StreamResponse, said: str) -> None:
    with SpendServer(openai_pages) as server:
        server.faults = [fault]
        with pytest.raises(SpendError) as caught:
            fetch(spec("openai", server.url))
    assert said in caught.value.message
    assert KEY not in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


def test_a_page_that_does_not_come_is_no_smaller_sum() -> None:
    """The first page is whole; the second never arrives."""

    def answer(request: web.Request) -> Any:
        return web.Response(status=500) if "page" in request.query else openai_pages(request)

    naps = Naps()
    with SpendServer(answer) as server, pytest.raises(SpendError, match="500"):
        fetch(spec("openai", server.url), naps)
    assert len(naps.seconds) == 3


def test_pages_that_go_in_a_circle_come_to_an_end() -> None:
    def answer(_: web.Request) -> Any:
        return {"data": [], "has_more": True, "next_page": "again"}

    with SpendServer(answer) as server, pytest.raises(SpendError, match="not where"):
        fetch(spec("openai", server.url))
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ["openai", "anthropic", "litellm"])
def test_without_its_key_nobody_is_asked(kind: str) -> None:
    with SpendServer(openai_pages) as server:
        with pytest.raises(SpendError, match="'NO_KEY'"):
            fetch(spec(kind, server.url, api_key_env="NO_KEY"))
        assert not server.requests


@pytest.mark.parametrize("kind", ["openai", "anthropic", "litellm", "langfuse"])
def test_a_filter_on_what_a_source_does_not_tell_is_an_error(kind: str) -> None:
    with pytest.raises(ConfigError, match="says nothing about 'colour'"):
        source_for(spec(kind, "http://127.0.0.1:1", RowFilter(where={"colour": ["red"]})))


# ---------------------------------------------------------------- Anthropic


def anthropic_costs(request: web.Request) -> Mapping[str, Any]:
    results = [
        {"amount": "1523", "currency": "USD", "workspace_id": None, "description": "Opus"},
        {"amount": "0.5", "currency": "USD", "workspace_id": "wrkspc_evals", "description": "x"},
        {"amount": None, "currency": "USD", "workspace_id": None, "description": "Priority"},
    ]
    bucket = {"starting_at": "2026-11-02T00:00:00Z", "results": results}
    return {"data": [bucket], "has_more": False, "next_page": None}


def test_anthropic_bills_in_cents() -> None:
    rows = RowFilter(exclude={"workspace_id": ["wrkspc_evals"]})
    with SpendServer(anthropic_costs) as server:
        read = fetch(spec("anthropic", server.url, rows))
    assert counted(read) == {"2026-11-02": Fraction("15.23")}
    assert left_out(read) == {"evals": Fraction("0.005")}
    assert unknown_rows(read) == 1
    request = server.requests[0]
    assert request.path == "/v1/organizations/cost_report"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.query["starting_at"] == "2026-11-01T00:00:00Z"
    assert request.query["ending_at"] == "2026-11-21T00:00:00Z"
    assert request.query.getall("group_by[]") == ["workspace_id", "description"]


def test_the_default_workspace_has_a_name_in_filters() -> None:
    rows = RowFilter(where={"workspace_id": ["default"]})
    with SpendServer(anthropic_costs) as server:
        read = fetch(spec("anthropic", server.url, rows))
    assert left_out(read) == {"not selected": Fraction("0.005")}


def usage(**fields: Any) -> dict[str, Any]:
    return {
        "uncached_input_tokens": 1_000_000,
        "cache_read_input_tokens": 2_000_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 100_000, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 200_000,
        "server_tool_use": {"web_search_requests": 0},
        "api_key_id": "apikey_prod",
        "workspace_id": None,
        "model": "claude-opus-5",
        "service_tier": "standard",
        **fields,
    }


def test_anthropic_usage_is_priced_by_key_and_tier() -> None:
    def answer(_: web.Request) -> Any:
        results = [
            usage(),
            usage(service_tier="batch"),
            usage(service_tier="priority"),
            usage(model="unheard-of"),
            usage(output_tokens=-5),
            usage(server_tool_use={"web_search_requests": 2}),
            usage(api_key_id="apikey_evals"),
        ]
        return {"data": [{"starting_at": "2026-11-02T00:00:00Z", "results": results}]}

    rows = RowFilter(exclude={"api_key_id": ["apikey_evals"]})
    with SpendServer(answer) as server:
        read = fetch(spec("anthropic", server.url, rows, report="usage"))
    whole = Fraction(3) + Fraction("0.6") + Fraction("0.375") + Fraction(60, 10**6) + 3
    assert counted(read) == {"2026-11-02": whole * Fraction(3, 2)}
    assert left_out(read) == {"evals": whole}
    assert unknown_rows(read) == 4
    assert server.requests[0].path == "/v1/organizations/usage_report/messages"


@pytest.mark.parametrize(
    ("facts", "usd"),
    [
        ({"context_window": "0-200k"}, "3"),
        ({"context_window": "200k-1M"}, "6"),
        ({"inference_geo": "us"}, "3.3"),
        ({"inference_geo": "global"}, "3"),
        ({"context_window": "200k-1M", "inference_geo": "us", "service_tier": "batch"}, "3.3"),
    ],
)
def test_anthropic_usage_of_long_prompts_and_at_home_costs_what_the_list_says(
    facts: dict[str, str], usd: str
) -> None:
    row = usage(cache_read_input_tokens=0, cache_creation=None, output_tokens=0, **facts)
    days = [{"starting_at": "2026-11-02T00:00:00Z", "results": [row]}]
    with SpendServer(lambda _: {"data": days}) as server:
        read = fetch(spec("anthropic", server.url, report="usage"))
    assert counted(read) == {"2026-11-02": Fraction(usd)}
    groups = server.requests[0].query.getall("group_by[]")
    assert {"context_window", "inference_geo"} <= set(groups)


# ---------------------------------------------------------------- litellm


def key(spend: object, alias: str, team: str | None = None) -> dict[str, Any]:
    return {"metrics": {"spend": spend}, "metadata": {"key_alias": alias, "team_id": team}}


def litellm_pages(request: web.Request) -> Mapping[str, Any]:
    """A day that is spread over two pages, as the proxy does it."""
    page = int(request.query["page"])
    breakdown = {
        "api_keys": {"hash1": key(1.5, "prod-web"), "hash2": key(0.25, "eval-ci", "quality")},
        "models": {"gpt-5.1": {"metrics": {"spend": 1.75, "successful_requests": 9}}},
    }
    day = {"date": "2026-11-02", "metrics": {"spend": 2.0}, "breakdown": breakdown}
    return {"results": [day], "metadata": {"page": page, "total_pages": 2, "has_more": page < 2}}


@pytest.mark.parametrize(
    "exclude", [{"key_alias": ["eval-*"]}, {"team_id": ["quality"]}, {"api_key": ["hash2"]}]
)
def test_the_proxy_is_split_by_key_and_summed_over_its_pages(exclude: Any) -> None:
    with SpendServer(litellm_pages) as server:
        read = fetch(spec("litellm", server.url, RowFilter(exclude=exclude), settle_days=0))
    assert counted(read) == {"2026-11-02": Fraction("3.5")}
    assert left_out(read) == {"evals": Fraction("0.5")}
    assert [request.query["page"] for request in server.requests] == ["1", "2"]
    assert {part.label for part in read.parts} == {"prod-web", "eval-ci", "no key"}
    assert read.through == UNTIL


def test_a_model_that_the_proxy_books_at_nothing_leaves_the_sum_open() -> None:
    def answer(_: web.Request) -> Any:
        models = {"llama": {"metrics": {"spend": 0, "successful_requests": 10_000}}}
        day = {"date": "2026-11-02", "metrics": {"spend": 0}, "breakdown": {"models": models}}
        return {"results": [day], "metadata": {}}

    with SpendServer(answer) as server:
        assert unknown_rows(fetch(spec("litellm", server.url))) == 1
        assert unknown_rows(fetch(spec("litellm", server.url, free="llama*"))) == 0


def test_one_tag_is_asked_for_by_itself() -> None:
    with SpendServer(litellm_pages) as server:
        fetch(spec("litellm", server.url, tag="production"))
    assert server.requests[0].path == "/tag/daily/activity"
    assert server.requests[0].query["tags"] == "production"


# ---------------------------------------------------------------- Langfuse


def langfuse_rows(request: web.Request) -> Mapping[str, Any]:
    query = json.loads(request.query["query"])
    assert query["config"]["row_limit"] == 1000
    base = {"time_dimension": "2026-11-02", "providedModelName": "gpt-5.1"}
    return {
        "data": [
            {**base, "environment": "production", "sum_totalCost": "1.25"},
            {**base, "environment": "ci", "sum_totalCost": 0.5},
            {**base, "environment": "langfuse-llm-as-a-judge", "sum_totalCost": 0.125},
            {**base, "environment": "production", "sum_totalCost": None},
            {"time_dimension": "2026-11-02", "environment": "production"},
        ]
    }


def test_langfuse_is_split_by_environment_and_its_judges_are_evals() -> None:
    rows = RowFilter(exclude={"environment": ["ci"]})
    with SpendServer(langfuse_rows) as server:
        read = fetch(spec("langfuse", server.url, rows))
    assert counted(read) == {"2026-11-02": Fraction("1.25")}
    assert left_out(read) == {"evals": Fraction("0.625")}
    assert unknown_rows(read) == 1
    pair = base64.b64encode(b"pk-lf-1:sk-lf-very-secret").decode()
    assert server.requests[0].headers["authorization"] == f"Basic {pair}"


def test_an_answer_that_is_full_is_asked_for_in_halves() -> None:
    """Each day holds 400 rows, so that three days are more than an answer can hold."""

    def answer(request: web.Request) -> Any:
        query = json.loads(request.query["query"])
        first, after = query["fromTimestamp"][:10], query["toTimestamp"][:10]
        rows = []
        day = first
        while day < after:
            row = {"time_dimension": day, "environment": "p", "providedModelName": "m"}
            rows += [{**row, "sum_totalCost": "0.01"}] * 400
            day = shifted(day, 1)
        return {"data": rows[:1000]}

    with SpendServer(answer) as server:
        read = fetch(spec("langfuse", server.url))
    assert set(counted(read).values()) == {Fraction(4)}
    assert len(counted(read)) == 20


def test_a_day_with_more_kinds_than_an_answer_holds_is_an_error() -> None:
    row = {"time_dimension": SINCE, "environment": "p", "providedModelName": "m"}

    def answer(_: web.Request) -> Any:
        return {"data": [{**row, "sum_totalCost": "1"}] * 1000}

    with SpendServer(answer) as server, pytest.raises(SpendError, match="more than 1000 kinds"):
        fetch(spec("langfuse", server.url))
