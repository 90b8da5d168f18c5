"""What both template engines agree on: how values are written, and what an undefined name says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from evalrunner.errors import Problem, TemplateError
from evalrunner.suite.suggest import did_you_mean
from evalrunner.values.exchange import Json
from evalrunner.values.spec import SourceRef

Vars: TypeAlias = Mapping[str, Json]


class Template(Protocol):
    """A compiled template."""

    @property
    def names(self) -> frozenset[str]:
        """The variables that it may ask for."""
        ...

    def render(self, variables: Vars) -> str:
        """The text for one row.

        Raises:
            TemplateError: A name is undefined, or rendering passes a limit.
        """
        ...


def to_text(value: object) -> str:
    """A value as templates write it: text as it is, everything else as compact JSON.

    Example:
        >>> to_text("a"), to_text(True), to_text(None), to_text([1, "é"])
        ('a', 'true', 'null', '[1,"é"]')
    """
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def undefined(name: str, source: SourceRef, line: int, known: Vars) -> TemplateError:
    """What to say about a name that a row does not have."""
    head = name.partition(".")[0]
    hint = None if head in known else did_you_mean(head, known)
    if hint is None and known and head not in known:
        hint = f"known here: {', '.join(sorted(known)[:8])}"
    message = f"{name[:80]!r} is undefined"
    return TemplateError(Problem(message, file=source.file, line=line, hint=hint))
