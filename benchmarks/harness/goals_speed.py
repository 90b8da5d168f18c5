"""Goals that are ratios of time and memory: 1 to 8 and 13."""

from __future__ import annotations

import json
from collections.abc import Iterator

from workload import IN_FLIGHT, rows

from harness.bench import Bench, advantage, ratio
from harness.figures import Figure, at_least, at_most
from harness.process import environment, interleaved, run
from harness.project import EVALRUNNER

LATENCY_MS = 200
REPORTS = ("-o", "run.json", "-o", "run.junit.xml", "-o", "run.md")


def start_up(bench: Bench) -> Iterator[Figure]:
    """1: the command line before it does anything."""
    env = environment(bench.scratch)
    series = interleaved(
        3 * bench.rounds,
        {
            "pass": lambda: bench.python("-c", "pass"),
            "click": lambda: bench.python("-c", "import click"),
            "version": lambda: run([EVALRUNNER, "--version"], cwd=bench.scratch, env=env),
            "help": lambda: run([EVALRUNNER, "--help"], cwd=bench.scratch, env=env),
        },
    )
    version, helped, empty = series["version"], series["help"], series["pass"]
    yield ratio(
        1,
        "`--version` to `python -c pass`",
        "wall",
        version,
        empty,
        gate=at_most(2),
        moonshot=at_most(1.3),
    )
    yield advantage(
        1,
        "promptfoo `--version` to `--version`",
        "wall",
        version,
        bench.peer("promptfoo --version", "wall"),
        gate=at_least(20),
        moonshot=at_least(40),
    )
    yield ratio(
        1,
        '`--help` to `python -c "import click"`',
        "wall",
        helped,
        series["click"],
        gate=at_most(4),
    )


def warm(bench: Bench) -> Iterator[Figure]:
    """2: nothing changed since the last run."""
    project = bench.project("warm")
    project.run()
    bench.floor(project, "floor_noop.py", cold=True)
    before = bench.server.count()
    series = interleaved(
        2 * bench.rounds,
        {
            "pass": lambda: bench.python("-c", "pass"),
            "click": lambda: bench.python("-c", "import click, sqlite3"),
            "ours": project.run,
            "noop": lambda: bench.floor(project, "floor_noop.py"),
            "reports": lambda: project.run(*REPORTS),
        },
    )
    ours, peer = series["ours"], bench.peer(f"promptfoo warm {bench.rows}", "wall")
    yield Figure(
        goal=2,
        name="requests",
        value=bench.server.count() - before,
        unit="",
        gate=at_most(0),
        moonshot=at_most(0),
    )
    yield ratio(
        2, 'to `python -c "import click, sqlite3"`', "wall", ours, series["click"], gate=at_most(3)
    )
    yield ratio(
        2,
        "to `python -c pass`",
        "wall",
        ours,
        series["pass"],
        gate=at_most(4),
        moonshot=at_most(1.6),
    )
    yield ratio(2, "to floor-noop", "wall", ours, series["noop"])
    yield advantage(
        2,
        "promptfoo's cached re-run to ours",
        "wall",
        ours,
        peer,
        gate=at_least(200),
        moonshot=at_least(700),
    )
    yield ratio(
        2,
        "with JSON, JUnit and Markdown written, to `python -c pass`",
        "wall",
        series["reports"],
        series["pass"],
    )


def looked_up(bench: Bench) -> Iterator[Figure]:
    """3: every row looked up and checked again, since the suite's bytes changed."""
    project = bench.project("looked-up")
    project.run()
    bench.floor(project, cold=True)
    series = interleaved(
        bench.rounds,
        {"ours": project.after(project.comment), "floor": lambda: bench.floor(project)},
    )
    peer = bench.peer(f"promptfoo warm {bench.rows}", "wall")
    yield ratio(
        3,
        "to floor, warm",
        "wall",
        series["ours"],
        series["floor"],
        gate=at_most(2.5),
        moonshot=at_most(1.3),
    )
    yield advantage(
        3, "promptfoo's cached re-run to ours", "wall", series["ours"], peer, moonshot=at_least(200)
    )


