"""What ``evalrunner.yaml`` may say."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from evalrunner.suite.addresses import normal_url
from evalrunner.suite.endpoints import (
    split_id,
)
from evalrunner.suite.fields import (
    AnyJson,
    Label,
    ModuleName,
    Positive,
    Seconds,
    Section,
    Share,
    Usd,
    UsdPerMtok,
    VariableName,
)
from evalrunner.suite.spend_sources import SpendSource
from evalrunner.values.exchange import Json, Tier
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.project import (
    NORMALIZATION_NAMES,
    CostGateConfig,
)
from evalrunner.values.spec import Route, Routing

_PUBLIC_KEY: Final = re.compile(r"MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=")
"""The one line of an Ed25519 key between its PEM lines: a fixed head and 32 bytes."""


class TokenPrice(Section):
    """A price by the token. Both directions are needed, since unknown is not zero."""

    input_per_mtok: UsdPerMtok
    output_per_mtok: UsdPerMtok
    cached_input_per_mtok: UsdPerMtok | None = None
    cache_write_per_mtok: UsdPerMtok | None = None

    def price(self) -> Price:
        """The same as a value."""
        return Price(
            input=Picodollars(self.input_per_mtok),
            output=Picodollars(self.output_per_mtok),
            cached_input=maybe_usd(self.cached_input_per_mtok),
            cache_write=maybe_usd(self.cache_write_per_mtok),
            source="override",
        )


class HourPrice(Section):
    """The price of an hour of a machine's time."""

    usd_per_hour: Usd

    def price(self) -> Price:
        """The same by the second, rounded up."""
        return Price(per_second=Picodollars(-(-self.usd_per_hour // 3600)), source="override")


class FreePrice(Section):
    """No price at all, because the user says so."""

    free: Literal[True] = True

    def price(self) -> Price:
        """A price of zero, with its provenance."""
        return Price(source="free")


def _price_form(value: object) -> str | None:
    if value == "free" or (value == 0 and not isinstance(value, bool)):
        return "free"
    if isinstance(value, FreePrice):
        return "free"
    if isinstance(value, dict):
        return "hour" if "usd_per_hour" in value else "token"
    return None


def _free(value: object) -> object:
    return {} if value in ("free", 0) else value


PriceField = Annotated[
    Annotated[TokenPrice, Tag("token")]
    | Annotated[HourPrice, Tag("hour")]
    | Annotated[
        FreePrice,
        BeforeValidator(_free, json_schema_input_type=Literal["free", 0] | FreePrice),
        Tag("free"),
    ],
    Discriminator(
        _price_form,
        custom_error_type="price_form",
        custom_error_message="a price is {input_per_mtok: 1, output_per_mtok: 2}, {usd_per_hour: 3}, or free",
    ),
]


def _short_model(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class ModelEntry(Section):
    """One entry of ``models:``."""

    model: Annotated[str, AfterValidator(lambda text: "/".join(split_id(text)))]
    base_url: Annotated[str, AfterValidator(normal_url)] | None = None
    revision: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    api_key_env: VariableName | None = None
    client: Literal["auto", "direct", "litellm"] = "auto"
    params: dict[str, AnyJson] = Field(default_factory=dict)
    price: PriceField | None = None
    rpm: Annotated[int, Field(ge=1)] | None = None
    tpm: Annotated[int, Field(ge=1)] | None = None
    timeout_seconds: Seconds = 60.0
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None


class TiersSection(Section):
    """Which model each tier is."""

    proxy: str | None = None
    frontier: str | None = None


class RouteSection(Section):
    """The route of one class of checks; what is absent keeps its default."""

    subject: Literal["target", "proxy", "frontier"] | None = None
    judge: Literal["proxy", "frontier"] | None = None
    confirm: Literal["target", False] | None = None


class RoutingSection(Section):
    """The routes of both classes."""

    format: RouteSection = RouteSection()
    semantic: RouteSection = RouteSection()

    def routing(self, base: Routing = Routing()) -> Routing:  # noqa: B008  # frozen
        """The routes, with ``base`` where this is silent."""
        return Routing(
            format=_route(self.format, base.format), semantic=_route(self.semantic, base.semantic)
        )


class StoreSection(Section):
    """One of several stores."""

    url: str
    mode: Literal["write", "read", "overlay"] = "write"


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _public_key(text: str) -> str:
    lines = text.split("-----")  # "", BEGIN …, the key, END …, ""
    body = "".join(lines[2 if len(lines) == 5 else 0].split())
    if not _PUBLIC_KEY.fullmatch(body):
        raise ValueError("this must be an Ed25519 public key as `openssl pkey -pubout` writes it")
    return body


def _keys_alone(value: object) -> object:
    """``sign:`` with nothing but a key or several."""
    if isinstance(value, str):
        return {"public_keys": [value]}
    return {"public_keys": value} if isinstance(value, list) else value


class SignSection(Section):
    """Whose signatures cache entries need."""

    public_keys: Annotated[
        list[Annotated[str, AfterValidator(_public_key)]],
        BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ]
    private_key_env: VariableName = "EVALRUNNER_SIGNING_KEY"


_Normalization = Literal["outer-white-space", "line-endings", "runs-of-blanks"]


class CacheSection(Section):
    """Where answers are kept."""

    url: Annotated[str, Field(min_length=1)] = "disk:"
    namespace: Label | None = None
    max_age: Seconds | None = None
    stores: list[StoreSection] = Field(default_factory=list)
    sign: (
        Annotated[
            SignSection,
            BeforeValidator(_keys_alone, json_schema_input_type=SignSection | str | list[str]),
        ]
        | None
    ) = None
    reuse: Literal["exact", "normalized"] | Annotated[list[_Normalization], Field(min_length=1)] = (
        "exact"
    )

    @property
    def normalizations(self) -> tuple[str, ...]:
        """The names that are accepted."""
        if isinstance(self.reuse, str):
            return NORMALIZATION_NAMES if self.reuse == "normalized" else ()
        return tuple(dict.fromkeys(self.reuse))


class LedgerSection(Section):
    """Where spend is written down: ``sqlite:`` with an optional path, or a server's URL."""

    url: Annotated[str, Field(pattern=r"^(sqlite:|rediss?://.)")] = "sqlite:"


_Ratio = Literal["window", "projected"]


class BranchSection(Section):
    """What is different about the ratio gate on some branches."""

    on: Annotated[
        list[_Ratio] | None,
        BeforeValidator(_one_or_more, json_schema_input_type=_Ratio | list[_Ratio]),
    ] = None
    fail_on: Literal["watch", "warning", "critical", "never"] | None = None
    on_inconclusive: Literal["fail", "warn"] | None = None


class CostGateSection(Section):
    """When evals cost too much beside production."""

    on: Annotated[
        list[_Ratio],
        BeforeValidator(_one_or_more, json_schema_input_type=_Ratio | list[_Ratio]),
        Field(min_length=1),
    ] = Field(default=["window", "projected"])
    basis: Literal["total", "production"] = "total"
    window_days: Annotated[int, Field(ge=1, le=366)] = 28
    healthy: Share = CostGateConfig().healthy
    warning: Share = CostGateConfig().warning
    critical: Share = CostGateConfig().critical
    fail_on: Literal["watch", "warning", "critical", "never"] = "warning"
    on_inconclusive: Literal["fail", "warn"] = "fail"
    min_production_usd: Usd = CostGateConfig().min_production_usd
    branches: dict[str, BranchSection] = Field(default_factory=dict)


class CostSection(Section):
    """What may be spent and what it is compared with."""

    max_usd_per_run: Usd | None = None
    max_usd_per_month: Usd | None = None
    ledger: LedgerSection = LedgerSection()
    runs_per_month: Positive | None = None
    gate: CostGateSection = CostGateSection()
    production: list[SpendSource] = Field(default_factory=list)


class ReportSection(Section):
    """What artifacts and comments may carry."""

    include: Literal["outputs", "redacted", "none"] = "outputs"


class ConfigFile(Section):
    """The whole of ``evalrunner.yaml``."""

    models: dict[
        Label,
        Annotated[
            ModelEntry, BeforeValidator(_short_model, json_schema_input_type=str | ModelEntry)
        ],
    ] = Field(default_factory=dict)
    tiers: TiersSection = TiersSection()
    routing: RoutingSection = RoutingSection()
    cache: CacheSection = CacheSection()
    plugins: list[ModuleName] = Field(default_factory=list)
    cost: CostSection = CostSection()
    report: ReportSection = ReportSection()
    suites: list[str] = Field(default_factory=list)


def config_schema() -> dict[str, Json]:
    """The JSON Schema of ``evalrunner.yaml``, for editors and other programs."""
    return ConfigFile.model_json_schema()


def _route(section: RouteSection, base: Route) -> Route:
    subject = section.subject or base.subject
    confirm = base.confirm if section.confirm is None else section.confirm == "target"
    return Route(
        subject=subject,
        judge=Tier(section.judge) if section.judge else base.judge,
        confirm=confirm and subject != "target",
    )


def maybe_usd(amount: int | None) -> Picodollars | None:
    """The amount as picodollars, ``None`` where there is none."""
    return None if amount is None else Picodollars(amount)
