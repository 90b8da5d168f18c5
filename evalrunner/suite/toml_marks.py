"""Where each key of a TOML text stands; the standard library's parser does not say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from evalrunner.suite.tree import Mark

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?")
_ASSIGNMENT: Final = re.compile(rf"\s*({_DOTTED})\s*=(.*)")
_STEP: Final = re.compile(_KEY)
_LONG_QUOTE: Final = re.compile(r'"""|\'\'\'')


def toml_marks(text: str, table: Iterable[str]) -> Mark:
    r"""The marks of one table of a valid TOML text.

    Keys on lines of their own and headers are found; what stands within an inline table or a list has
    the mark of the key before it. A key with escapes in it has the mark of its table.

    Example:
        >>> toml_marks("[tool.x]\na = 1\n[tool.x.b]\nc = 2\n", ("tool", "x")).children["b"].line
        3
    """
    root = Mark(1, 1)
    here: Mark = root
    for number, line in _code_lines(text):
        header = _HEADER.fullmatch(line)
        if header:
            here = _entered(root, _steps(header[2]), number, is_entry=header[1] == "[[")
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment:
            _entered(here, _steps(assignment[1]), number, is_entry=False)
    found = root
    for step in table:
        found = found.children.get(step, found)
    return found


def _entered(mark: Mark, steps: list[str], line: int, *, is_entry: bool) -> Mark:
    """The mark at the end of a path, made where it is not there yet; the last entry of a list on the way."""
    for place, step in enumerate(steps):
        mark = mark.children.setdefault(step, Mark(line, 1))
        if is_entry and place == len(steps) - 1:
            mark.children[len(mark.children)] = Mark(line, 1)
        last = len(mark.children) - 1
        mark = mark.children.get(last, mark)
    return mark


def _steps(dotted: str) -> list[str]:
    return [found.strip("\"'") for found in _STEP.findall(dotted)]


def _code_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without those that lie within a long string."""
    closing = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not closing:
            if line.lstrip().startswith("#"):
                continue
            yield number, line
        for quote in _LONG_QUOTE.findall(line):
            if not closing:
                closing = quote
            elif quote == closing:
                closing = ""