def one_row(bench: Bench) -> Iterator[Figure]:
    """4: one row of all reworded."""
    for judge in (False, True):
        project = bench.project(f"one-row-{judge}", judge=judge)
        project.run()
        sent = bench.requests(project.after(project.reword))
        wanted = 2 if judge else 1
        yield Figure(
            goal=4,
            name="requests, with a judge" if judge else "requests",
            unit="",
            value=sent,
            gate=at_most(wanted),
            moonshot=at_most(wanted),
        )
    project = bench.project("one-row-floor")
    project.run()
    bench.floor(project, cold=True)
    bench.floor(project, "floor_noop.py", cold=True)

    series = interleaved(
        bench.rounds,
        {
            "ours": project.after(project.reword),
            "floor": lambda: bench.floor(project),
            "noop": lambda: bench.floor(project, "floor_noop.py"),
        },
    )
    ours, peer = series["ours"], bench.peer(f"promptfoo warm {bench.rows}", "wall")
    yield ratio(4, "to floor, one row changed", "wall", ours, series["floor"], gate=at_most(2.5))
    yield ratio(
        4, "to floor-noop, one row changed", "wall", ours, series["noop"], moonshot=at_most(1.3)
    )
    yield advantage(
        4, "promptfoo's unchanged cached re-run to ours", "wall", ours, peer, gate=at_least(100)
    )


def cold(bench: Bench) -> Iterator[Figure]:
    """5: nothing stored yet, and a server that answers at once."""
    project = bench.project("cold")
    series = interleaved(
        bench.rounds,
        {"ours": project.cold(), "loop": lambda: bench.aiohttp_loop(project)},
    )
    ours = series["ours"]
    yield ratio(
        5,
        "CPU to the aiohttp loop's",
        "cpu",
        ours,
        series["loop"],
        gate=at_most(2),
        moonshot=at_most(1),
    )
    yield ratio(5, "wall to the aiohttp loop's", "wall", ours, series["loop"])
    for name, gate, moonshot in (("pydantic-evals", 8, 17), ("promptfoo", 20, 50)):
        peer = bench.peer(f"{name} cold {bench.rows}", "cpu")
        yield advantage(
            5,
            f"{name}'s CPU to ours",
            "cpu",
            ours,
            peer,
            gate=at_least(gate),
            moonshot=at_least(moonshot),
        )


def latency(bench: Bench) -> Iterator[Figure]:
    """6: the same at 200 ms; the ideal is what latency and concurrency force."""
    yield from _held_against_ideal(bench, 6, bench.rows, judge=False, limits=(1.05, 1.02))


def latency_with_judge(bench: Bench) -> Iterator[Figure]:
    """7: the same with one judge call a row."""
    yield from _held_against_ideal(bench, 7, min(bench.rows, 1000), judge=True, limits=(1.10, 1.04))


def _held_against_ideal(
    bench: Bench, goal: int, count: int, *, judge: bool, limits: tuple[float, float]
) -> Iterator[Figure]:
    project = bench.project(f"latency-{judge}", count, judge=judge)
    bench.server.start_counting(LATENCY_MS)
    rounds = 1 if count > 1000 else min(bench.rounds, 3)
    series = interleaved(
        rounds,
        {"ours": project.cold(), "loop": lambda: bench.aiohttp_loop(project, judge=judge)},
    )
    peak = bench.server.count("peak", "bench")
    bench.server.start_counting()
    ideal = (2 if judge else 1) * count * LATENCY_MS / 1000 / IN_FLIGHT
    wall, loop = series["ours"].median("wall"), series["loop"].median("wall")
    yield Figure(
        goal=goal,
        name=f"wall to N·calls·latency/50, N={count}",
        value=wall / ideal,
        gate=at_most(limits[0]),
        moonshot=at_most(limits[1]),
        detail=f"{wall:.2f} / {ideal:.2f} s, at most {peak} in flight, "
        f"{series['ours'].median('cpu'):.2f} s CPU; the aiohttp loop {loop:.2f} s",
    )


