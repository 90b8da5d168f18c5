"""When to leave a server in peace: a circuit breaker with an allowance of lost time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FIRST_REST: Final = 1.0
LONGEST_REST: Final = 60.0
MOST_LOST: Final = 1.4
"""Seconds that a run may lose on a server that fails, all attempts together. The attempt that passes
this line is the last; it can add half a second."""


class Breaker:
    """Says whether a server may be asked.

    After a failure it rests, each time twice as long; once it has worked again, it is trusted as before.
    What failures cost is added up, and when the allowance is spent it rests for good: so a server that
    fails in whatever rhythm costs a run a known time, and not a share of it.

    Args:
        monotonic: Seconds that never run backwards.

    Example:
        >>> breaker = Breaker(lambda: 0.0)
        >>> breaker.failed(0.5)
        >>> breaker.allows()
        False
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rest = FIRST_REST
        self._closed_until = float("-inf")
        self._lost = 0.0

    def allows(self) -> bool:
        """Whether it may be asked now."""
        return self._monotonic() >= self._closed_until

    def worked(self) -> None:
        """It answered."""
        self._rest = FIRST_REST

    def failed(self, seconds: float) -> None:
        """It did not, and that took so long."""
        self._lost += seconds
        self._closed_until = self._monotonic() + self._rest
        self._rest = min(2 * self._rest, LONGEST_REST)
        if self._lost >= MOST_LOST:
            self.stop()

    def stop(self) -> None:
        """It is not asked again."""
        self._closed_until = float("inf")
