"""Checks that read the answer as XML, with nothing expanded and nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import Complaint
from evalrunner.checks.text import as_list, verdict
from evalrunner.values.exchange import Json
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

SEARCH_EFFORT: Final = 8_000_000
"""Bytes that contains-xml parses in all before it says that it cannot decide."""

_FIRST_CHUNK: Final = 256
_OPENING: Final = re.compile(rb"<(?=[A-Za-z_?])")


class _RootClosed(Exception):  # a signal, not an error
    """The root element has ended."""


class _Reader:
    """One pass of expat: whether a root element opened and closed well, and what it lacks."""

    def __init__(self, required: frozenset[tuple[str, ...]]) -> None:
        self.missing = set(required)
        self.closed = False
        self._path: list[str] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_dtd

    def read_document(self, data: bytes) -> bool:
        """Whether the bytes are one well-formed document from end to end."""
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError:
            return False
        return self.closed

    def read_element(self, data: bytes, start: int) -> int:
        """Reads until the element that begins there ends, or breaks; returns the bytes that took."""
        self._parser.EndElementHandler = self._end_of_search
        chunk, position = _FIRST_CHUNK, start
        try:
            while position < len(data):
                self._parser.Parse(data[position : position + chunk], False)
                position += chunk
                chunk *= 2
        except _RootClosed:
            return self._parser.CurrentByteIndex + 1
        except expat.ExpatError:
            pass
        return min(position + chunk, len(data)) - start

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        self._path.append(name)
        if self.missing:
            self.missing.discard(tuple(self._path[:_DEEPEST_PATH]))

    def _end(self, name: str) -> None:
        del name
        self._path.pop()
        self.closed = not self._path

    def _end_of_search(self, name: str) -> None:
        self._end(name)
        if self.closed:
            raise _RootClosed

    def _refuse_dtd(self, *declared: object) -> None:
        del declared
        raise ValueError("the answer declares a document type, which is not read: it can expand")


_DEEPEST_PATH: Final = 64


def is_xml(spec: CheckSpec) -> Grade:
    """The whole answer is one well-formed XML document that has the required elements.

    The value, where there is one, names them as paths from the root: a list, a text with commas, or
    ``{requiredElements: […]}``. A document type declaration is an error: entities are not expanded.
    """
    del spec
    return _is_xml


def _is_xml(context: CheckContext) -> Score:
    reader = _Reader(required_elements(context.value))
    if not reader.read_document(context.output.strip().encode("utf-8", "replace")):
        return verdict(False, "is not well-formed XML")
    return _complete(reader, "is XML")


def contains_xml(spec: CheckSpec) -> Grade:
    """Some well-formed XML element stands in the answer and has the required elements."""
    del spec
    return _contains_xml


def _contains_xml(context: CheckContext) -> Score:
    required = required_elements(context.value)
    data = context.output.encode("utf-8", "replace")
    found, effort, position = verdict(False, "contains no well-formed XML"), 0, 0
    while not found.passed and (opening := _OPENING.search(data, position)):
        reader = _Reader(required)
        taken = reader.read_element(data, opening.start())
        position = opening.start() + (taken if reader.closed else 1)
        if reader.closed:
            found = _complete(reader, "contains XML")
        effort += taken
        if effort > SEARCH_EFFORT and not found.passed:
            raise ValueError("the answer has too many broken beginnings of XML to look at them all")
    return found


def _complete(reader: _Reader, fact: str) -> Score:
    if not reader.missing:
        return verdict(True, fact)
    absent = min(".".join(path) for path in reader.missing)
    return verdict(False, f"{fact} without the element {absent!r}")


def required_elements(value: Json) -> frozenset[tuple[str, ...]]:
    """The paths of elements that a document must have.

    Raises:
        ValueError: The value names none, or is neither a list, a text nor ``{requiredElements}``.

    Example:
        >>> sorted(required_elements("note.to, note.from"))
        [('note', 'from'), ('note', 'to')]
    """
    if value is None:
        return frozenset()
    if isinstance(value, Mapping):
        if set(value) != {"requiredElements"}:
            raise ValueError(f"takes requiredElements, not {sorted(map(str, value))!r}")
        value = value["requiredElements"]
    paths = frozenset(tuple(path.split(".")) for path in as_list(value))
    if any(len(path) >= _DEEPEST_PATH for path in paths):
        raise ValueError(f"a required element lies deeper than {_DEEPEST_PATH} levels")
    return paths


def elements_shape(value: Json) -> Complaint | None:
    """The shape of a value that names required elements."""
    try:
        required_elements(value)
    except ValueError as error:
        return f"names required elements wrongly: {error}"
    return None