def plan(bench: Bench) -> Iterator[Figure]:
    """18: what a run would cost, with everything kept and with nothing kept."""
    kept, bare = bench.project("plan-hits"), bench.project("plan-misses")
    kept.run()
    before = bench.server.count()
    series = interleaved(
        2 * bench.rounds,
        {
            "click": lambda: bench.python("-c", "import click, sqlite3"),
            "hits": kept.plan,
            "misses": bare.plan,
        },
    )
    yield Figure(
        goal=18,
        name="requests",
        value=bench.server.count() - before,
        unit="",
        gate=at_most(0),
        moonshot=at_most(0),
    )
    for name, limit in (("hits", 6), ("misses", 20)):
        yield ratio(
            18,
            f'all {name}, to `python -c "import click, sqlite3"`',
            "wall",
            series[name],
            series["click"],
            gate=at_most(limit),
        )


def memory(bench: Bench) -> Iterator[Figure]:
    """8: peak memory, cold and warm. What is held is the megabytes and the way to promptfoo."""
    project = bench.project("memory")
    series = interleaved(
        2,
        {
            "cold": project.cold(),
            "warm": project.run,
            "looked up": project.after(project.comment),
            "floor cold": lambda: bench.floor(project, cold=True),
            "floor warm": lambda: bench.floor(project),
        },
    )
    for name, least in (("cold", 150), ("warm", 60), ("looked up", 150)):
        used = series[name].median("rss_mib")
        yield Figure(goal=8, name=name, value=used, unit=" MiB", gate=at_most(least))
    yield ratio(
        8,
        "cold to floor, cold",
        "rss_mib",
        series["cold"],
        series["floor cold"],
        gate=at_most(1.5),
        moonshot=at_most(1),
        held=False,
    )
    yield ratio(
        8,
        "all looked up to floor, warm",
        "rss_mib",
        series["looked up"],
        series["floor warm"],
        gate=at_most(1.5),
        moonshot=at_most(1),
        held=False,
    )
    for mine in ("cold", "warm"):
        peer = bench.peer(f"promptfoo {mine} {bench.rows}", "rss_mib")
        yield advantage(
            8, f"promptfoo {mine} to ours", "rss_mib", series[mine], peer, gate=at_least(5)
        )


def yaml_rows(bench: Bench) -> Iterator[Figure]:
    """13: the golden file in YAML, net of start-up on both sides."""
    project = bench.project("yaml", 1)
    for name, count in (("few", 1), ("many", bench.rows)):
        items = "".join(
            "- question: {question}\n  expected: {expected}\n".format(
                **{key: json.dumps(value) for key, value in row.items()}
            )
            for row in rows(count)
        )
        (project.folder / "golden" / f"{name}.yaml").write_text(items, encoding="utf-8")
        text = project.suite.read_text(encoding="utf-8").replace("rows.jsonl", f"{name}.yaml")
        (project.folder / f"{name}.yaml").write_text(text.replace("../", ""), encoding="utf-8")
    load = "import yaml; yaml.load(open('golden/{}.yaml'), yaml.CSafeLoader)"
    env = project.environment()

    def validated(name: str) -> float:
        command = [str(EVALRUNNER), "validate", f"{name}.yaml"]
        return run(command, cwd=project.folder, env=env).cpu

    def loaded(name: str) -> float:
        return bench.python("-c", load.format(name), cwd=project.folder).cpu

    pairs = [
        (validated("many") - validated("few"), loaded("many") - loaded("few"))
        for _ in range(bench.rounds)
    ]
    ours, base = (sorted(side)[len(pairs) // 2] for side in zip(*pairs, strict=True))
    yield Figure(
        goal=13,
        name="CPU of `validate` to PyYAML's C loader",
        value=ours / base,
        gate=at_most(0.15),
        moonshot=at_most(0.07),
        detail=f"{ours:.3f} / {base:.3f} s CPU, start-up subtracted",
    )
