"""YAML as people mean it: no aliases, no tags, no surprises about types, a line for every value."""

from __future__ import annotations

from typing import Final, TypeAlias

import yaml

from evalrunner.errors import LoadError
from evalrunner.suite.scalars import plain_scalar, refuse_surrogates
from evalrunner.suite.tree import Document, TreeBuilder

_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Event: TypeAlias = yaml.events.Event


def parse_yaml(text: str, file: str) -> Document:
    """The document that a YAML text holds.

    The text is read as events, never composed or constructed, so that no tag or type of the library
    takes part: unquoted words mean what :func:`~evalrunner.suite.scalars.plain_scalar` says.

    Raises:
        LoadError: It is not YAML, passes a limit, gives a key twice, uses an alias, a merge key or a
            tag, or holds several documents. Nothing else is ever raised.
    """
    builder = TreeBuilder(file)
    try:
        _feed(builder, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise builder.error(_sentence(error), line, column) from None
    except yaml.reader.ReaderError as error:
        line = _line_of_forbidden(text)
        message = f"the character {_code_point(error.character)} is not allowed in YAML"
        raise builder.error(message, line, 1) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise builder.error(f"this is not YAML: {error}", 1, 1) from None
    document = builder.document()
    if "\\" in text:
        _check_text(document)
    return document


def _feed(builder: TreeBuilder, text: str) -> None:
    documents = 0
    for event in yaml.parse(text, Loader=_PARSER):
        if isinstance(event, yaml.ScalarEvent):
            _feed_scalar(builder, event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            _refuse_tag(builder, event)
            line, column = _place(event)
            mapping = isinstance(event, yaml.MappingStartEvent)
            builder.open({} if mapping else [], line, column)
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.close()
        elif isinstance(event, yaml.AliasEvent):
            hint = "write the value out where it is used"
            raise builder.error("aliases (*name) are not supported", *_place(event), hint)
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise builder.error("a file holds one document", *_place(event))


def _feed_scalar(builder: TreeBuilder, event: yaml.ScalarEvent) -> None:
    _refuse_tag(builder, event)
    line, column = _place(event)
    text: str = event.value
    plain = event.implicit[0] and not event.style
    if builder.expects_key:
        if plain and text == "<<":
            hint = "write the values out"
            raise builder.error("merge keys (<<) are not supported", line, column, hint)
        builder.key(text, line, column)
        return
    try:
        value = plain_scalar(text) if plain else text
    except ValueError as error:
        raise builder.error(str(error), line, column) from None
    builder.scalar(value, len(text), line, column)


def _refuse_tag(builder: TreeBuilder, event: _Event) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None:
        message = f"tags are not supported: {str(tag)[:80]!r}"
        raise builder.error(message, *_place(event), "quote the text instead")


def _place(event: _Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return f"this is not YAML: {', '.join(parts)[:300]}"


def _code_point(character: object) -> str:
    number = character if isinstance(character, int) else ord(str(character)[:1] or "\0")
    return f"U+{number:04X}"


def _line_of_forbidden(text: str) -> int:
    """The line of the first character that YAML forbids; parsers disagree on how to say where."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _check_text(document: Document) -> None:
    try:
        refuse_surrogates(document.value)
    except ValueError as error:
        raise LoadError([document.problem(str(error))]) from None
