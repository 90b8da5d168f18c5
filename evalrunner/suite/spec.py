"""What a suite file may say."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from evalrunner.suite.addresses import normal_url
from evalrunner.suite.config_model import RoutingSection
from evalrunner.suite.fields import (
    AnyJson,
    Label,
    Real,
    Seconds,
    Section,
    Share,
    Tags,
    Usd,
    VariableName,
)
from evalrunner.values.exchange import Json

MAX_REPEAT: Final = 1000
_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_CHECK_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9_:.-]{0,79}")


def _content(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return value
    raise ValueError("a message's content must be text or a list of parts")


class MessageSpec(Section):
    """One message of a chat; ``content`` may be a template."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        AnyJson,
        BeforeValidator(_content),
        WithJsonSchema({"type": ["string", "array"]}),
    ]


Chat = Annotated[list[MessageSpec], Field(min_length=1, max_length=1000)]


def is_chat(value: object) -> bool:
    """Whether a value has the look of chat messages: a list of objects with a role."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "role" in item for item in value)
    )


class LabelledPrompt(Section):
    """A prompt with a label of its own; exactly one of ``text``, ``messages`` and ``file``."""

    label: Label
    text: str | None = None
    messages: Chat | None = None
    file: Annotated[str, Field(pattern="^file://")] | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> LabelledPrompt:
        given = [part for part in (self.text, self.messages, self.file) if part is not None]
        if len(given) != 1:
            raise ValueError("a prompt has exactly one of text, messages and file")
        return self


def _prompt_form(value: object) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "chat"
    return "labelled" if isinstance(value, (dict, LabelledPrompt)) else None


PromptField = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[Chat, Tag("chat")]
    | Annotated[LabelledPrompt, Tag("labelled")],
    Discriminator(_prompt_form),
]


def _prompt_list(value: object) -> object:
    """One prompt as a list of one."""
    if isinstance(value, (str, dict)) or is_chat(value):
        return [value]
    return value


def _check_type(value: str) -> str:
    if not _CHECK_TYPE.fullmatch(value.removeprefix("not-")) or value.startswith("not-not-"):
        raise ValueError(f"{value[:80]!r} is not the name of a check")
    return value


class CheckModel(Section):
    """One check."""

    type: Annotated[str, AfterValidator(_check_type)]
    value: AnyJson = None
    threshold: Real | None = None
    weight: Annotated[Real, Field(ge=0)] = 1.0
    metric: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    check_class: Annotated[Literal["format", "semantic"] | None, Field(alias="class")] = None
    tier: Literal["proxy", "frontier"] | None = None
    provider: str | None = None
    model: str | None = None
    rubric_prompt: Annotated[AnyJson, Field(alias="rubricPrompt")] = None
    config: dict[str, AnyJson] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_judge(self) -> CheckModel:
        named = [part for part in (self.tier, self.provider, self.model) if part is not None]
        if len(named) > 1:
            raise ValueError("a check names its judge once: by tier, by model or by provider")
        frame = self.rubric_prompt
        if not (frame is None or isinstance(frame, str) or is_chat(frame)):
            raise ValueError("rubricPrompt must be text or a list of chat messages")
        return self


def _short_check(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


CheckField = Annotated[
    CheckModel, BeforeValidator(_short_check, json_schema_input_type=str | CheckModel)
]


def _function(value: str) -> str:
    if not _FUNCTION.fullmatch(value):
        raise ValueError("this must name a function as module:function, such as app.bot:answer")
    return value


def _application_url(value: str) -> str:
    """The URL as written: an application's path and query are its own affair."""
    normal_url(value.partition("?")[0])
    return value


class HttpTarget(Section):
    """An application behind a URL."""

    url: Annotated[str, AfterValidator(_application_url)]
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    body: AnyJson = None
    output: str | None = None
    usage: str | None = None
    usd: str | None = None
    calls: str | None = None
    api_key_env: VariableName | None = None


