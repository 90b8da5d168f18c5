"""A suite file's models as the plain values that flow, with all references read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

from evalrunner.errors import ConfigError, LoadError, Problem, TemplateError
from evalrunner.suite.labels import label_from
from evalrunner.suite.references import References, is_reference
from evalrunner.suite.render import JsonTemplate, PromptTemplate
from evalrunner.suite.spec import (
    Chat,
    ChatFile,
    CheckModel,
    GateModel,
    LabelledPrompt,
    MessageSpec,
    RowChecks,
    SuiteFile,
    TargetModel,
    is_chat,
)
from evalrunner.suite.tree import Document, Mark, Path, plain
from evalrunner.suite.validate import validated
from evalrunner.values.exchange import Json, Message, Tier
from evalrunner.values.money import Picodollars
from evalrunner.values.project import Project
from evalrunner.values.spec import (
    CheckClass,
    CheckSpec,
    GateSpec,
    Prompt,
    RepeatSpec,
    SourceRef,
    Suite,
    Target,
)

T = TypeVar("T")

_PYTHON = "python"


class SuiteBuilder:
    """Builds one suite, gathering problems instead of stopping at the first.

    Args:
        document: The suite file.
        references: Reads what it names.
    """

    def __init__(self, document: Document, references: References) -> None:
        self.document = document
        self.references = references
        self.problems: list[Problem] = []

    def suite(self, file: SuiteFile, project: Project, *, default_name: str) -> Suite:
        """The suite; where :attr:`problems` is not empty afterwards it is not to be used."""
        return Suite(
            name=file.name or default_name,
            path=self.document.file,
            prompts=self._prompts(file),
            targets=self._targets(file.target),
            checks=self._checks(file.checks),
            golden=file.golden if isinstance(file.golden, str) else None,
            gate=_gate(file.gate),
            repeat=RepeatSpec(n=file.repeat.n, required=file.repeat.required),
            routing=None if file.routing is None else file.routing.routing(project.routing),
            threshold=file.threshold,
            tools=self._shaped("tools", file.tools, list, "a list of tools"),
            response_format=self._shaped(
                "response_format", file.response_format, dict, "a mapping"
            ),
            vars={key: _json(value) for key, value in file.vars.items()},
            tags=file.tags,
            max_usd=None if file.max_usd is None else Picodollars(file.max_usd),
            judge_always=file.judge == "always",
            source=SourceRef(file=self.document.file, line=1),
        )

    def _prompts(self, file: SuiteFile) -> tuple[Prompt, ...]:
        raw = self.document.value["prompts"]  # type: ignore[index,call-overload]  # validated
        wrapped = isinstance(raw, list) and not is_chat(raw)
        prompts = []
        for index, item in enumerate(file.prompts):
            path: Path = ("prompts", index) if wrapped else ("prompts",)
            prompt = self._try(path, partial(self._prompt, item, index, path))
            if prompt is None:
                continue
            compiled = self._try(path, partial(PromptTemplate, prompt))
            if compiled is not None:
                prompts.append(prompt)
        for index, label in _twice([prompt.label for prompt in prompts]):
            self._say(f"the label {label!r} is given twice", ("prompts", index))
        return tuple(prompts)

    def _prompt(self, item: str | Chat | LabelledPrompt, number: int, path: Path) -> Prompt:
        label = f"prompt-{number + 1}"
        if isinstance(item, LabelledPrompt):
            label = item.label
            content = item.text or item.messages or item.file or ""
            if item.text is not None:
                return Prompt(label=label, template=item.text, source=self._source(path))
            return self._prompt_of(content, label, path)
        if isinstance(item, str) and is_reference(item):
            stem = item.rpartition("/")[2].rpartition(".")[0]
            return self._prompt_of(item, label_from(stem), path)
        return self._prompt_of(item, label, path)

    def _prompt_of(self, content: str | Chat, label: str, path: Path) -> Prompt:
        if not isinstance(content, str):
            return Prompt(label=label, template=_messages(content), source=self._source(path))
        if not is_reference(content):
            return Prompt(label=label, template=content, source=self._source(path))
        text, name = self.references.text(content)
        source = SourceRef(file=name, line=1)
        if name.lower().endswith((".json", ".yaml", ".yml")):
            document = self.references.document(content)
            return Prompt(label=label, template=_chat(document), source=source)
        return Prompt(label=label, template=text, source=source)

    def _targets(self, models: Sequence[TargetModel]) -> tuple[Target, ...]:
        raw = self.document.value.get("target")  # type: ignore[union-attr]  # validated
        targets = []
        taken: set[str] = set()
        for index, model in enumerate(models):
            path: Path = ("target", index) if isinstance(raw, list) else ("target",)
            label = model.label or _free(label_from(_target_name(model)), taken)
            if label in taken:
                self._say(f"the label {label!r} is given twice", path)
            taken.add(label)
            targets.append(_target(model, label, self._source(path)))
        return tuple(targets)

    def _checks(self, models: Sequence[CheckModel]) -> tuple[CheckSpec, ...]:
        specs = []
        for index, model in enumerate(models):
            path: Path = ("checks", index)
            spec = self._try(path, partial(self.check, model, self._source(path)))
            if spec is not None:
                specs.append(spec)
        return tuple(specs)

    def check(self, model: CheckModel, source: SourceRef) -> CheckSpec:
        """One check, its references read and its templates found good.

        Raises:
            ConfigError: A file cannot be read, or a template is none.
        """
        negated = model.type.startswith("not-")
        kind = model.type.removeprefix("not-")
        value = _json(model.value)
        spec = CheckSpec(
            type=kind,
            negated=negated,
            value=value if kind == _PYTHON else self.references.value(value),
            threshold=model.threshold,
            weight=model.weight,
            metric=model.metric,
            check_class=None if model.check_class is None else CheckClass(model.check_class),
            tier=None if model.tier is None else Tier(model.tier),
            model=model.model or model.provider,
            rubric_prompt=self._rubric(_json(model.rubric_prompt)),
            config={key: _json(item) for key, item in model.config.items()},
            source=source,
        )
        JsonTemplate(spec.value, source)
        if spec.rubric_prompt is not None:
            PromptTemplate(Prompt(label="", template=spec.rubric_prompt, source=source))
        return spec

    def _rubric(self, value: Json) -> str | tuple[Message, ...] | None:
        value = self.references.value(value)
        if value is None or isinstance(value, str):
            return value
        return _chat_messages(value)

    def _read(self, value: object, path: Path) -> Json:
        return self._try(path, lambda: self.references.value(_json(value)))

    def _shaped(self, name: str, value: object, shape: type, words: str) -> Json:
        """What a provider would refuse in the middle of a run is refused here."""
        found = self._read(value, (name,))
        if found is not None and not isinstance(found, shape):
            self._say(f"{name}: this must be {words}, or a file:// that holds one", (name,))
        return found

    def _try(self, path: Path, build: Callable[[], T]) -> T | None:
        """The thing built, or ``None`` and what is wrong with it among the problems."""
        try:
            return build()
        except LoadError as error:
            self.problems += error.problems
        except TemplateError as error:
            self.problems.append(error.problem)
        except ConfigError as error:
            self.problems.append(self.document.problem(error.message, path, hint=error.hint))
        except ValueError as error:
            self.problems.append(self.document.problem(str(error), path))
        return None

    def _say(self, message: str, path: Path) -> None:
        self.problems.append(self.document.problem(message, path))

    def _source(self, path: Path) -> SourceRef:
        return SourceRef(file=self.document.file, line=self.document.mark(path).line)

    def row_checks(self, value: Json, source: SourceRef) -> tuple[CheckSpec, ...]:
        """The checks of a golden row.

        A row is data: it names no file (``file://`` in it stays text), no code and no model.

        Raises:
            LoadError: They are not good; every problem has the row's line.
        """
        document = _row_document(value, source)
        models = validated(RowChecks, document).checks
        problems = [*_beyond_a_row(models, document)]
        if problems:
            raise LoadError(problems)
        try:
            return tuple(_RowBuilder(document, self.references).check(m, source) for m in models)
        except TemplateError as error:
            raise LoadError([error.problem]) from None


class _NoReferences(References):
    """What a golden row may read: nothing."""

    def value(self, value: Json) -> Json:
        """The value as it is."""
        return value


class _RowBuilder(SuiteBuilder):
    """Builds the checks of a row without reading files."""

    def __init__(self, document: Document, references: References) -> None:
        super().__init__(document, _NoReferences(references.root, references.from_file))


def _row_document(value: Json, source: SourceRef) -> Document:
    return Document(file=source.file, value={"checks": value}, marks=Mark(max(source.line, 1), 1))


def _beyond_a_row(models: Sequence[CheckModel], document: Document) -> Iterable[Problem]:
    for model in models:
        if model.type.removeprefix("not-") == _PYTHON:
            hint = "write the check into the suite, or register it in a plugin"
            yield document.problem("a golden row may not name code to run", hint=hint)
        if model.model or model.provider:
            hint = "name a tier, or write the check into the suite"
            yield document.problem("a golden row may not name a model", hint=hint)


def _gate(model: GateModel) -> GateSpec:
    return GateSpec(
        min_pass_rate=Decimal(1) if model.min_pass_rate is None else model.min_pass_rate,
        confidence=model.confidence,
        max_regressions=model.max_regressions,
        on_inconclusive=model.on_inconclusive,
    )


def _target_name(model: TargetModel) -> str:
    if model.python:
        return model.python
    if model.http:
        return model.http.url
    if model.command:
        return model.command[0]
    return model.model or model.tier or ""


def _target(model: TargetModel, label: str, source: SourceRef) -> Target:
    if model.model or model.tier:
        return Target(label=label, model=model.model or model.tier, source=source)
    kind = "python" if model.python else "http" if model.http else "command"
    spec = _json(model.model_dump(exclude_none=True, exclude={"label", "max_usd_per_call"}))
    assert isinstance(spec, dict)  # a model dumps as a mapping
    most = model.max_usd_per_call
    return Target(
        label=label,
        kind=kind,
        spec=spec,
        max_per_call=None if most is None else Picodollars(most),
        source=source,
    )


def _free(label: str, taken: set[str]) -> str:
    number, free = 1, label
    while free in taken:
        number += 1
        free = f"{label}-{number}"
    return free


def _twice(labels: Iterable[str]) -> list[tuple[int, str]]:
    seen: set[str] = set()
    found = []
    for index, label in enumerate(labels):
        if label in seen:
            found.append((index, label))
        seen.add(label)
    return found


def _messages(chat: Sequence[MessageSpec]) -> tuple[Message, ...]:
    return tuple(Message(role=item.role, content=_json(item.content)) for item in chat)


def _chat(document: Document) -> tuple[Message, ...]:
    """The chat that a prompt file ending in .json or .yaml holds."""
    if not is_chat(document.value):
        raise document.error("a prompt file of this kind is a list of {role, content}")
    wrapped = Document(file=document.file, value={"messages": document.value}, marks=document.marks)
    return _messages(validated(ChatFile, wrapped).messages)


def _chat_messages(value: Json) -> tuple[Message, ...]:
    if not isinstance(value, list):
        raise ValueError("rubricPrompt must be text or a list of chat messages")
    try:
        return _messages(ChatFile.model_validate({"messages": value}).messages)
    except ValueError:
        raise ValueError("rubricPrompt: this is not a list of {role, content}") from None


def _json(value: object) -> Json:
    return plain(value)  # type: ignore[arg-type]  # our parsers let nothing but JSON get so far
