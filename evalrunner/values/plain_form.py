"""Values as plain JSON and back: what a record keeps of a project that was read.

Only the classes of :data:`KINDS` come back. A text that names another one is refused, so that whoever
wrote it chooses among values and never among code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from evalrunner.values import money, project, spec
from evalrunner.values.exchange import Message, Tier

KINDS: Final[Mapping[str, type[Any]]] = {
    name: kind
    for module in (money, project, spec)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, StrEnum))
} | {"Message": Message, "Tier": Tier}

_ATOMS: Final = frozenset({str, int, float, bool, type(None)})


def to_plain(value: object) -> object:
    """The value in lists, mappings and atoms that JSON knows.

    Raises:
        ValueError: It holds something that would not come back as it was.

    Example:
        >>> to_plain((1, Tier.PROXY))
        ['tuple', 1, ['Tier', 'proxy']]
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if isinstance(value, StrEnum) and KINDS.get(kind.__name__) is kind:
        return [kind.__name__, value.value]
    if isinstance(value, (tuple, list)) and kind in (tuple, list):
        return [kind.__name__, *map(to_plain, value)]
    if is_dataclass(value) and KINDS.get(kind.__name__) is kind:
        parts = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return [kind.__name__, parts]
    if isinstance(value, Mapping):  # a slow question, where the answer is no
        return {_text(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (Decimal, Path)):
        return ["Decimal" if isinstance(value, Decimal) else "Path", str(value)]
    raise ValueError(f"{kind.__name__} has no plain form")


def from_plain(form: Any) -> Any:  # noqa: ANN401  # whoever asks knows what was written
    """The value that :func:`to_plain` was given.

    Raises:
        ValueError: This is nothing that it wrote.
    """
    if type(form) in _ATOMS:
        return form
    if isinstance(form, dict):
        return {key: from_plain(item) for key, item in form.items()}
    if not isinstance(form, list) or not form or not isinstance(form[0], str):
        raise ValueError("no plain form")
    name, *rest = form
    if name in ("tuple", "list"):
        items = [from_plain(item) for item in rest]
        return tuple(items) if name == "tuple" else items
    if len(rest) != 1:
        raise ValueError("no plain form")
    return _made(name, rest[0])


def _made(name: str, content: Any) -> object:  # noqa: ANN401  # as above
    kind = Decimal if name == "Decimal" else Path if name == "Path" else KINDS.get(name)
    if kind is None:
        raise ValueError(f"{name!r} is no value")
    try:
        if is_dataclass(kind):
            return kind(**from_plain(dict(content)))
        return kind(content)
    except (TypeError, InvalidOperation) as error:
        raise ValueError(f"this is no {name}") from error


def _text(key: object) -> str:
    if type(key) is not str:
        raise ValueError("a mapping whose keys are no texts has no plain form")
    return key
