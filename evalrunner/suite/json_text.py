"""JSON as the standard says: no NaN, no key twice, no depth that breaks a later reader."""

from __future__ import annotations

import json
import re
from collections import Counter
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, unstubbed
from typing import Final

from evalrunner.errors import Problem
from evalrunner.suite.scalars import (
    real_number,
    refuse_constant,
    refuse_surrogates,
    whole_number,
)
from evalrunner.suite.tree import MAX_DEPTH, Document, TreeBuilder
from evalrunner.values.exchange import Json

_TOKEN: Final = re.compile(r'[\s,:]*(?:([\[{])|([\]}])|(")|([^\s,:\[\]{}"]+))')


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """The mapping of the pairs, unless a key stands twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = names.most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} is given twice")
    return found


def _finite(text: str) -> float:
    return float(real_number(text))


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=refuse_constant,
    parse_int=whole_number,
    parse_float=_finite,
)
_KEEPING_TEXT: Final = json.JSONDecoder(
    parse_constant=refuse_constant, parse_int=whole_number, parse_float=real_number
)


def json_value(text: str) -> Json:
    """The value of one JSON text, such as a line of a JSONL file.

    Raises:
        ValueError: It is not JSON, gives a key twice, nests deeper than 64 levels, or holds a number
            or text that cannot be used. ``json.JSONDecodeError`` says where.
    """
    try:
        value: Json = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _refuse_depth(value)
    if "\\u" in text:
        refuse_surrogates(value)
    return value


def parse_json(text: str, file: str) -> Document:
    """The document that a JSON text holds, with the line of every value.

    Raises:
        LoadError: As :func:`json_value`, or it passes a limit. Nothing else is ever raised.
    """
    builder = TreeBuilder(file)
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        message = f"this is not JSON: {error.msg.removesuffix(' at')}"
        raise builder.error(message, error.lineno, error.colno) from None
    except RecursionError:
        pass  # the walk below says where it became too deep
    except ValueError as error:
        raise builder.error(f"this is not JSON: {error}", 1, 1) from None
    _walk(builder, text)
    document = builder.document()
    if "\\u" in text:
        try:
            refuse_surrogates(document.value)
        except ValueError as error:
            raise document.error(str(error)) from None
    return document


def _walk(builder: TreeBuilder, text: str) -> None:
    """Tells the builder of every value of a text that is known to be JSON, or too deep."""
    position, line, line_start = 0, 1, 0
    while token := _TOKEN.match(text, position):
        start = token.start(token.lastindex or 0)
        newlines = text.count("\n", position, start)
        if newlines:
            line += newlines
            line_start = text.rindex("\n", 0, start) + 1
        position = token.end()
        if token.lastindex == 3:
            position = _tell_text(builder, text, position, line, start - line_start + 1)
        else:
            _tell(builder, token.group(token.lastindex or 0), line, start - line_start + 1)


def _tell_text(builder: TreeBuilder, text: str, position: int, line: int, column: int) -> int:
    value: str
    end: int
    value, end = scanstring(text, position)
    if builder.expects_key:
        builder.key(value, line, column)
    else:
        builder.scalar(value, end - position, line, column)
    return end


def _tell(builder: TreeBuilder, token: str, line: int, column: int) -> None:
    if token == "{":
        builder.open({}, line, column)
    elif token == "[":
        builder.open([], line, column)
    elif token in "]}":
        builder.close()
    else:
        builder.scalar(_scalar(builder, token, line, column), len(token), line, column)


def _scalar(builder: TreeBuilder, token: str, line: int, column: int) -> Json:
    try:
        value: Json = _KEEPING_TEXT.decode(token)
    except ValueError as error:
        raise builder.error(str(error), line, column) from None
    return value


def _refuse_depth(value: Json) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def json_problem(error: ValueError, file: str, line: int) -> Problem:
    """What was wrong with one line of JSON, as a problem of its file."""
    if isinstance(error, json.JSONDecodeError):
        return Problem(
            f"this is not JSON: {error.msg.removesuffix(' at')}",
            file=file,
            line=line,
            column=error.colno,
        )
    return Problem(str(error), file=file, line=line)
