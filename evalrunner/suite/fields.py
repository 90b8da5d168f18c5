"""The kinds of fields that configurations and suites share: money, ratios, durations, labels."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from evalrunner.suite.labels import checked_label, tag_texts
from evalrunner.suite.tree import WrittenFloat
from evalrunner.values.money import Picodollars, from_usd

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Section(BaseModel):
    """A part of a file: its fields and no others, of the types that were written.

    Its validator is built when a file of its kind is read, and not before.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=False, defer_build=True
    )


def exact(value: object) -> Decimal:
    """The number that was written, exactly.

    Raises:
        ValueError: It is no finite number.
    """
    if isinstance(value, WrittenFloat):
        value = value.text
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError("this must be a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("this must be a number") from None
    if not number.is_finite():
        raise ValueError("this must be a finite number")
    return number


def _usd(value: object) -> Picodollars:
    amount = exact(value)
    if amount < 0:
        raise ValueError("an amount of money cannot be negative")
    return from_usd(amount)


def _usd_per_mtok(value: object) -> Picodollars:
    amount = exact(value)
    if amount < 0:
        raise ValueError("a price cannot be negative")
    return from_usd(amount.scaleb(-6))


def _share(value: object) -> Decimal:
    number = exact(value)
    if not 0 <= number <= 1:
        raise ValueError("this must lie between 0 and 1")
    return number


def _positive(value: object) -> Decimal:
    number = exact(value)
    if number <= 0:
        raise ValueError("this must be above 0")
    return number


def _seconds(value: object) -> float:
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        number = exact(found[1]) * _SECONDS[found[2]]
    elif isinstance(value, str):
        raise ValueError("this must be seconds, or a duration such as 12h or 30d")
    else:
        number = exact(value)
    if not 0 < number < 10**10:
        raise ValueError("a duration must be above 0")
    return float(number)


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("this must be a number")
    return float(value)


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("this must be the name of an environment variable, not its value")
    return value


def _module(value: str) -> str:
    if not _MODULE.fullmatch(value):
        raise ValueError("this must be a module's name, such as app.checks")
    return value


_NUMBER: Final = {"type": "number"}
_AMOUNT: Final = {"type": ["number", "string"], "minimum": 0}

Usd = Annotated[int, BeforeValidator(_usd), WithJsonSchema(_AMOUNT)]
"""Dollars as written, picodollars as read."""

UsdPerMtok = Annotated[int, BeforeValidator(_usd_per_mtok), WithJsonSchema(_AMOUNT)]
"""Dollars a million tokens as written, picodollars a token as read; rounded up."""

Share = Annotated[
    Decimal,
    BeforeValidator(_share),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
"""A number from 0 to 1, exact."""

Positive = Annotated[
    Decimal,
    BeforeValidator(_positive),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
"""A number above 0, exact."""

Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": ["number", "string"], "examples": [60, "12h", "30d"]}),
]
"""A duration in seconds, or as 90s, 5m, 12h, 30d, 2w."""

Real = Annotated[float, BeforeValidator(_real), WithJsonSchema(_NUMBER)]
"""Any finite number."""

Label = Annotated[str, AfterValidator(checked_label)]
"""Text that may be part of a case id."""

VariableName = Annotated[str, AfterValidator(_variable)]
"""The name of an environment variable."""

ModuleName = Annotated[str, AfterValidator(_module)]
"""The dotted name of a Python module."""

Tags = Annotated[
    dict[str, str],
    BeforeValidator(tag_texts, json_schema_input_type=dict[str, str | int | float | bool]),
]
"""Words by which cases are chosen."""

AnyJson = Annotated[object, WithJsonSchema({})]
"""Any value; it was read by a parser of ours, and is JSON by construction."""
