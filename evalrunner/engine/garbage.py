"""How often Python looks for cycles while a run makes many values and no cycles."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 1_000_000
"""Values made between two looks. A cold run of 10,000 cases makes 700,000 that stay alive to its end:
Python's own 700 had it look through them for a tenth of its CPU time, 50,000 for a fortieth."""


@contextmanager
def seldom_collected() -> Generator[None]:
    """Has the garbage collector look for cycles rarely, while the block runs.

    Whoever has set it to look even more rarely, or not at all, keeps that.
    """
    young, middle, old = gc.get_threshold()
    if young == 0 or young >= YOUNG:
        yield
        return
    gc.set_threshold(YOUNG, middle, old)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, old)
