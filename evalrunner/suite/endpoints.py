"""Endpoints from what the user says about a model: who answers, through which client, at what price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evalrunner.errors import ConfigError
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import canonical_json
from evalrunner.values.money import Price
from evalrunner.values.project import Project
from evalrunner.values.spec import Endpoint, SourceRef

LOCAL: Final = "local"
DIRECT_PROVIDERS: Final = frozenset(
    {
        "openai",
        "openrouter",
        "groq",
        "deepseek",
        "mistral",
        "xai",
        "together_ai",
        "fireworks_ai",
    }
)
"""Providers whose own service speaks the OpenAI wire format under a host that we know."""

OPENAI_FORMAT: Final = DIRECT_PROVIDERS | {
    "custom_openai",
    "hosted_vllm",
    "litellm_proxy",
    "llamafile",
    "lm_studio",
    "ollama_chat",
    "openai_like",
    "perplexity",
    "vllm",
}
"""Providers whose endpoints speak that format wherever they are."""


def split_id(model_id: str) -> tuple[str, str]:
    """The provider and the rest of a model id.

    Raises:
        ValueError: There is no provider, or nothing after it.

    Example:
        >>> split_id("openrouter/meta/llama-3")
        ('openrouter', 'meta/llama-3')
    """
    provider, slash, rest = model_id.partition("/")
    if not slash or not provider or not rest or model_id != model_id.strip():
        raise ValueError(f"{model_id[:200]!r} is not PROVIDER/MODEL")
    if not model_id.isprintable():
        raise ValueError(f"{model_id[:200]!r} holds characters that no model id has")
    return provider, rest


def client_for(provider: str, base_url: str | None, asked: str = "auto") -> str:
    """Which client asks: ``local``, ``direct`` or ``litellm``."""
    if provider == LOCAL:
        return LOCAL
    if asked != "auto":
        return asked
    known = OPENAI_FORMAT if base_url else DIRECT_PROVIDERS
    return "direct" if provider in known else "litellm"


def identity_of(provider: str, model: str, base_url: str | None, revision: str | None) -> str:
    """Who answers, as canonical JSON: the part of an endpoint that enters fingerprints.

    A hosted model is its provider and id; one that the user serves is known by its revision, else by
    where it listens. The digest of a ``local/`` file is added by the adapter that opens the file.
    """
    identity: dict[str, Json] = {"provider": provider, "model": model}
    if revision is not None:
        identity["revision"] = revision
    elif base_url is not None:
        identity["base_url"] = base_url
    return canonical_json(identity)


def plain_endpoint(model_id: str, *, source: SourceRef | None = None) -> Endpoint:
    """The endpoint of a model that is named by its id alone.

    Raises:
        ValueError: It is not a model id.
    """
    provider, model = split_id(model_id)
    return Endpoint(
        name=model_id,
        provider=provider,
        model=model,
        identity=identity_of(provider, model, None, None),
        client=client_for(provider, None),
        price=Price(source=LOCAL) if provider == LOCAL else None,
        source=source or SourceRef(file=""),
    )


def endpoint_for(project: Project, name_or_id: str) -> Endpoint:
    """The endpoint that a name of ``models:``, a tier, or a model id stands for.

    Raises:
        ConfigError: It is none of them, or a tier that the project does not set.
    """
    try:
        _refuse_unnamed(project, name_or_id)
        return find_endpoint(project.models, _tier_model(project, name_or_id))
    except ValueError as error:
        hint = did_you_mean(name_or_id, [*project.models, "proxy", "frontier"])
        raise ConfigError(str(error), hint=hint) from None


def find_endpoint(models: Mapping[str, Endpoint], name_or_id: str) -> Endpoint:
    """The same without tiers.

    Raises:
        ValueError: It is neither a name nor an id.
    """
    if name_or_id in models:
        return models[name_or_id]
    if "/" in name_or_id:
        return plain_endpoint(name_or_id)
    raise ValueError(f"{name_or_id[:200]!r} is neither a name in models: nor a PROVIDER/MODEL id")


def _refuse_unnamed(project: Project, name: str) -> None:
    tiers = project.tiers
    named = {*project.models, "proxy", "frontier", tiers.proxy, tiers.frontier}
    if project.under_policy and name not in named:
        raise ValueError(f"{name[:200]!r} is no model that the policy names")


def _tier_model(project: Project, name: str) -> str:
    if name in project.models or name not in ("proxy", "frontier"):
        return name
    model = project.tiers.proxy if name == "proxy" else project.tiers.frontier
    if model is None:
        raise ConfigError(f"the tier {name!r} has no model", hint=f"set tiers: {{{name}: …}}")
    return model
