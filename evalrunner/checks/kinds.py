"""What is known about a type of check before it is built: its class, its value, its threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from evalrunner.checks.base import Ask, Grade
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.spec import CheckClass, CheckSpec

Complaint: TypeAlias = str
"""What is wrong with something that a user wrote, as the end of the sentence "'contains' …"."""

Shape: TypeAlias = Callable[[Json], Complaint | None]
"""Judges a ``value`` that is no template: what is wrong with it, or ``None``."""

Loader: TypeAlias = Callable[[str], Callable[..., object]]
"""Finds the user's function behind ``path/checks.py:function`` or ``package.module:function``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRule:
    """What a type's ``threshold`` means.

    Attributes:
        default: What holds where the user wrote none.
        high: The largest that makes sense; ``None``: no upper end.
        required: Whether the user has to write one.
        at_least: Whether a score must reach it (a bound from below) or may not pass it.
        decides: Whether it decides alone, so that 0 as a bound from below holds always.
    """

    default: float | None = None
    high: float | None = 1.0
    required: bool = False
    at_least: bool = True
    decides: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckKind:
    """One type of check. Exactly one of ``grade`` and ``ask`` is set.

    Attributes:
        name: The type as users write it.
        check_class: Its class, where the user names none.
        grade: Makes the function of a check in code; what can be compiled once is compiled here.
        ask: Makes the flow of a judge.
        shape: Judges the value; ``None``: the type takes none.
        value_required: Whether the user has to write a value.
        threshold: What its threshold means; ``None``: the type takes none.
        review: Looks at the whole spec for what neither value nor threshold shows alone.
    """

    name: str
    check_class: CheckClass = CheckClass.SEMANTIC
    grade: Callable[[CheckSpec], Grade] | None = None
    ask: Callable[[CheckSpec], Ask] | None = None
    shape: Shape | None = None
    value_required: bool = False
    threshold: ThresholdRule | None = None
    review: Callable[[CheckSpec], Sequence[Complaint]] | None = None

    @property
    def is_judge(self) -> bool:
        """Whether it needs a model."""
        return self.ask is not None


def is_templated(value: Json) -> bool:
    """Whether a value is rendered anew for each row.

    Example:
        >>> is_templated("{{expected}}"), is_templated(["a", "{{b}}"]), is_templated("{a}")
        (True, True, False)
    """
    match value:
        case str():
            return "{{" in value or "{%" in value
        case Mapping():
            return any(is_templated(item) for item in value.values())
        case list() | tuple():
            return any(is_templated(item) for item in value)
        case _:
            return False


def is_number(value: object) -> bool:
    """Whether it is a finite number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def text_or_number(value: Json) -> Complaint | None:
    """A shape: text, or a number that is compared as text."""
    if isinstance(value, str) or is_number(value):
        return None
    return f"takes text or a number, not {value!r}"


def text(value: Json) -> Complaint | None:
    """A shape: text."""
    return None if isinstance(value, str) else f"takes text, not {value!r}"


def anything(value: Json) -> Complaint | None:
    """A shape: whatever JSON can say."""
    del value
    return None


def text_or_list(value: Json) -> Complaint | None:
    """A shape: a list of texts, or one text with commas between them."""
    if isinstance(value, str):
        return None
    if not isinstance(value, (list, tuple)):
        return f"takes a list, or text with commas, not {value!r}"
    if not value:
        return "takes a list with at least one entry"
    return next((wrong for item in value if (wrong := text_or_number(item))), None)
