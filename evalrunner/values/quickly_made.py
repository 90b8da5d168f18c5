"""Frozen dataclasses that are made by the hundred thousand: as frozen as ever, at half the cost."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_made(cls: type[T]) -> type[T]:
    """Gives a frozen, slotted, keyword-only dataclass a constructor that costs half as much.

    The one that :func:`~dataclasses.dataclass` writes sets each field through
    ``object.__setattr__``, which was a seventh of a cold run's CPU time. This one lets the new object
    be, until its fields are set, of a class with the same slots and no lock on them. What comes out
    is the same: its class, its fields, its signature, and that nobody can change it.

    Not for a class that has subclasses or a ``__post_init__``.

    Example:
        >>> from dataclasses import dataclass
        >>> @quickly_made
        ... @dataclass(frozen=True, slots=True, kw_only=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(x=1)
        Point(x=1, y=0)
        >>> Point(x=1).x = 2
        Traceback (most recent call last):
        dataclasses.FrozenInstanceError: cannot assign to field 'x'
    """
    found = fields(cls)  # type: ignore[arg-type]  # whoever calls this knows a dataclass
    unlocked = type(cls.__name__, (), {"__slots__": tuple(field.name for field in found)})
    scope: dict[str, Any] = {
        "_become": object.__dict__["__class__"].__set__,
        "_unlocked": unlocked,
        "_locked": cls,
        "_missing": MISSING,
    }
    for field in found:
        scope[f"_default_{field.name}"] = field.default
        scope[f"_make_{field.name}"] = field.default_factory
    source = "\n ".join(
        (
            f"def __init__(self, *, {', '.join(map(_parameter, found))}):",
            "_become(self, _unlocked)",
            *map(_assignment, found),
            "self.__class__ = _locked",
        )
    )
    exec(source, scope)  # noqa: S102  # names of fields in a fixed form, as dataclass itself does it
    init = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = cls.__init__.__annotations__
    cls.__init__ = init  # type: ignore[method-assign]  # of the same signature
    return cls


def _parameter(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.name}=_default_{field.name}"
    return field.name if field.default_factory is MISSING else f"{field.name}=_missing"


def _assignment(field: Field[Any]) -> str:
    name = field.name
    if field.default_factory is MISSING:
        return f"self.{name} = {name}"
    return f"self.{name} = _make_{name}() if {name} is _missing else {name}"
