"""A quickly made value is what dataclass alone would have made of it, and as frozen."""

from __future__ import annotations

import copy
import inspect
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from evalrunner.values.exchange import CallRecord
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.quickly_made import quickly_made


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    x: int
    y: tuple[int, ...] = ()
    z: dict[str, int] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    x: int
    y: tuple[int, ...] = ()
    z: dict[str, int] = field(default_factory=dict)


def test_it_is_of_its_class_with_the_fields_given_and_the_defaults() -> None:
    made = Quick(x=1, y=(2,))
    assert type(made) is Quick
    assert (made.x, made.y, made.z) == (1, (2,), {})
    assert made == Quick(x=1, y=(2,), z={})
    assert made != Quick(x=1)


def test_each_has_a_default_of_its_own() -> None:
    one, other = Quick(x=1), Quick(x=1)
    one.z["a"] = 1
    assert other.z == {}


def test_nobody_can_change_it() -> None:
    made = Quick(x=1)
    with pytest.raises(FrozenInstanceError):
        made.x = 2  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
        made.w = 2  # type: ignore[attr-defined]
    assert made.x == 1


@pytest.mark.parametrize("wrong", [{}, {"x": 1, "w": 2}])
def test_a_field_too_few_or_too_many_is_refused_as_ever(wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError) as quick:
        Quick(**wrong)
    with pytest.raises(TypeError) as slow:
        Slow(**wrong)
    assert str(quick.value).partition(".")[2] == str(slow.value).partition(".")[2]


def test_it_copies_replaces_hashes_and_shows_itself_as_ever() -> None:
    made = Quick(x=1, y=(2,))
    assert replace(made, x=3) == Quick(x=3, y=(2,))
    assert copy.deepcopy(made) == made
    assert repr(made).replace("Quick", "Slow") == repr(Slow(x=1, y=(2,)))
    record = CallRecord(fingerprint=Fingerprint("00"), cached=True)
    assert hash(record) == hash(replace(record))


def test_its_parameters_are_those_of_its_fields() -> None:
    quick, slow = (inspect.signature(kind).parameters for kind in (Quick, Slow))
    assert list(quick) == list(slow)
    assert [each.kind for each in quick.values()] == [each.kind for each in slow.values()]
    assert quick["x"].default is slow["x"].default
    assert quick["y"].default == slow["y"].default
