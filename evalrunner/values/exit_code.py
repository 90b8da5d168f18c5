"""How a command ends."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """The documented exit codes; where several hold, the first of :data:`RANK` rules."""

    OK = 0
    QUALITY = 1
    USAGE = 2
    COST = 3
    INCONCLUSIVE = 4
    NOTHING_SELECTED = 5
    INFRASTRUCTURE = 6
    FROZEN_MISS = 7
    CEILING = 8
    PENDING = 9
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


RANK: Final[tuple[ExitCode, ...]] = tuple(
    ExitCode(code) for code in (130, 143, 70, 2, 5, 8, 3, 7, 6, 4, 9, 1, 0)
)
