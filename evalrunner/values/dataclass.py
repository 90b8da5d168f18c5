"""The standard library's dataclass, defined at a tenth of the cost and made at half of it.

A short run imports some 150 frozen classes, and the methods that :func:`dataclasses.dataclass` writes and
compiles for each of them took a quarter of its time. Here a constructor is written when the first value is
made, and the other methods are the same for all classes. Type checkers see the standard's.
"""

# ruff: noqa: ANN401  (what is done to any class can say nothing of its fields)

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["dataclass"]

T = TypeVar("T")


def quick_dataclass(
    *, frozen: bool = False, slots: bool = False, kw_only: bool = False
) -> Callable[[type[T]], type[T]]:
    """What :func:`dataclasses.dataclass` does, of fields, order, defaults, equality, hash and copies.

    One that is not frozen, or has no slots, is the standard's own. Not for a class that has bases with
    fields or a ``__post_init__``.

    Example:
        >>> @dataclass(frozen=True, slots=True, kw_only=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(x=1)
        Point(x=1, y=0)
        >>> Point(x=1).x = 2
        Traceback (most recent call last):
        dataclasses.FrozenInstanceError: cannot assign to field 'x'
    """
    if not (frozen and slots):
        return dataclasses.dataclass(frozen=frozen, slots=slots, kw_only=kw_only)
    bare = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)
    return lambda cls: _frozen(bare(cls))


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = quick_dataclass


def _frozen(cls: Any) -> Any:
    """Gives a class that has its fields and slots the methods of a frozen dataclass."""
    found = fields(cls)
    compared = _values_of([field.name for field in found if field.compare])

    def init(self: Any, /, *positional: object, **named: object) -> None:
        cls.__init__ = _constructor(cls, found)  # from now on
        cls.__init__(self, *positional, **named)

    def equal(self: Any, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    cls.__init__ = init
    cls.__eq__ = equal
    cls.__hash__ = lambda self: hash(compared(self))
    if "__repr__" not in cls.__dict__:
        cls.__repr__ = _repr
    cls.__setattr__ = _refuse_to_set
    cls.__delattr__ = _refuse_to_delete
    cls.__getstate__ = _state
    cls.__setstate__ = _set_state
    cls.__signature__ = _Signature()
    return cls


def _values_of(names: Sequence[str]) -> Callable[[Any], tuple[object, ...]]:
    """What gets the values of these fields from an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in fields(self)]


def _set_state(self: Any, state: Sequence[object]) -> None:
    for field, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


class _Signature:
    """The signature of a class's constructor, for those who ask before a value is made."""

    def __get__(self, _value: object, cls: Any) -> Signature:
        from inspect import signature

        made = signature(_constructor(cls, fields(cls)))
        return made.replace(parameters=list(made.parameters.values())[1:])


def _constructor(cls: Any, found: Sequence[Field[Any]]) -> Callable[..., None]:
    """A constructor that costs half of what the standard's does.

    That one sets each field through ``object.__setattr__``, which was a seventh of a cold run's CPU time.
    This one lets the new object be, until its fields are set, of a class with the same slots and no lock
    on them. Objects of subclasses have other slots, and are set up as the standard does it.
    """
    slots = {"__slots__": tuple(field.name for field in found)}
    scope: dict[str, Any] = {
        "_become": object.__dict__["__class__"].__set__,
        "_unlocked": type(cls)(cls.__name__, cls.__bases__, slots),
        "_locked": cls,
        "_put": object.__setattr__,
        "_missing": MISSING,
    }
    for field in found:
        scope[f"_default_{field.name}"] = field.default
        scope[f"_make_{field.name}"] = field.default_factory
    keywords = ["*"] if any(field.kw_only for field in found) else []
    source = "\n".join(
        (
            f"def __init__({', '.join(['self', *keywords, *map(_parameter, found)])}):",
            " if self.__class__ is _locked:",
            "  _become(self, _unlocked)",
            *(f"  self.{field.name} = {_value(field)}" for field in found),
            "  self.__class__ = _locked",
            " else:",
            *(f"  _put(self, {field.name!r}, {_value(field)})" for field in found),
            "  pass",
        )
    )
    exec(source, scope)  # noqa: S102  # names of fields in a fixed form, as dataclass itself does it
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in found} | {"return": None}
    return init


def _parameter(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.name}=_default_{field.name}"
    return field.name if field.default_factory is MISSING else f"{field.name}=_missing"


def _value(field: Field[Any]) -> str:
    name = field.name
    if field.default_factory is MISSING:
        return name
    return f"_make_{name}() if {name} is _missing else {name}"
