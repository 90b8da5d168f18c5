"""What is to be tested, once everything that the user wrote has been read and found good.

These are the plain values that :mod:`evalrunner.suite` makes of YAML and golden files. They hold no
file handles, no pydantic and no defaults still to be looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, Message, Tier
from evalrunner.values.money import Picodollars, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """Where something was written: a path relative to the project root, and a line from 1."""

    file: str
    line: int = 0


class CheckClass(StrEnum):
    """Whether a check is about the form of an answer or about its meaning."""

    FORMAT = "format"
    SEMANTIC = "semantic"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """One check as written.

    Attributes:
        type: The check's name without a ``not-`` prefix.
        negated: Whether the prefix stood there.
        value: What it compares with; a template where it is text with ``{{…}}``; a JSON Schema, a list
            or an object for the checks that take one. ``file://`` references are already read.
        threshold: The score or distance that decides, where the type has one.
        weight: Its part in the case's score; 0 means that it can never fail the case.
        metric: A name under which its scores are gathered.
        check_class: The class that the user gave, ``None`` for the type's own.
        tier: The tier whose model judges, where the user named one.
        model: The model (a name of ``models:`` or an id) that judges, where the user named one.
        rubric_prompt: The frame that replaces the judge's own, as text or messages.
        config: Further settings of the type.
        source: Where it was written.
    """

    type: str
    negated: bool = False
    value: Json = None
    threshold: float | None = None
    weight: float = 1.0
    metric: str | None = None
    check_class: CheckClass | None = None
    tier: Tier | None = None
    model: str | None = None
    rubric_prompt: str | tuple[Message, ...] | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    source: SourceRef = SourceRef(file="")

    @property
    def name(self) -> str:
        """The type as the user wrote it, prefix included."""
        return f"not-{self.type}" if self.negated else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt template: text, or the messages of a chat whose contents are templates."""

    label: str
    template: str | tuple[Message, ...]
    source: SourceRef = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The system under test: a model by tier, name or id, or an application.

    Attributes:
        label: How reports and case ids call it.
        kind: ``model``, ``python``, ``http`` or ``command``.
        model: For a model: a tier (``proxy``, ``frontier``), a name in ``models:``, or an id.
        spec: For an application: what the user wrote (``python``, ``http`` or ``command``, ``watch``,
            ``version``, ``timeout_seconds``).
        max_per_call: The most that one call of an application may cost; ``None`` where nobody says.
    """

    label: str
    kind: str = "model"
    model: str | None = None
    spec: Mapping[str, Json] = field(default_factory=dict)
    max_per_call: Picodollars | None = None
    source: SourceRef = SourceRef(file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """For one check class: whose answer is looked at, who judges, and whether a failure is confirmed."""

    subject: str
    judge: Tier
    confirm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The routes of both classes; the defaults are those of the documentation."""

    format: Route = Route(subject="proxy", judge=Tier.PROXY, confirm=True)
    semantic: Route = Route(subject="target", judge=Tier.FRONTIER)

    def of(self, check_class: CheckClass) -> Route:
        """The route of one class."""
        return self.format if check_class is CheckClass.FORMAT else self.semantic


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """When a suite holds.

    Attributes:
        min_pass_rate: The least observed rate of passed over passed and failed, 0 to 1.
        confidence: With it the rate's interval decides instead of the rate, 0 to 1.
        max_regressions: The most cases that may fail although they passed in the baseline.
        on_inconclusive: ``fail`` or ``warn``.
    """

    min_pass_rate: Decimal = Decimal(1)
    confidence: float | None = None
    max_regressions: int | None = None
    on_inconclusive: str = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatSpec:
    """How often each case is drawn, and how many draws must pass for the row to pass."""

    n: int = 1
    required: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One row: its variables and what is reserved beside them.

    ``digest`` is the first 12 hex digits of the variables' canonical JSON; the id of a row without one.
    """

    row: int
    id: str | None
    vars: Mapping[str, Json]
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[CheckSpec, ...] = ()
    source: SourceRef = SourceRef(file="")
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One suite file, read. Its goldens are streamed beside it, not held in it."""

    name: str
    path: str
    prompts: tuple[Prompt, ...]
    targets: tuple[Target, ...]
    checks: tuple[CheckSpec, ...]
    golden: str | None = None
    gate: GateSpec = GateSpec()
    repeat: RepeatSpec = RepeatSpec()
    routing: Routing | None = None
    threshold: float | None = None
    tools: Json = None
    response_format: Json = None
    vars: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    max_usd: Picodollars | None = None
    judge_always: bool = False
    source: SourceRef = SourceRef(file="")


DEFAULT_MAX_TOKENS: Final = 1024
JUDGE_MAX_TOKENS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model that can be asked: what identifies it, how it is reached, what it costs.

    Attributes:
        name: Its name in ``models:``, or its id where a suite names it directly.
        provider: ``openai``, ``anthropic``, ``local``, …: the part of the id before the first slash.
        model: The rest of the id: what the provider is asked for.
        identity: Who answers, as canonical JSON; the only part that enters a fingerprint.
        base_url: Where it listens, for an endpoint that the user named.
        api_key_env: The environment variable that holds its key.
        client: ``direct``, ``litellm`` or ``local``.
        params: Parameters sent with every request.
        price: The user's own price; ``None`` where a price list has to know it.
        max_per_call: The most that one call of an application may cost, as the user says.
        rpm: Requests a minute.
        tpm: Tokens a minute.
        timeout_seconds: The total deadline of one attempt.
        max_concurrency: Calls in flight, for an endpoint that has its own limit.
    """

    name: str
    provider: str
    model: str
    identity: str
    base_url: str | None = None
    api_key_env: str | None = None
    client: str = "direct"
    params: Mapping[str, Json] = field(default_factory=dict)
    price: Price | None = None
    max_per_call: Picodollars | None = None
    rpm: int | None = None
    tpm: int | None = None
    timeout_seconds: float = 60.0
    max_concurrency: int | None = None
    source: SourceRef = SourceRef(file="")
