"""What ``evalrunner.yaml`` may say, and the project that it describes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from evalrunner.errors import LoadError, Problem
from evalrunner.suite.addresses import normal_url
from evalrunner.suite.document import parse_document
from evalrunner.suite.endpoints import (
    LOCAL,
    client_for,
    find_endpoint,
    identity_of,
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
from evalrunner.suite.files import read_file
from evalrunner.suite.root import CONFIG_NAME, find_root, toml_section
from evalrunner.suite.suggest import did_you_mean
from evalrunner.suite.tree import Document, Mark, WrittenFloat, plain
from evalrunner.suite.validate import sorted_problems, validated
from evalrunner.values.exchange import Json, Tier
from evalrunner.values.money import Picodollars, Price, usd_text
from evalrunner.values.project import (
    CacheConfig,
    CostConfig,
    CostGateConfig,
    FileRead,
    Project,
    StoreConfig,
    Tiers,
)
from evalrunner.values.spec import Endpoint, Route, Routing, SourceRef

SPEND_SOURCES = ("fixed", "focus", "litellm", "openai", "anthropic")
"""The names of ``cost.production`` sources."""


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
            cached_input=_maybe(self.cached_input_per_mtok),
            cache_write=_maybe(self.cache_write_per_mtok),
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
    | Annotated[FreePrice, BeforeValidator(_free), Tag("free")],
    Discriminator(_price_form),
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


class CacheSection(Section):
    """Where answers are kept."""

    url: Annotated[str, Field(min_length=1)] = "disk:"
    namespace: Label | None = None
    max_age: Seconds | None = None
    stores: list[StoreSection] = Field(default_factory=list)
    sign: bool | None = None
    reuse: AnyJson = None


class LedgerSection(Section):
    """Where spend is written down."""

    url: Annotated[str, Field(min_length=1)] = "sqlite:"


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


class CostGateSection(Section):
    """When evals cost too much beside production."""

    on: Annotated[
        list[Literal["window", "projected"]], BeforeValidator(_one_or_more), Field(min_length=1)
    ] = Field(default=["window", "projected"])
    basis: Literal["total", "production"] = "total"
    window_days: Annotated[int, Field(ge=1, le=366)] = 28
    healthy: Share = CostGateConfig().healthy
    warning: Share = CostGateConfig().warning
    critical: Share = CostGateConfig().critical
    fail_on: Literal["watch", "warning", "critical", "never"] = "warning"
    on_inconclusive: Literal["fail", "warn"] = "fail"
    min_production_usd: Usd = CostGateConfig().min_production_usd


def _known_source(value: str) -> str:
    if value not in SPEND_SOURCES:
        hint = did_you_mean(value, SPEND_SOURCES) or f"one of {', '.join(SPEND_SOURCES)}"
        raise ValueError(f"{value[:80]!r} is not a source of spend ({hint})")
    return value


class SourceSection(Section):
    """One source of production spend; its adapter knows the other fields."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    source: Annotated[str, AfterValidator(_known_source)]


class CostSection(Section):
    """What may be spent and what it is compared with."""

    max_usd_per_run: Usd | None = None
    max_usd_per_month: Usd | None = None
    ledger: LedgerSection = LedgerSection()
    runs_per_month: Positive | None = None
    gate: CostGateSection = CostGateSection()
    production: list[SourceSection] = Field(default_factory=list)


class ReportSection(Section):
    """What artifacts and comments may carry."""

    include: Literal["outputs", "redacted", "none"] = "outputs"


class ConfigFile(Section):
    """The whole of ``evalrunner.yaml``."""

    models: dict[Label, Annotated[ModelEntry, BeforeValidator(_short_model)]] = Field(
        default_factory=dict
    )
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


def load_project(start: Path, *, config: Path | None = None) -> Project:
    """The project that a file or folder belongs to, with its configuration.

    Args:
        start: Where to look from, upwards.
        config: This configuration instead of the nearest one; its folder is then the root.

    Raises:
        ConfigError: There are two configurations in one folder, or ``config`` cannot be read.
        LoadError: All that is wrong with the configuration, each with file and line.
    """
    if config is not None:
        config = Path(os.path.realpath(config))
        return _configured(config.parent, config)
    found = find_root(start)
    return (
        Project(root=found.path) if found.config is None else _configured(found.path, found.config)
    )


def _configured(root: Path, path: Path) -> Project:
    read = read_file(root, path)
    document = _document(read)
    if document.value is None:
        return Project(root=root, config_path=path, files=(read,))
    file = validated(ConfigFile, document)
    models = {name: _endpoint(name, entry, document) for name, entry in file.models.items()}
    _refuse_contradictions(file, models, document)
    return Project(
        root=root,
        config_path=path,
        models=models,
        tiers=Tiers(proxy=file.tiers.proxy, frontier=file.tiers.frontier),
        routing=file.routing.routing(),
        cache=_cache(file.cache),
        plugins=tuple(file.plugins),
        cost=_cost(file.cost),
        report_include=file.report.include,
        suites=tuple(file.suites),
        files=(read,),
    )


def _document(read: FileRead) -> Document:
    if not read.path.endswith(".toml"):
        return parse_document(read)
    section, line = toml_section(read)
    document = Document(file=read.path, value=None, marks=Mark(line, 1))
    if section is None:
        hint = f"add it, or write a {CONFIG_NAME}"
        raise document.error("there is no table [tool.evalrunner]", hint=hint)
    return Document(file=read.path, value=_toml_json(section, document), marks=Mark(line, 1))


