"""What can still be read of a document with faults, so that one fault does not hide the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from evalrunner.errors import LoadError, Problem
from evalrunner.suite.tree import MAX_PROBLEMS, Document, Mark, Path
from evalrunner.suite.validate import validated
from evalrunner.values.exchange import Json

Model = TypeVar("Model", bound=BaseModel)

_MOST_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage(Generic[Model]):
    """A document as far as it can be read.

    Attributes:
        problems: All that is wrong with it; where this is empty, nothing was left out.
        value: What is left without the parts that are wrong; ``None`` where that is nothing.
        document: The same as text: the marks are those of the whole document.
        touched: The fields of which something was left out.
    """

    problems: list[Problem]
    value: Model | None
    document: Document
    touched: frozenset[str] = frozenset()

    def has_lost(self, field: str) -> bool:
        """Whether nothing of a field that was given is left."""
        return field in self.touched and not (
            isinstance(self.document.value, dict) and field in self.document.value
        )


def salvaged(
    model: type[Model], document: Document, *, stand_ins: Mapping[str, Json]
) -> Salvage[Model]:
    """The document as a model, without what is wrong with it.

    A faulty field or item is left out, and where that is not enough, what it stands in.

    Args:
        model: What it should be.
        document: The text.
        stand_ins: Values for fields that have to be there.
    """
    try:
        return Salvage(problems=[], value=validated(model, document), document=document)
    except LoadError as error:
        problems = error.problems
    touched: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        if not isinstance(document.value, dict):
            break
        missing = {name: item for name, item in stand_ins.items() if name not in document.value}
        document = _with(document, missing)
        try:
            value = model.model_validate(document.value)
        except RecursionError:
            break
        except ValidationError as error:
            if error.error_count() > MAX_PROBLEMS:
                break  # enough is told
            faults = {_written(document.marks, fault["loc"]) for fault in error.errors()}
            touched |= {str(path[0]) for path in faults if path}
            document = _without(document, faults)
        else:
            left_out = frozenset(touched)
            return Salvage(problems=problems, value=value, document=document, touched=left_out)
    return Salvage(problems=problems, value=None, document=document)


def _written(mark: Mark, steps: Path) -> Path:
    """The place in the text: steps that pydantic alone knows are left out."""
    path: list[str | int] = []
    for step in steps:
        inner = mark.children.get(step)
        if inner is not None:
            path.append(step)
            mark = inner
    return tuple(path)


def _with(document: Document, more: Mapping[str, Json]) -> Document:
    if not more or not isinstance(document.value, dict):
        return document
    value: Json = {**document.value, **more}
    return Document(file=document.file, value=value, marks=document.marks)


def _without(document: Document, gone: Collection[Path]) -> Document:
    """The document without what stands at these paths; what is left keeps its marks."""
    value, marks = _kept(document.value, document.marks, gone, ())
    return Document(file=document.file, value=value, marks=marks)


def _kept(value: Json, mark: Mark, gone: Collection[Path], path: Path) -> tuple[Json, Mark]:
    left = Mark(mark.line, mark.column)
    if isinstance(value, dict):
        fields: dict[str, Json] = {}
        for key, item in value.items():
            if (*path, key) not in gone:
                inner = mark.children.get(key, mark)
                fields[key], left.children[key] = _kept(item, inner, gone, (*path, key))
        return fields, left
    if isinstance(value, list):
        items: list[Json] = []
        for index, item in enumerate(value):
            if (*path, index) not in gone:
                inner = mark.children.get(index, mark)
                found, left.children[len(items)] = _kept(item, inner, gone, (*path, index))
                items.append(found)
        return items, left
    return value, mark
