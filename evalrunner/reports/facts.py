"""Named lines, as the screens of a run and of a plan are made of: pieces of text, each with its style."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Protocol, TextIO

from evalrunner.reports.safe_text import one_line
from evalrunner.values.result import Decision, GateDecision

WIDTH: Final = 80

Words = list[tuple[str, str]]
"""Pieces of a line, each with its style."""

_SIGNS: Final = {
    Decision.PASS: ("✓", "green"),
    Decision.FAIL: ("✗", "red"),
    Decision.INCONCLUSIVE: ("?", "yellow"),
    Decision.SKIPPED: ("-", "dim"),
}
_NARROW: Final = frozenset("✓✗…≥≤·")


class Stream(Protocol):
    """What a page may be written to."""

    def isatty(self) -> bool:
        """Whether a person is looking."""
        ...


def wants_color(stream: Stream, environ: Mapping[str, str]) -> bool:
    """Whether to colour what goes to *stream*: a terminal that is not dumb, and no ``NO_COLOR``."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def joined(words: Words) -> str:
    """The pieces without their styles."""
    return "".join(text for text, _ in words)


def fits(line: str, width: int) -> bool:
    """Whether the line needs no wrapping for certain: each character of it takes one column."""
    return len(line) <= width and all(" " <= char <= "~" or char in _NARROW for char in line)


def width_of(stream: Stream, environ: Mapping[str, str]) -> int:
    """How wide a page may be: as the terminal, elsewhere :data:`WIDTH`."""
    return _columns(environ) if stream.isatty() else WIDTH


def write_page(page: str, stream: TextIO) -> None:
    """Writes a page, with what the stream's encoding lacks replaced."""
    encoding = stream.encoding or "utf-8"
    stream.write(page.encode(encoding, "replace").decode(encoding))


def _columns(environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isdecimal() and len(given) < 5:
        return int(given)
    try:
        return min(os.get_terminal_size().columns, 120) or WIDTH
    except OSError:
        return WIDTH


def gate_words(gate: GateDecision) -> Words:
    """One gate's decision, with its sign in front."""
    sign, style = _SIGNS[gate.decision]
    suite = f" {one_line(gate.suite, 60)}" if gate.suite else ""
    said = gate.detail.removeprefix(f"{gate.decision}: ")
    detail = one_line(said, 300) if said else _observed(gate)
    tail = f": {detail}" if detail else ""
    return [(f"{sign} ", style), (f"{one_line(gate.name, 40)}{suite} {gate.decision}{tail}", "")]


def _observed(gate: GateDecision) -> str:
    parts = [(gate.observed, "observed"), (gate.limit, "limit")]
    return ", ".join(f"{word} {one_line(value, 60)}" for value, word in parts if value is not None)
