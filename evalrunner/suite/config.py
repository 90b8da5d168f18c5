"""The project that a configuration describes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from evalrunner.errors import LoadError, Problem
from evalrunner.suite.config_model import (
    BranchSection,
    CacheSection,
    ConfigFile,
    CostGateSection,
    CostSection,
    ModelEntry,
    SignSection,
    TiersSection,
    maybe_usd,
)
from evalrunner.suite.document import parse_document
from evalrunner.suite.endpoints import (
    LOCAL,
    client_for,
    find_endpoint,
    identity_of,
    split_id,
)
from evalrunner.suite.files import read_file
from evalrunner.suite.problems import sorted_problems
from evalrunner.suite.root import CONFIG_NAME, find_root, toml_section
from evalrunner.suite.salvage import salvaged
from evalrunner.suite.spend_sources import same_bill, spend_specs
from evalrunner.suite.suggest import did_you_mean
from evalrunner.suite.tree import Document, plain
from evalrunner.values.exchange import Json
from evalrunner.values.money import Picodollars, Price
from evalrunner.values.project import (
    BranchPolicy,
    CacheConfig,
    CostConfig,
    CostGateConfig,
    FileRead,
    Project,
    SignConfig,
    StoreConfig,
    Tiers,
)
from evalrunner.values.spec import Endpoint, SourceRef


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
    found = salvaged(ConfigFile, document, stand_ins={})
    file = found.value
    if file is None:
        raise LoadError(found.problems)
    models = {name: _endpoint(name, entry, document) for name, entry in file.models.items()}
    problems = found.problems + _contradictions(file, document)
    if "models" not in found.touched:
        problems += _tier_problems(file.tiers, models, document)
    if problems:
        raise LoadError(sorted_problems(problems))
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
    section, marks = toml_section(read)
    document = Document(file=read.path, value=None, marks=marks)
    if section is None:
        hint = f"add it, or write a {CONFIG_NAME}"
        raise document.error("there is no table [tool.evalrunner]", hint=hint)
    return Document(file=read.path, value=_toml_json(section, document), marks=marks)


def _toml_json(value: object, document: Document, path: tuple[str | int, ...] = ()) -> Json:
    """TOML's values as JSON; what JSON cannot say is refused."""
    match value:
        case dict():
            return {
                str(key): _toml_json(item, document, (*path, str(key)))
                for key, item in value.items()
            }
        case list():
            return [_toml_json(item, document, (*path, n)) for n, item in enumerate(value)]
        case float() if not math.isfinite(value):
            raise document.error(f"{value!r} is not a usable number", path)
        case str() | bool() | int() | float():
            return value
        case _:
            raise document.error(f"{value!s:.80} must be quoted to be text", path)


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


def _contradictions(file: ConfigFile, document: Document) -> list[Problem]:
    return [
        *_model_problems(file.models, document),
        *_gate_problems(file.cost.gate, document),
        *_spend_problems(file.cost, document),
    ]


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


def _spend_problems(cost: CostSection, document: Document) -> list[Problem]:
    hint = "say covers: [PROVIDER, …] on both, or reconcile_only: true on one"
    return [
        document.problem(message, ("cost", "production", place), hint=hint)
        for place, message in same_bill(spend_specs(cost.production))
    ]


def _cache(section: CacheSection) -> CacheConfig:
    return CacheConfig(
        url=section.url,
        namespace=section.namespace,
        max_age_seconds=section.max_age,
        stores=tuple(StoreConfig(url=store.url, mode=store.mode) for store in section.stores),
        sign=_sign(section.sign),
        reuse=section.normalizations,
    )


def _sign(section: SignSection | None) -> SignConfig | None:
    if section is None:
        return None
    keys = tuple(section.public_keys)
    return SignConfig(public_keys=keys, private_key_env=section.private_key_env)


def _cost(section: CostSection) -> CostConfig:
    gate = section.gate
    return CostConfig(
        max_usd_per_run=maybe_usd(section.max_usd_per_run),
        max_usd_per_month=maybe_usd(section.max_usd_per_month),
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
            branches=tuple(_branch(name, part) for name, part in gate.branches.items()),
        ),
        production=spend_specs(section.production),
    )


def _branch(pattern: str, section: BranchSection) -> BranchPolicy:
    return BranchPolicy(
        pattern=pattern,
        on=tuple(section.on) if section.on else None,
        fail_on=section.fail_on,
        on_inconclusive=section.on_inconclusive,
    )


def _as_json(value: object) -> Json:
    """A value of a free-form field; our parsers let nothing but JSON get so far."""
    return plain(value)  # type: ignore[arg-type]
