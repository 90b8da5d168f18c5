"""The mock server as the harness sees it: started, counted, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPT = Path(__file__).parents[1] / "mock_server.py"


class MockServer:
    """A mock server in its own process, for the length of a ``with`` block."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(SCRIPT)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait()

    def _ask(self, path: str, *, post: bool = False) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        with urllib.request.urlopen(request, data=b"" if post else None, timeout=30) as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def start_counting(self, latency_ms: float = 0) -> None:
        """Sets the latency and all counters to zero."""
        self._ask(f"/latency?ms={latency_ms}", post=True)
        self._ask("/reset", post=True)

    def count(self, what: str = "requests", model: str | None = None) -> int:
        """The sum of one counter over all models, or that of one model."""
        models: dict[str, dict[str, int]] = self._ask("/counters")["models"]
        return sum(told[what] for name, told in models.items() if model in (None, name))

    def answered_before(self, moment: float) -> int:
        """How many answers had left before a moment of ``time.monotonic``; needs a latency."""
        count: int = self._ask(f"/counters?before={moment}")["answered_before"]
        return count
