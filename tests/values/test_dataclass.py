"""A value of ours is what the standard's dataclass would have made of it, and as frozen."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import CallRecord
from evalrunner.values.fingerprint import Fingerprint


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    x: int
    y: tuple[int, ...] = ()
    z: dict[str, int] = field(default_factory=dict)


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


def test_its_signature_is_known_before_the_first_is_made() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Unmade:
        x: int
        y: int = 0

    assert str(inspect.signature(Unmade)) == "(*, x: 'int', y: 'int' = 0) -> None"


def test_a_positional_one_takes_its_fields_in_order() -> None:
    @dataclass(frozen=True, slots=True)
    class Pair:
        x: int
        y: int = 0

    assert Pair(1, 2) == Pair(x=1, y=2)
    match Pair(1, 2):
        case Pair(x, y):
            assert (x, y) == (1, 2)


def test_what_is_not_compared_is_neither_equal_nor_hashed() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        x: int
        name: str = field(compare=False)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Other:
        x: int

    assert Named(x=1, name="a") == Named(x=1, name="b")
    assert hash(Named(x=1, name="a")) == hash(Named(x=1, name="b"))
    assert Named(x=1, name="a") != Named(x=2, name="a")
    assert Named(x=1, name="a") != Other(x=1)


def test_nobody_can_delete_a_field() -> None:
    made = Quick(x=1)
    with pytest.raises(FrozenInstanceError):
        del made.x
    assert made.x == 1


def test_it_can_be_pickled() -> None:
    made = Quick(x=1, y=(2,), z={"a": 1})
    assert pickle.loads(pickle.dumps(made)) == made  # our own


def test_it_may_have_subclasses() -> None:
    class Further(Quick):
        def doubled(self) -> int:
            return 2 * self.x

    made = Further(x=2, y=(1,))
    assert type(made) is Further
    assert (made.doubled(), made.y, made.z) == (4, (1,), {})
    assert made != Quick(x=2, y=(1,))
    with pytest.raises(FrozenInstanceError):
        made.x = 3  # type: ignore[misc]


def test_one_that_is_not_frozen_or_has_no_slots_is_the_standard_s() -> None:
    @dataclass(slots=True)
    class Changing:
        x: int

    @dataclass(frozen=True)
    class Roomy:
        x: int

    changing = Changing(1)
    changing.x = 2
    assert changing == Changing(2)
    assert vars(Roomy(1)) == {"x": 1}
    with pytest.raises(FrozenInstanceError):
        Roomy(1).x = 2  # type: ignore[misc]
