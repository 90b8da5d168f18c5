"""Processes as the harness starts them: measured, logged, with an environment that is the same for all."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEASURE = Path(__file__).with_name("measure.py")


class BenchmarkError(Exception):
    """A measured process did not do its work, so that its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one process: seconds, seconds, MiB."""

    wall: float
    cpu: float
    rss_mib: float
    exit_code: int
    output: str = ""


@dataclass(slots=True)
class Series:
    """All runs of one command."""

    samples: list[Sample] = field(default_factory=list)

    def median(self, what: str) -> float:
        """The median of ``wall``, ``cpu`` or ``rss_mib``."""
        return float(statistics.median(getattr(sample, what) for sample in self.samples))

    def as_json(self) -> dict[str, object]:
        """Median, least and most of each figure, and how many runs there were."""
        told: dict[str, object] = {"runs": len(self.samples)}
        for what in ("wall", "cpu", "rss_mib"):
            values = [getattr(sample, what) for sample in self.samples]
            told[what] = [round(f(values), 4) for f in (statistics.median, min, max)]
        return told


def environment(home: Path, **more: str) -> dict[str, str]:
    """What every measured process sees: no keys, an empty home, bytecode written as usual."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "NO_COLOR": "1", **more}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    allowed: Sequence[int] = (0,),
    timeout: float = 1800,
) -> Sample:
    """Runs a command to its end, measured.

    Raises:
        BenchmarkError: It ended with another exit code than those allowed, or not in time.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "sample.json"), Path(folder, "log")
        with log.open("wb") as sink:
            starter = subprocess.Popen(
                [sys.executable, "-I", "-S", str(MEASURE), str(out), *words],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
            try:
                starter.wait(timeout)
            except BaseException:
                os.killpg(starter.pid, signal.SIGKILL)
                starter.wait()
                raise
        output = log.read_text(encoding="utf-8", errors="replace")
        if not out.exists():
            raise BenchmarkError(f"cannot start {words[0]}: {output[-2000:]}")
        sample = Sample(**json.loads(out.read_text(encoding="utf-8")), output=output)
    if sample.exit_code not in allowed:
        raise BenchmarkError(f"{' '.join(words)}: exit {sample.exit_code}\n{output[-3000:]}")
    return sample


def interleaved(rounds: int, contestants: Mapping[str, Callable[[], Sample]]) -> dict[str, Series]:
    """Runs all contestants in turn, ``rounds`` times, so that a slow minute hurts all alike."""
    series = {name: Series() for name in contestants}
    for _ in range(rounds):
        for name, once in contestants.items():
            series[name].samples.append(once())
    return series
