"""Checks that read the answer as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NoReturn

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.kinds import is_templated
from evalrunner.checks.schema import Schema, compile_schema
from evalrunner.checks.text import verdict
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

SEARCH_EFFORT: Final = 16_000_000
"""Characters that contains-json reads again and again before it says that it cannot decide."""

_TOO_DEEP_EFFORT: Final = 200_000  # a RecursionError takes a millisecond
_COUNTING_EFFORT: Final = 8  # a JSONDecodeError counts the lines up to its place
_OPENING: Final = re.compile(r"""\{\s*["}]|\[\s*[\]\[{"0-9tfn-]""")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return Decimal(digits)


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)


_DECODER: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
)


def read_json(text: str) -> object:
    """The one JSON value that the text is, blanks around it allowed.

    NaN and Infinity are refused; numbers that a float cannot hold come as ``Decimal``.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply to be read.
    """
    return _DECODER.decode(text)


def is_json(spec: CheckSpec) -> Grade:
    """The whole answer is one JSON value, and fits the schema where one is given.

    A code fence around it is not JSON; contains-json looks inside.
    """
    schema_of = _schema_source(spec)

    def grade(context: CheckContext) -> Score:
        try:
            found = read_json(context.output)
        except RecursionError:
            raise ValueError("the answer's JSON is nested too deeply to be read") from None
        except ValueError:
            return verdict(False, "is not JSON")
        return _judged(schema_of(context), found, "is JSON")

    return grade


def contains_json(spec: CheckSpec) -> Grade:
    """Some JSON object or list stands in the answer, and fits the schema where one is given."""
    schema_of = _schema_source(spec)

    def grade(context: CheckContext) -> Score:
        schema, last = schema_of(context), verdict(False, "contains no JSON object or list")
        for found in embedded_json(context.output):
            last = _judged(schema, found, "contains JSON")
            if last.passed:
                break
        return last

    return grade


def _schema_source(spec: CheckSpec) -> Callable[[CheckContext], Schema | None]:
    """How a row gets its schema: compiled once here, or anew where the value is a template."""
    if is_templated(spec.value):
        return lambda context: compile_schema(context.value)
    fixed = None if spec.value is None else compile_schema(spec.value)
    return lambda context: fixed


def _judged(schema: Schema | None, found: object, fact: str) -> Score:
    complaint = schema.complaint(found) if schema else None
    if complaint is not None:
        return Score(value=0.0, passed=False, reason=ModelText(f"{fact}, but {complaint}"))
    return verdict(True, f"{fact} that fits the schema" if schema else fact)


def embedded_json(text: str) -> Iterator[object]:
    """The outermost JSON objects and lists in a text, in order; what is broken is passed over.

    Raises:
        ValueError: So many broken beginnings overlap that looking further would take too long.
    """
    position, effort = 0, 0
    while opening := _OPENING.search(text, position):
        start = opening.start()
        try:
            found, position = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            effort += error.pos - start + error.pos // _COUNTING_EFFORT
            position = start + 1
        except RecursionError:
            effort += _TOO_DEEP_EFFORT
            position = start + 1
        except ValueError:  # NaN or Infinity, at an unknown place
            effort += len(text) - start
            position = start + 1
        else:
            yield found
        if effort > SEARCH_EFFORT:
            raise ValueError(
                "the answer has too many broken beginnings of JSON to look at them all"
            )
