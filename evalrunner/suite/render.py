"""Templates: compiled once, rendered for every row, one pass; values are never rendered again.

``{{ name }}`` and ``{{ name.inner }}`` are joined without a template engine. Whatever else Jinja knows
goes to the sandbox of :mod:`evalrunner.suite.sandbox`, which is imported only then. Both say the same
about the syntax that they share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from evalrunner.errors import TemplateError
from evalrunner.suite.template import Template, Vars, to_text, undefined
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json, Message
from evalrunner.values.spec import Prompt, SourceRef

MARKS: Final = ("{{", "{%", "{#")
_PLAIN: Final = re.compile(
    r"\{\{\s*(?!(?:true|false|none|True|False|None|not|self|loop|and|or|in|is|if|else)\b)"
    r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*\}\}",
    re.ASCII,
)
_NOWHERE: Final = SourceRef(file="")


@lru_cache(maxsize=4096)
def compile_template(text: str, source: SourceRef = _NOWHERE) -> Template:
    r"""The template in a text, compiled.

    Line ends become ``\n``. Text without template marks stands for itself.

    Args:
        text: The template.
        source: Where its first line stands, for errors.

    Raises:
        TemplateError: It is no template, or asks for what the sandbox does not have.

    Example:
        >>> compile_template("Hi {{ user.name }}: {{n}}").render(
        ...     {"user": {"name": "{{n}}"}, "n": 2}
        ... )
        'Hi {{n}}: 2'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not is_template(text):
        return _Constant(text)
    parts = _plain_parts(text)
    if parts is not None:
        return _Joined(text, tuple(parts), source)
    from evalrunner.suite.sandbox import compile_jinja  # jinja2: few need it

    return compile_jinja(text, source)


def is_template(text: str) -> bool:
    """Whether a text holds anything for a template engine.

    Example:
        >>> is_template("{{x}}"), is_template('{"a": 1}')
        (True, False)
    """
    return "{" in text and any(mark in text for mark in MARKS)


@dataclass(frozen=True, slots=True)
class _Constant:
    """Text without marks."""

    text: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset()

    def render(self, variables: Vars) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Joined:
    """Text and names in turn: an even part is text, an odd one the path to a value."""

    text: str
    parts: tuple[str | tuple[str, ...], ...]
    source: SourceRef

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part[0] for part in self.parts if isinstance(part, tuple))

    def render(self, variables: Vars) -> str:
        written: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                written.append(part)
                continue
            value: Json = variables
            for name in part:
                if not isinstance(value, Mapping) or name not in value:
                    raise self._undefined(part, variables)
                value = value[name]
            written.append(value if isinstance(value, str) else to_text(value))
        return "".join(written)

    def _undefined(self, path: tuple[str, ...], variables: Vars) -> TemplateError:
        wanted = ".".join(path)
        before = 0
        for found in _PLAIN.finditer(self.text):
            if found[1] == wanted:
                before = self.text.count("\n", 0, found.start())
                break
        return undefined(wanted, self.source, max(self.source.line, 1) + before, variables)


def _plain_parts(text: str) -> list[str | tuple[str, ...]] | None:
    """Text and names in turn, or ``None`` where the text needs the whole language."""
    parts: list[str | tuple[str, ...]] = []
    position = 0
    for found in _PLAIN.finditer(text):
        before = text[position : found.start()]
        if is_template(before) or before.endswith("{"):
            return None
        parts += [before, tuple(found[1].split("."))]
        position = found.end()
    rest = text[position:]
    return None if is_template(rest) else [*parts, rest]


class JsonTemplate:
    """A JSON value whose texts may be templates, compiled once for all rows."""

    __slots__ = ("_render", "constant", "names", "value")

    def __init__(self, value: Json, source: SourceRef = _NOWHERE) -> None:
        compiled = _compile_value(value, source)
        self.value = value
        self.constant = compiled is None
        self.names = frozenset[str]() if compiled is None else _names(compiled)
        self._render = compiled

    def render(self, variables: Vars) -> Json:
        """The value for one row; the very same object where nothing in it is a template.

        Raises:
            TemplateError: As :meth:`Template.render`.
        """
        return self.value if self._render is None else _render_value(self._render, variables)


class PromptTemplate:
    """A prompt, compiled once for all rows."""

    __slots__ = ("_messages", "_text", "names")

    def __init__(self, prompt: Prompt) -> None:
        self._text: Template | None = None
        self._messages: tuple[tuple[str, JsonTemplate], ...] = ()
        if isinstance(prompt.template, str):
            self._text = compile_template(prompt.template, prompt.source)
            self.names = self._text.names
            return
        self._messages = tuple(
            (message.role, JsonTemplate(message.content, prompt.source))
            for message in prompt.template
        )
        self.names = frozenset[str]().union(*(content.names for _, content in self._messages))

    def render(self, variables: Vars) -> str | tuple[Message, ...]:
        """The prompt for one row: text, or the messages of a chat.

        Raises:
            TemplateError: As :meth:`Template.render`.
        """
        if self._text is not None:
            return self._text.render(variables)
        return tuple(
            Message(role=role, content=content.render(variables))
            for role, content in self._messages
        )


def render_messages(prompt: Prompt, variables: Vars) -> str | tuple[Message, ...]:
    """One prompt for one row. For many rows, keep a :class:`PromptTemplate`."""
    return PromptTemplate(prompt).render(variables)


def render_json(value: Json, variables: Vars, source: SourceRef = _NOWHERE) -> Json:
    """One value for one row. For many rows, keep a :class:`JsonTemplate`.

    Example:
        >>> render_json({"a": ["{{x}}", 1]}, {"x": 2})
        {'a': ['2', 1]}
    """
    return JsonTemplate(value, source).render(variables)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A part of a value that no row changes."""

    value: Json


_Compiled: TypeAlias = "Template | _Fixed | list[_Compiled] | dict[str, _Compiled]"


def _compile_value(value: Json, source: SourceRef) -> _Compiled | None:
    """The value with its templates compiled, ``None`` where it holds none."""
    if isinstance(value, str):
        return compile_template(value, source) if is_template(value) else None
    if isinstance(value, Mapping):
        inner = {key: _compile_value(item, source) for key, item in value.items()}
        if all(item is None for item in inner.values()):
            return None
        return {key: _Fixed(value[key]) if item is None else item for key, item in inner.items()}
    if isinstance(value, (list, tuple)):
        items = [_compile_value(item, source) for item in value]
        if all(item is None for item in items):
            return None
        pairs = zip(value, items, strict=True)
        return [_Fixed(plain) if item is None else item for plain, item in pairs]
    return None


def _render_value(compiled: _Compiled, variables: Vars) -> Json:
    if isinstance(compiled, _Fixed):
        return compiled.value
    if isinstance(compiled, dict):
        return {key: _render_value(item, variables) for key, item in compiled.items()}
    if isinstance(compiled, list):
        return [_render_value(item, variables) for item in compiled]
    return compiled.render(variables)


def _names(compiled: _Compiled) -> frozenset[str]:
    if isinstance(compiled, _Fixed):
        return frozenset()
    if isinstance(compiled, dict):
        return frozenset[str]().union(*(_names(item) for item in compiled.values()))
    if isinstance(compiled, list):
        return frozenset[str]().union(*(_names(item) for item in compiled))
    return compiled.names
