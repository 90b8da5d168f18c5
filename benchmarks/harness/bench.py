"""What every goal measures with: the server, scratch folders, the bare loops, the peers' figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.figures import Figure, Limit
from harness.process import BenchmarkError, Sample, Series, environment, run
from harness.project import Project
from harness.server import MockServer

SCRIPTS = Path(__file__).parents[1]
WHAT_UNIT = {"wall": "s", "cpu": "s CPU", "rss_mib": "MiB"}


@dataclass(frozen=True, slots=True)
class Bench:
    """One session of measuring."""

    server: MockServer
    scratch: Path
    rows: int
    rounds: int
    tries: int
    peers: dict[str, Any]

    def project(self, name: str, count: int | None = None, *, judge: bool = False) -> Project:
        """A fresh project of that many rows."""
        project = Project(self.scratch / name, self.server.port, judge=judge)
        project.forget()
        return project.fill(self.rows if count is None else count)

    def python(self, *arguments: str | Path, cwd: Path | None = None) -> Sample:
        """One run of this interpreter."""
        place = cwd or self.scratch
        return run([sys.executable, *arguments], cwd=place, env=environment(self.scratch))

    def floor(
        self, project: Project, script: str = "floor.py", *, judge: bool = False, cold: bool = False
    ) -> Sample:
        """One run of a floor on the project's rows, with a store of its own."""
        store = project.folder / f"{script}.sqlite3"
        if cold:
            for path in project.folder.glob(f"{store.name}*"):
                path.unlink()
        flags = ["--judge"] if judge else []
        words = [str(project.golden), str(store), str(self.server.port), *flags]
        return passing(self.python(SCRIPTS / script, *words), project)

    def aiohttp_loop(self, project: Project, *, judge: bool = False) -> Sample:
        """One run of the loop that a user would write."""
        flags = ["--judge"] if judge else []
        words = [str(project.golden), str(self.server.port), *flags]
        return passing(self.python(SCRIPTS / "aiohttp_loop.py", *words), project)

    def requests(self, once: Callable[[], Sample]) -> int:
        """How many requests the server sees while this runs."""
        before = self.server.count()
        once()
        return self.server.count() - before

    def peer(self, name: str, what: str) -> float | None:
        """A peer's median, where it was measured on this machine."""
        told = self.peers.get(name)
        return None if told is None else float(told[what][0])


def passing(sample: Sample, project: Project) -> Sample:
    """The sample, once it is sure that the bare loop's rows all passed."""
    count = sum(1 for _ in project.golden.open(encoding="utf-8"))
    if f"{count} of {count} passed" not in sample.output:
        raise BenchmarkError(f"not all rows passed: {sample.output[-500:]}")
    return sample


def ratio(
    goal: int,
    name: str,
    what: str,
    ours: Series,
    base: Series,
    *,
    gate: Limit | None = None,
    moonshot: Limit | None = None,
    held: bool = True,
) -> Figure:
    """Our median over that of the base; at most so much is wanted."""
    mine, other = ours.median(what), base.median(what)
    return Figure(
        goal=goal,
        name=name,
        value=mine / other,
        gate=gate,
        moonshot=moonshot,
        detail=f"{mine:.3f} / {other:.3f} {WHAT_UNIT[what]}, n={len(ours.samples)}",
        held=held,
    )


def advantage(
    goal: int,
    name: str,
    what: str,
    ours: Series,
    peer: float | None,
    *,
    gate: Limit | None = None,
    moonshot: Limit | None = None,
) -> Figure:
    """A peer's figure over our median; at least so much is wanted."""
    mine = ours.median(what)
    return Figure(
        goal=goal,
        name=name,
        value=None if peer is None else peer / mine,
        gate=gate,
        moonshot=moonshot,
        detail="" if peer is None else f"{peer:.2f} / {mine:.3f} {WHAT_UNIT[what]}",
    )