_OF_APPLICATIONS: Final = ("watch", "version", "timeout_seconds", "max_usd_per_call")


class TargetModel(Section):
    """A target in full: a model, or an application as ``python``, ``http`` or ``command``."""

    label: Label | None = None
    model: str | None = None
    tier: Literal["proxy", "frontier"] | None = None
    python: Annotated[str, AfterValidator(_function)] | None = None
    http: HttpTarget | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    watch: list[str] | None = None
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    timeout_seconds: Seconds | None = None
    max_usd_per_call: Usd | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> TargetModel:
        kinds = ("model", "tier", "python", "http", "command")
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a target has exactly one of {', '.join(kinds)}")
        said = [name for name in _OF_APPLICATIONS if getattr(self, name) is not None]
        if said and given[0] in ("model", "tier"):
            raise ValueError(f"{said[0]} is for applications")
        return self


def _short_target(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _target_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


TargetField = Annotated[
    TargetModel, BeforeValidator(_short_target, json_schema_input_type=str | TargetModel)
]


def _golden_form(value: object) -> str | None:
    if isinstance(value, str):
        return "reference"
    return "rows" if isinstance(value, list) else None


GoldenField = Annotated[
    Annotated[str, Tag("reference")] | Annotated[list[dict[str, AnyJson]], Tag("rows")],
    Discriminator(_golden_form),
]


class GateModel(Section):
    """When the suite holds."""

    min_pass_rate: Share | None = None
    confidence: Annotated[Real, Field(gt=0, lt=1)] | None = None
    max_regressions: Annotated[int, Field(ge=0)] | None = None
    on_inconclusive: Literal["fail", "warn"] = "fail"


class RepeatModel(Section):
    """How often each case is drawn, and how many draws must pass."""

    n: Annotated[int, Field(ge=1, le=MAX_REPEAT)]
    required: Annotated[int | None, Field(alias="pass", ge=1, le=MAX_REPEAT)] = None

    @model_validator(mode="after")
    def _possible(self) -> RepeatModel:
        if self.required is not None and self.required > self.n:
            raise ValueError(f"pass: {self.required} is more than n: {self.n}")
        return self


def _short_repeat(value: object) -> object:
    return {"n": value} if isinstance(value, int) else value


class SuiteFile(Section):
    """The whole of a suite file."""

    name: Label | None = None
    description: str | None = None
    prompts: Annotated[
        list[PromptField],
        BeforeValidator(_prompt_list, json_schema_input_type=PromptField | list[PromptField]),
        Field(min_length=1),
    ]
    golden: GoldenField | None = None
    target: Annotated[
        list[TargetField],
        BeforeValidator(_target_list, json_schema_input_type=TargetField | list[TargetField]),
        Field(min_length=1, max_length=50),
    ] = Field(default_factory=lambda: [TargetModel(model="frontier")])
    checks: list[CheckField] = Field(default_factory=list)
    gate: GateModel = GateModel()
    repeat: Annotated[
        RepeatModel, BeforeValidator(_short_repeat, json_schema_input_type=int | RepeatModel)
    ] = RepeatModel(n=1)
    routing: RoutingSection | None = None
    threshold: Annotated[Real, Field(ge=0, le=1)] | None = None
    tools: AnyJson = None
    response_format: AnyJson = None
    vars: dict[str, AnyJson] = Field(default_factory=dict)
    tags: Tags = Field(default_factory=dict)
    max_usd: Usd | None = None
    judge: Literal["settled", "always"] = "settled"


class ChatFile(Section):
    """A chat in a file of its own."""

    messages: Chat


class RowChecks(Section):
    """The checks that a golden row adds to its suite's."""

    checks: list[CheckField]


def suite_schema() -> dict[str, Json]:
    """The JSON Schema of a suite file, for editors and other programs."""
    return SuiteFile.model_json_schema()
