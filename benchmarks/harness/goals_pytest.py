"""Goals of the pytest plugin: 20 and 21."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from harness.bench import Bench, ratio
from harness.figures import Figure, at_most
from harness.process import BenchmarkError, Sample, environment, interleaved, run
from harness.project import Project

CASES = 1000
LATENCY_MS = 200
TRIVIAL = 2000
IN_FLIGHT = "32"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
OURS = ["-p", "evalrunner.pytest_plugin.hooks"]


def guest(bench: Bench) -> Iterator[Figure]:
    """20: what a test run without evals pays for the plugin."""
    folder = bench.scratch / "guest"
    folder.mkdir(exist_ok=True)
    lines = [f"def test_{number}():\n    pass\n" for number in range(TRIVIAL)]
    (folder / "test_trivial.py").write_text("\n".join(lines), encoding="utf-8")

    def once(*plugins: str) -> Callable[[], Sample]:
        alone = environment(folder, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        return lambda: run([*PYTEST, *plugins], cwd=folder, env=alone)

    series = interleaved(bench.rounds, {"without": once(), "with": once(*OURS)})
    for what in ("wall", "cpu"):
        yield ratio(
            20,
            f"{TRIVIAL:,} trivial tests, with the plugin to without ({what})",
            what,
            series["with"],
            series["without"],
            gate=at_most(1.05),
            moonshot=at_most(1.02),
        )


def sessions(bench: Bench) -> Iterator[Figure]:
    """21: a session of a suite beside `evalrunner run`, alone and with four workers."""
    project = bench.project("sessions", CASES)
    bench.server.start_counting(LATENCY_MS)
    series = interleaved(
        min(bench.rounds, 3),
        {
            "run": project.cold("-j", IN_FLIGHT),
            "alone": lambda: _session(project),
            "workers": lambda: _session(project, "-p", "xdist", "-n", "4"),
        },
    )
    sent = bench.requests(lambda: _session(project)), bench.requests(lambda: _warm(project))
    bench.server.start_counting()
    for name in ("alone", "workers"):
        yield ratio(
            21,
            f"{CASES:,} cases at {LATENCY_MS} ms, pytest ({name}) to evalrunner run",
            "wall",
            series[name],
            series["run"],
            gate=at_most(2),
            moonshot=at_most(1.3),
        )
    if sent != (CASES, 0):
        raise BenchmarkError(f"a cold and a warm session made {sent} requests")


def _session(project: Project, *options: str) -> Sample:
    """A session that finds no state folder; every case has to pass."""
    project.forget()
    return _warm(project, *options)


def _warm(project: Project, *options: str) -> Sample:
    alone = {**project.environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run([*PYTEST, *OURS, *options, "suites"], cwd=project.folder, env=alone)
