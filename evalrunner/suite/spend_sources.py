"""What ``cost.production`` may say: one form for each kind of source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from evalrunner.suite.addresses import normal_url
from evalrunner.suite.fields import Label, Positive, Section, Usd, VariableName
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.exchange import Json
from evalrunner.values.money import Picodollars, usd_text
from evalrunner.values.spend import RowFilter, SpendSpec

SPEND_SOURCES: Final = (
    "fixed",
    "focus",
    "litellm",
    "openai",
    "anthropic",
    "langfuse",
    "csv",
    "python",
)
"""The kinds of ``cost.production`` sources."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[
    list[str],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
"""One text, or several."""

BaseUrl = Annotated[str, AfterValidator(normal_url)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class SourceSection(Section):
    """What every source may say."""

    name: Label | None = None
    where: dict[str, Texts] = Field(default_factory=dict)
    exclude: dict[str, Texts] = Field(default_factory=dict)
    covers: Texts | None = None
    reconcile_only: bool = False
    includes_evals: bool = False
    fx: dict[Currency, Positive] = Field(default_factory=dict)
    settle_days: Annotated[int, Field(ge=0, le=31)] | None = None
    stale_after_days: Annotated[int, Field(ge=1, le=366)] = 3

    def kind(self) -> str:
        """The word behind ``source:``."""
        return str(self.model_dump(include={"source"})["source"])

    def options(self) -> dict[str, Json]:
        """What only this kind says, as JSON."""
        common = {*SourceSection.model_fields, "source"}
        return {
            name: value
            for name in type(self).model_fields
            if name not in common and (value := getattr(self, name)) is not None
        }


class FixedSource(SourceSection):
    """An amount that somebody knows: a contract, an invoice, an average."""

    source: Literal["fixed"]
    usd_per_month: Usd | None = None
    usd_per_day: Usd | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> FixedSource:
        if (self.usd_per_month is None) == (self.usd_per_day is None):
            raise ValueError("a fixed source says either usd_per_month or usd_per_day")
        return self

    def options(self) -> dict[str, Json]:
        """The amount as exact decimal text."""
        amounts = {"usd_per_month": self.usd_per_month, "usd_per_day": self.usd_per_day}
        return {
            name: usd_text(Picodollars(amount))
            for name, amount in amounts.items()
            if amount is not None
        }


class FocusSource(SourceSection):
    """Files in the FinOps Open Cost and Usage Specification, 1.0 and later."""

    source: Literal["focus"]
    path: Texts
    cost: Literal["EffectiveCost", "BilledCost", "ListCost", "ContractedCost"] = "EffectiveCost"
    charges: Texts = Field(default=["Usage"])


class CsvSource(SourceSection):
    """CSV files with a day and an amount in each row."""

    source: Literal["csv"]
    path: Texts
    day: str = "date"
    usd: str = "usd"
    currency: str | None = None
    label: str | None = None


class ApiSource(SourceSection):
    """Somebody's HTTP interface."""

    base_url: BaseUrl | None = None
    api_key_env: VariableName | None = None

    @model_validator(mode="after")
    def _key_beside_the_address(self) -> ApiSource:
        if self.base_url and self.api_key_env is None:
            raise ValueError("a base_url needs the api_key_env whose key may go there")
        return self


class OpenAISource(ApiSource):
    """OpenAI's organization costs."""

    source: Literal["openai"]


class AnthropicSource(ApiSource):
    """Anthropic's cost report, or its usage report at list prices, which knows API keys."""

    source: Literal["anthropic"]
    report: Literal["cost", "usage"] = "cost"


class LitellmSource(SourceSection):
    """The daily activity of a litellm proxy."""

    source: Literal["litellm"]
    base_url: BaseUrl
    api_key_env: VariableName
    tag: str | None = None
    free: Texts | None = None


class LangfuseSource(SourceSection):
    """Langfuse's metrics."""

    source: Literal["langfuse"]
    base_url: BaseUrl | None = None
    public_key_env: VariableName = "LANGFUSE_PUBLIC_KEY"
    secret_key_env: VariableName = "LANGFUSE_SECRET_KEY"

    @model_validator(mode="after")
    def _keys_beside_the_address(self) -> LangfuseSource:
        if self.base_url and "secret_key_env" not in self.model_fields_set:
            raise ValueError("a base_url needs the secret_key_env whose key may go there")
        return self


class PythonSource(SourceSection):
    """A function of the user's."""

    source: Literal["python"]
    python: Annotated[str, Field(pattern=r"^[^:\s]+:[A-Za-z_]\w*$")]


def _known(value: object) -> object:
    kind = value.get("source") if isinstance(value, dict) else None
    if isinstance(value, dict) and kind not in SPEND_SOURCES:
        said = "this source of spend has no 'source'" if kind is None else f"{kind!s:.80}"
        named = said if kind is None else f"{said!r} is not a source of spend"
        hint = did_you_mean(str(kind), SPEND_SOURCES) or f"one of {', '.join(SPEND_SOURCES)}"
        raise ValueError(f"{named} ({hint})")
    return value


def _kind(value: object) -> str | None:
    found = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return found if isinstance(found, str) else None


SpendSource = Annotated[
    Annotated[FixedSource, Tag("fixed")]
    | Annotated[FocusSource, Tag("focus")]
    | Annotated[LitellmSource, Tag("litellm")]
    | Annotated[OpenAISource, Tag("openai")]
    | Annotated[AnthropicSource, Tag("anthropic")]
    | Annotated[LangfuseSource, Tag("langfuse")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[PythonSource, Tag("python")],
    Discriminator(_kind),
    BeforeValidator(_known),
]
"""One source of production spend."""

_COVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "litellm": ("*",),
    "langfuse": ("*",),
}
_SETTLES: Final[Mapping[str, int]] = {
    "fixed": 0,
    "litellm": 0,
    "langfuse": 0,
    "python": 0,
    "csv": 0,
}


def spend_specs(sections: Iterable[SourceSection]) -> tuple[SpendSpec, ...]:
    """The sources as values; one without a name is called after its kind, and two never alike."""
    specs: list[SpendSpec] = []
    for section in sections:
        taken = {spec.name for spec in specs}
        specs.append(_spec(section, section.name or _free_name(section.kind(), taken)))
    return tuple(specs)


def same_bill(specs: Sequence[SpendSpec]) -> Iterable[tuple[int, str]]:
    """The sources that may see a bill which an earlier one sees too: place, and what is wrong."""
    for place, spec in enumerate(specs):
        if any(spec.name == other.name for other in specs[:place]):
            yield place, f"two sources of spend are called {spec.name!r}"
        for other in specs[:place]:
            if _overlap(spec, other):
                both = f"{other.name!r} and {spec.name!r}"
                yield place, f"{both} may see the same bill, which would be counted twice"


def _spec(section: SourceSection, name: str) -> SpendSpec:
    kind = section.kind()
    settles = _SETTLES.get(kind, 1)
    return SpendSpec(
        source=kind,
        name=name,
        filter=RowFilter(where=section.where, exclude=section.exclude),
        covers=tuple(section.covers or _COVERS.get(kind, ())),
        reconcile_only=section.reconcile_only,
        includes_evals=section.includes_evals,
        fx={code: Fraction(rate) for code, rate in section.fx.items()},
        settle_days=settles if section.settle_days is None else section.settle_days,
        stale_after_days=section.stale_after_days,
        options=section.options(),
    )


def _free_name(kind: str, taken: set[str]) -> str:
    name, number = kind, 2
    while name in taken:
        name, number = f"{kind}-{number}", number + 1
    return name


def _overlap(one: SpendSpec, other: SpendSpec) -> bool:
    if one.reconcile_only or other.reconcile_only or not (one.covers and other.covers):
        return False
    if one.source == other.source and _account(one) != _account(other):
        return False
    return "*" in (*one.covers, *other.covers) or bool({*one.covers} & {*other.covers})


def _account(spec: SpendSpec) -> tuple[object, ...]:
    """Whose bill a source of one kind sees, and which part of it."""
    where = tuple(sorted((name, tuple(texts)) for name, texts in spec.filter.where.items()))
    names = ("base_url", "api_key_env", "secret_key_env", "tag")
    return (*(spec.options.get(name) for name in names), where)