def _toml_json(value: object, document: Document) -> Json:
    """TOML's values as JSON; what JSON cannot say is refused."""
    match value:
        case dict():
            return {str(key): _toml_json(item, document) for key, item in value.items()}
        case list():
            return [_toml_json(item, document) for item in value]
        case float() if not math.isfinite(value):
            raise document.error(f"{value!r} is not a usable number")
        case str() | bool() | int() | float():
            return value
        case _:
            raise document.error(f"{value!s:.80} must be quoted to be text")


def _endpoint(name: str, entry: ModelEntry, document: Document) -> Endpoint:
    provider, model = split_id(entry.model)
    mark = document.mark(("models", name))
    params = {key: _as_json(value) for key, value in entry.params.items()}
    return Endpoint(
        name=name,
        provider=provider,
        model=model,
        identity=identity_of(provider, model, entry.base_url, entry.revision),
        base_url=entry.base_url,
        api_key_env=entry.api_key_env,
        client=client_for(provider, entry.base_url, entry.client),
        params=params,
        price=_price(provider, entry),
        rpm=entry.rpm,
        tpm=entry.tpm,
        timeout_seconds=entry.timeout_seconds,
        max_concurrency=entry.max_concurrency,
        source=SourceRef(file=document.file, line=mark.line),
    )


def _price(provider: str, entry: ModelEntry) -> Price | None:
    if entry.price is not None:
        return entry.price.price()
    return Price(source=LOCAL) if provider == LOCAL else None


def _refuse_contradictions(
    file: ConfigFile, models: Mapping[str, Endpoint], document: Document
) -> None:
    problems = [
        *_tier_problems(file.tiers, models, document),
        *_model_problems(file.models, document),
        *_gate_problems(file.cost.gate, document),
    ]
    if problems:
        raise LoadError(sorted_problems(problems))


def _tier_problems(
    tiers: TiersSection, models: Mapping[str, Endpoint], document: Document
) -> list[Problem]:
    problems = []
    for tier, name in (("proxy", tiers.proxy), ("frontier", tiers.frontier)):
        try:
            if name is not None:
                find_endpoint(models, name)
        except ValueError as error:
            hint = did_you_mean(name or "", models)
            problems.append(document.problem(f"tiers.{tier}: {error}", ("tiers", tier), hint=hint))
    return problems


def _model_problems(models: Mapping[str, ModelEntry], document: Document) -> list[Problem]:
    problems = []
    for name, entry in models.items():
        path = ("models", name)
        if name in ("proxy", "frontier"):
            message = f"{name!r} is the name of a tier, so no model can have it"
            problems.append(document.problem(message, path))
        if entry.model.startswith(f"{LOCAL}/") and entry.base_url:
            message = "a local/ model is served by evalrunner itself and has no base_url"
            hint = "name the provider whose format the server speaks, such as openai/…"
            problems.append(document.problem(message, (*path, "base_url"), hint=hint))
        tokens = entry.params.get("max_tokens")
        if "max_tokens" in entry.params and (type(tokens) is not int or tokens < 1):
            message = "params.max_tokens must be a whole number above 0"
            problems.append(document.problem(message, (*path, "params", "max_tokens")))
    return problems


def _gate_problems(gate: CostGateSection, document: Document) -> list[Problem]:
    if gate.healthy <= gate.warning <= gate.critical:
        return []
    message = "cost.gate: healthy, warning and critical must not decrease in this order"
    return [document.problem(message, ("cost", "gate"))]


def _route(section: RouteSection, base: Route) -> Route:
    subject = section.subject or base.subject
    confirm = base.confirm if section.confirm is None else section.confirm == "target"
    return Route(
        subject=subject,
        judge=Tier(section.judge) if section.judge else base.judge,
        confirm=confirm and subject != "target",
    )


def _cache(section: CacheSection) -> CacheConfig:
    return CacheConfig(
        url=section.url,
        namespace=section.namespace,
        max_age_seconds=section.max_age,
        stores=tuple(StoreConfig(url=store.url, mode=store.mode) for store in section.stores),
        sign=section.sign,
        reuse=_as_json(section.reuse),
    )


def _cost(section: CostSection) -> CostConfig:
    gate = section.gate
    return CostConfig(
        max_usd_per_run=_maybe(section.max_usd_per_run),
        max_usd_per_month=_maybe(section.max_usd_per_month),
        ledger_url=section.ledger.url,
        runs_per_month=section.runs_per_month,
        gate=CostGateConfig(
            on=tuple(gate.on),
            basis=gate.basis,
            window_days=gate.window_days,
            healthy=gate.healthy,
            warning=gate.warning,
            critical=gate.critical,
            fail_on=gate.fail_on,
            on_inconclusive=gate.on_inconclusive,
            min_production_usd=Picodollars(gate.min_production_usd),
        ),
        production=tuple(_source(source) for source in section.production),
    )


def _source(section: SourceSection) -> Mapping[str, Json]:
    extra = section.model_extra or {}
    return {"source": section.source} | {key: _exact_usd(key, v) for key, v in extra.items()}


def _exact_usd(key: str, value: object) -> Json:
    """Money of a source as the text that the user wrote; anything else as it is."""
    if key.startswith("usd") and isinstance(value, WrittenFloat):
        return value.text
    if key.startswith("usd") and type(value) is int:
        return usd_text(Picodollars(value * 10**12))
    return _as_json(value)


def _as_json(value: object) -> Json:
    """A value of a free-form field; our parsers let nothing but JSON get so far."""
    return plain(value)  # type: ignore[arg-type]


def _maybe(amount: int | None) -> Picodollars | None:
    return None if amount is None else Picodollars(amount)
