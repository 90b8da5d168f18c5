"""JSON Schema, compiled once: draft 2020-12, nothing fetched, patterns in linear time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, cast

from evalrunner.checks.kinds import Complaint
from evalrunner.values.exchange import Json

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SCHEMA_DEPTH: Final = 200
_MAX_TOLD: Final = 300


class Schema(Protocol):
    """A compiled schema."""

    def complaint(self, instance: object) -> Complaint | None:
        """The first thing wrong with a value (it may quote the value), or ``None``."""
        ...


class _Compiled:
    def __init__(self, validator: _Validator) -> None:
        self._validator = validator

    def complaint(self, instance: object) -> Complaint | None:
        if self._validator.is_valid(instance):
            return None
        error = next(iter(self._validator.iter_errors(instance)), None)
        if error is None:  # the two entry points of the library disagree
            raise ValueError("the schema cannot be applied to this value")
        where = "".join(f"[{step!r}]" for step in error.instance_path)
        return f"{error.message[:_MAX_TOLD]}{f' at {where[:_MAX_TOLD]}' if where else ''}"


def compile_schema(schema: Json) -> Schema:
    """The schema, ready to judge values. ``$schema`` may name another draft.

    ``format`` is asserted. A ``$ref`` may point into the schema itself or to a published draft, never
    to a file or a host: nothing is fetched.

    Raises:
        ValueError: It is no schema, refers to something outside, or has a pattern with look-around.
    """
    import jsonschema_rs  # 39 ms that only a schema pays

    plain = _plain(schema, MAX_SCHEMA_DEPTH)
    if not isinstance(plain, (dict, bool)):
        raise ValueError("takes a JSON Schema: an object, true or false")
    try:
        validator = jsonschema_rs.validator_for(
            plain,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise ValueError(_told(error.message)) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(
            f"has a JSON Schema that cannot be used: {str(error)[:_MAX_TOLD]}"
        ) from None
    return _Compiled(cast("_Validator", validator))


def _told(message: str) -> Complaint:
    if "cannot fetch" in message or "Retrieval is disabled" in message:
        return "has a JSON Schema with a $ref to another file or host; put the definition inside it"
    if 'is not a "regex"' in message:
        return (
            f"has a JSON Schema with a pattern that is broken or has look-around: {message[:120]}"
        )
    return f"has a JSON Schema that cannot be used: {message[:_MAX_TOLD]}"


def _plain(value: Json, depth: int) -> object:
    """The same schema in dicts and lists; text is read as JSON where it stands for the whole."""
    if depth == MAX_SCHEMA_DEPTH and isinstance(value, str):
        return _plain(_read(value), depth - 1)
    if depth == 0:
        raise ValueError("has a JSON Schema that is nested too deeply")
    match value:
        case Mapping():
            return {str(key): _plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case _:
            return value


def _read(text: str) -> Json:
    try:
        return cast("Json", json.loads(text))
    except RecursionError:
        raise ValueError("has a JSON Schema that is nested too deeply") from None
    except ValueError:
        raise ValueError("takes a JSON Schema, and this text is not JSON") from None


def schema_shape(value: Json) -> Complaint | None:
    """The shape of a value that is a JSON Schema."""
    try:
        compile_schema(value)
    except ValueError as error:
        return str(error)
    return None


if TYPE_CHECKING:

    class _Error(Protocol):
        message: str
        instance_path: list[str | int]

    class _Validator(Protocol):
        is_valid: Callable[[object], bool]
        iter_errors: Callable[[object], list[_Error]]
