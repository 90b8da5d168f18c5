"""Prices: the user's own first, then a published list, else unknown; never a guess, never zero."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters.price_list import PriceList, Record, list_price, load_price_list
from evalrunner.adapters.price_map import PriceMap, load_price_map
from evalrunner.adapters.prices import ConfiguredPrices, ListedPrices
from evalrunner.values.exchange import Usage
from evalrunner.values.money import Picodollars, Price, PriceStep
from evalrunner.values.pricing import Unknown, price_call
from evalrunner.values.spec import Endpoint

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 6, 15, tzinfo=UTC).timestamp()


def endpoint(model_id: str, *, base_url: str | None = None, price: Price | None = None) -> Endpoint:
    provider, _, model = model_id.partition("/")
    return Endpoint(
        name="m", provider=provider, model=model, identity="{}", base_url=base_url, price=price
    )


def model_price(**mtok: object) -> Record:
    rates = {name: Decimal(rate) if isinstance(rate, str) else rate for name, rate in mtok.items()}
    return Record("ModelPrice", rates)


def conditional(prices: Record, constraint: Record | None = None) -> Record:
    return Record("ConditionalPrice", {"constraint": constraint, "prices": prices})


def since(year: int) -> Record:
    return Record("StartDateConstraint", {"start_date": date(year, 1, 1)})


def stepped(base: str, start: int, price: str) -> Record:
    tier = Record("Tier", {"start": start, "price": Decimal(price)})
    return Record("TieredPrices", {"base": Decimal(base), "tiers": [tier]})


def book(prices: object) -> ConfiguredPrices:
    """A list with one provider and one model, at those prices."""
    match = Record("ClauseStartsWith", {"starts_with": "model"})
    model = Record("ModelInfo", {"id": "model", "match": match, "prices": prices})
    provider = {"id": "acme", "api_pattern": r"https://api\.acme\.test", "models": [model]}
    return ConfiguredPrices(
        at=NOW,
        lists=ListedPrices(
            load=lambda: PriceList([Record("Provider", provider)], source="list@1"),
            load_map=lambda: None,
        ),
    )


SIMPLE = model_price(input_mtok="1.25", output_mtok="10")


def test_what_the_user_wrote_rules() -> None:
    own = Price(input=Picodollars(7))
    assert book(SIMPLE).resolve(endpoint("acme/model", price=own)) is own
    free = Price(source="free")
    assert book(SIMPLE).resolve(endpoint("acme/model", price=free)) is free


def test_a_model_that_we_serve_is_free() -> None:
    found = book(SIMPLE).resolve(endpoint("local/model.gguf"))
    assert found is not None
    assert found.free
    assert found.source == "local"


def test_a_listed_model_has_its_price_and_says_where_it_comes_from() -> None:
    found = book(SIMPLE).resolve(endpoint("acme/model-2"))
    assert found == Price(
        input=Picodollars(1_250_000), output=Picodollars(10_000_000), source="list@1"
    )


@pytest.mark.parametrize("model_id", ["acme/other", "nobody/model", "/", "acme/"])
def test_what_is_not_listed_is_unknown(model_id: str) -> None:
    assert book(SIMPLE).resolve(endpoint(model_id)) is None


@pytest.mark.parametrize(
    "prices",
    [
        model_price(input_mtok="0", output_mtok="10"),
        model_price(input_mtok="1"),
        model_price(output_mtok="1"),
        model_price(input_mtok="NaN", output_mtok="1"),
        model_price(input_mtok="-1", output_mtok="1"),
        model_price(input_mtok=1.5, output_mtok="1"),
        model_price(input_mtok="1", output_mtok="1", requests_kcount="5"),
        [],
        [conditional(SIMPLE, since(2027))],
        None,
    ],
)
def test_a_price_that_is_missing_zero_or_no_number_is_unknown(prices: object) -> None:
    assert book(prices).resolve(endpoint("acme/model")) is None


@pytest.mark.parametrize(
    ("base_url", "known"),
    [
        ("https://api.acme.test/v1", True),
        ("http://10.0.0.5:8080/v1", False),
        ("https://evil.test/https://api.acme.test", False),
    ],
)
def test_at_an_address_of_its_own_only_a_listed_provider_has_a_price(
    base_url: str, known: bool
) -> None:
    found = book(SIMPLE).resolve(endpoint("openai/model", base_url=base_url))
    assert (found is not None) is known


def test_the_last_price_whose_day_has_come_holds() -> None:
    dearer, cheaper = (model_price(input_mtok=n, output_mtok=n) for n in ("3", "2"))
    listed = [
        conditional(SIMPLE),
        conditional(dearer, since(2025)),
        conditional(cheaper, since(2027)),
    ]
    found = book(listed).resolve(endpoint("acme/model"))
    assert found is not None
    assert found.input == 3_000_000


def test_where_the_hour_decides_the_dearest_hour_is_taken() -> None:
    night = Record("TimeOfDateConstraint", {})
    low, high = (model_price(input_mtok=n, output_mtok=n) for n in ("1", "4"))
    for listed in (
        [conditional(low), conditional(high, night)],
        [conditional(high), conditional(low, night)],
    ):
        found = book(listed).resolve(endpoint("acme/model"))
        assert found is not None
        assert (found.input, found.output) == (4_000_000, 4_000_000)


def test_long_prompts_have_rates_of_their_own() -> None:
    prices = model_price(
        input_mtok=stepped("1", 200_000, "2"), output_mtok="5", cache_read_mtok="0.1"
    )
    found = book(prices).resolve(endpoint("acme/model"))
    assert found is not None
    step = PriceStep(
        above=200_000,
        input=Picodollars(2_000_000),
        output=Picodollars(5_000_000),
        cached_input=Picodollars(100_000),
    )
    assert found.steps == (step,)


def test_what_lies_below_a_picodollar_is_rounded_up() -> None:
    found = book(model_price(input_mtok="0.0000001", output_mtok="1")).resolve(
        endpoint("acme/model")
    )
    assert found is not None
    assert found.input == 1


def test_without_a_list_everything_is_unknown() -> None:
    assert (
        ConfiguredPrices(
            at=NOW, lists=ListedPrices(load=lambda: None, load_map=lambda: None)
        ).resolve(endpoint("openai/gpt-4o"))
        is None
    )


# ---------------------------------------------------------------- the real list


@pytest.mark.parametrize(
    ("model_id", "same_as"),
    [
        ("openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openai/gpt-4o-mini-20240718", ("openai", "gpt-4o-mini")),
        ("anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("gemini/gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("azure/gpt-4o", ("openai", "gpt-4o")),
        (
            "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
            ("together", "Llama-3.3-70B-Instruct-Turbo"),
        ),
    ],
)
def test_ids_as_litellm_writes_them_are_found(model_id: str, same_as: tuple[str, str]) -> None:
    found = ConfiguredPrices(at=NOW).resolve(endpoint(model_id))
    assert found is not None
    assert found.source == f"genai-prices@{version('genai-prices')}"
    assert found.input > 0
    assert found.output >= found.input


def test_our_reading_agrees_with_the_package_on_every_sixth_model() -> None:
    """The package itself is the oracle: 2,000 input tokens and 100 output tokens of each model."""
    genai_prices = pytest.importorskip("genai_prices")
    from genai_prices.data import providers

    listed = load_price_list()
    assert listed is not None
    prices = ConfiguredPrices(at=NOW, lists=ListedPrices(load_map=lambda: None))
    usage = genai_prices.Usage(input_tokens=2000, output_tokens=100)
    known = 0
    for provider in providers:
        for model in provider.models[::6]:
            found = prices.resolve(endpoint(f"{provider.id}/{model.id}"))
            if found is None:
                continue
            known += 1
            theirs = genai_prices.calc_price(
                usage,
                model.id,
                provider_id=provider.id,
                genai_request_timestamp=datetime.fromtimestamp(NOW, UTC),
            ).total_price
            ours = Decimal(found.input * 2000 + found.output * 100) / 10**12
            timed = not hasattr(model.prices, "input_mtok")
            assert theirs - Decimal("1e-8") <= ours
            assert timed or ours <= theirs + Decimal("1e-8")
    assert known > 250


def test_the_list_is_read_without_the_package_and_its_imports() -> None:
    script = (
        "import sys; from evalrunner.adapters.price_list import load_price_list\n"
        "assert load_price_list().find('openai', 'gpt-4o', None)\n"
        "print(sorted({'pydantic', 'genai_prices', 'httpx', 'asyncio'} & set(sys.modules)),"
        " [name for name in sys.modules if '_evalrunner_price' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] []"


def test_a_list_that_cannot_be_read_prices_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "genai_prices"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.py").write_text("providers = [SomethingNew(id='openai')]")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "genai_prices", raising=False)
    load_price_list.cache_clear()
    try:
        assert load_price_list() is None
    finally:
        load_price_list.cache_clear()


# ---------------------------------------------------------------- handling, and the second list


def variant(when: dict[str, str], **mtok: str) -> Record:
    return Record("PriceVariant", {"when": when, "prices": model_price(**mtok), "constraint": None})


def listed_price(processing: str, *variants: Record) -> Price | Unknown:
    model = {"prices": SIMPLE, "price_variants": list(variants)}
    return list_price(model, date(2026, 6, 15), "list@1", processing)


def test_flex_and_batch_have_prices_of_their_own() -> None:
    flex = variant({"service_tier": "flex"}, input_mtok="0.5", output_mtok="5")
    batch = variant({"processing": "batch"}, input_mtok="0.25", output_mtok="2")
    for processing, price in (("flex", 500_000), ("batch", 250_000), ("standard", 1_250_000)):
        found = listed_price(processing, flex, batch)
        assert isinstance(found, Price)
        assert (found.input, found.source) == (price, "list@1")


def test_without_one_flex_is_bounded_by_the_ordinary_price_and_priority_is_unknown() -> None:
    found = listed_price("flex")
    assert isinstance(found, Price)
    assert (found.input, found.source) == (1_250_000, "list@1 (standard rates, none for flex)")
    assert listed_price("priority") == Unknown(reason="list@1 has no price for priority")


def test_an_endpoint_is_priced_as_it_asks_to_be_handled() -> None:
    prices = ConfiguredPrices(at=datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    plain = prices.resolve(endpoint("openai/gpt-5"))
    flex = prices.resolve(replace(endpoint("openai/gpt-5"), params={"service_tier": "flex"}))
    assert plain is not None
    assert flex is not None
    assert flex.input * 2 == plain.input


PER_TOKEN = {
    "mode": "chat",
    "litellm_provider": "acme",
    "input_cost_per_token": Decimal("1.25e-06"),
    "output_cost_per_token": Decimal("1e-05"),
}


def mapped(processing: str = "standard", **fields: object) -> Price | Unknown:
    models = {"acme/model": {**PER_TOKEN, **fields}}
    return PriceMap(models, source="map@1").price("acme", "model", processing)


def test_the_map_is_asked_where_the_list_knows_nothing() -> None:
    lists = ListedPrices(
        load=lambda: PriceList([], source="list@1"),
        load_map=lambda: PriceMap({"model": PER_TOKEN}, source="map@1"),
    )
    expected = Price(input=Picodollars(1_250_000), output=Picodollars(10_000_000), source="map@1")
    assert lists.resolve("acme", "model", at=NOW) == expected
    unknown = Unknown(reason="list@1 does not list it")
    neither = Unknown(reason="list@1 does not list it; map@1 does not list it")
    assert lists.resolve("other", "model", at=NOW) == neither
    assert lists.resolve("acme", "model", at=NOW, base_url="http://10.0.0.5/v1") == unknown


def test_the_map_knows_caches_long_prompts_and_thinking() -> None:
    found = mapped(
        cache_read_input_token_cost=Decimal("1e-07"),
        output_cost_per_reasoning_token=Decimal("2e-05"),
        input_cost_per_token_above_200k_tokens=Decimal("3e-06"),
        output_cost_per_token_above_200k_tokens=Decimal("2e-05"),
    )
    assert isinstance(found, Price)
    assert (found.cached_input, found.output) == (100_000, 20_000_000)
    step = PriceStep(
        above=200_000,
        input=Picodollars(3_000_000),
        output=Picodollars(20_000_000),
        cached_input=Picodollars(100_000),
    )
    assert found.steps == (step,)


@pytest.mark.parametrize(
    "fields",
    [
        {"input_cost_per_token": 0},
        {"input_cost_per_token": Decimal("0e-9")},
        {"input_cost_per_token": Decimal("-1e-6")},
        {"input_cost_per_token": Decimal("NaN")},
        {"input_cost_per_token": Decimal("Infinity")},
        {"output_cost_per_token": None},
        {"output_cost_per_token": True},
        {"output_cost_per_token": "1e-6"},
        {"output_cost_per_token": Decimal(2)},
        {"mode": "embedding"},
        {"input_cost_per_request": Decimal("0.1")},
    ],
)
def test_a_rate_of_the_map_that_is_none_makes_the_price_unknown(fields: dict[str, object]) -> None:
    assert isinstance(mapped(**fields), Unknown)


def test_a_model_that_the_map_gives_away_is_unknown_and_says_what_to_type() -> None:
    free = mapped(input_cost_per_token=0, output_cost_per_token=Decimal("0e-9"))
    assert free == Unknown(reason="map@1 lists it at $0; if it is free, say price: free")


@pytest.mark.skipif(find_spec("litellm") is None, reason="needs litellm's file")
def test_the_real_map_is_read_without_its_package() -> None:
    known = load_price_map()
    assert known is not None
    found = known.price("openai", "gpt-4o-mini")
    assert isinstance(found, Price)
    assert found.source == f"litellm@{version('litellm')}"
    assert (found.input, found.output) == (150_000, 600_000)


@given(
    usage_counts=st.lists(
        st.none() | st.integers() | st.floats() | st.booleans(), min_size=5, max_size=5
    )
)
def test_impossible_usage_never_has_a_cost_and_a_cost_is_never_negative(
    usage_counts: list[Any],
) -> None:
    names = (
        "input_tokens output_tokens cached_input_tokens cache_write_tokens reasoning_tokens".split()
    )
    usage = Usage(**dict(zip(names, usage_counts, strict=True)))
    price = Price(input=Picodollars(3), output=Picodollars(5), cached_input=Picodollars(1))
    cost = price_call(price, usage, 0.1)
    sent, made, read, written, thought = usage_counts
    possible = all(type(count) is int and 0 <= count <= 10**9 for count in usage_counts)
    if not possible or read + written > sent or thought > made:
        assert cost is None
    else:
        assert cost == (sent - read) * 3 + read + made * 5


@given(rate=st.floats() | st.decimals() | st.integers() | st.text() | st.none())
def test_no_rate_of_a_map_becomes_a_price_that_is_not_positive_and_plausible(rate: Any) -> None:
    written = Decimal(rate) if isinstance(rate, float) else rate
    found = mapped(input_cost_per_token=written)
    if isinstance(found, Price):
        assert 0 < found.input <= 10**12
