"""The garbage collector looks rarely during a run, and as before after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from evalrunner.engine.garbage import YOUNG, seldom_collected


@pytest.fixture(autouse=True)
def thresholds_put_back() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_threshold_is_raised_and_put_back() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ZeroDivisionError), seldom_collected():
        1 / (gc.get_threshold() == (700, 10, 10))
    with seldom_collected():
        assert gc.get_threshold() == (YOUNG, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("young", [0, 2 * YOUNG])
def test_who_wants_fewer_looks_keeps_them(young: int) -> None:
    gc.set_threshold(young, 10, 10)
    with seldom_collected():
        assert gc.get_threshold() == (young, 10, 10)
