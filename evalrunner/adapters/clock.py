"""The real time."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """A :class:`~evalrunner.engine.ports.Clock` of the machine."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)
