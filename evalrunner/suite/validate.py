"""pydantic's findings in our words, each with the line that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evalrunner.errors import LoadError, Problem
from evalrunner.suite.problems import sorted_problems
from evalrunner.suite.suggest import did_you_mean
from evalrunner.suite.tree import MAX_PROBLEMS, Document, Path

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], document: Document, path: Path = ()) -> Model:
    """The part of a document at ``path`` as a model.

    Raises:
        LoadError: All that is wrong with it, in the order of the file.
    """
    value: object = document.value
    for step in path:
        value = value[step]  # type: ignore[index]  # the caller walked here
    if not isinstance(value, dict):
        raise document.error("this must be a mapping of fields", path)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=True)
        problems = [_problem(document, path, detail, model) for detail in details[:MAX_PROBLEMS]]
        raise LoadError(sorted_problems(problems)) from None
    except RecursionError:
        raise document.error("this is nested too deeply", path) from None


def _problem(
    document: Document, path: Path, detail: ErrorDetails, model: type[BaseModel]
) -> Problem:
    where = (*path, *(step for step in detail["loc"]))
    field = _field_name(document, path, detail["loc"])
    message, hint = _words(detail, field, model)
    return document.problem(message, where, hint=hint)


def _field_name(document: Document, path: Path, loc: Path) -> str:
    """The dotted place as the user wrote it: steps that pydantic alone knows are left out."""
    mark = document.mark(path)
    words: list[str] = []
    for number, step in enumerate(loc):
        inner = mark.children.get(step)
        if inner is None and number < len(loc) - 1:
            continue
        words.append(f"[{step}]" if isinstance(step, int) else f".{step}")
        mark = inner or mark
    return "".join(words).lstrip(".")


def _words(detail: ErrorDetails, field: str, model: type[BaseModel]) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    match kind:
        case "extra_forbidden":
            return f"{name[:80]!r} is not a field here", _misplaced(name, _all_names(model))
        case "missing":
            return f"{field!r} is missing", None
        case "value_error":
            return _prefixed(field, str(context.get("error", detail["msg"]))), None
        case "literal_error" | "enum":
            given = str(detail["input"])[:80]
            return f"{field}: {given!r} is not one of {context.get('expected')}", None
        case "union_tag_not_found" | "union_tag_invalid":
            return _prefixed(field, "this has none of the forms that may stand here"), None
        case _:
            return _prefixed(field, _plain_words(detail["msg"])), None


def _misplaced(name: str, known: frozenset[str]) -> str | None:
    if name in known:
        return f"{name!r} stands in another section: look at its indentation"
    return did_you_mean(name, known)


def _prefixed(field: str, message: str) -> str:
    return f"{field[:200]}: {message}" if field else message


def _plain_words(message: str) -> str:
    message = message.replace("Input should be", "this must be").replace("valid ", "")
    return message.replace("a string", "text").replace("dictionary", "mapping")


@cache
def _all_names(model: type[BaseModel]) -> frozenset[str]:
    """The names of every field of a model and of the models inside it."""
    found: set[str] = set()
    _gather(model.model_json_schema(by_alias=True), found)
    return frozenset(found)


def _gather(schema: object, found: set[str]) -> None:
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            found.update(str(name) for name in properties)
        for part in schema.values():
            _gather(part, found)
    elif isinstance(schema, list):
        for part in schema:
            _gather(part, found)
