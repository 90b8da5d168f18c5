"""Goals that are counts: what is asked again, what a kill costs, what processes share: 9 to 12, 14."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workload import row, rows

from harness.bench import Bench
from harness.figures import Figure, at_most
from harness.process import BenchmarkError, run
from harness.project import Project

FEW = 200
HALVES = 400
LATENCY_MS = 200


def zero_requests(bench: Bench) -> Iterator[Figure]:
    """9: edits that change no request ask nothing, judge included."""
    project = bench.project("zero", FEW, judge=True)
    first = bench.requests(project.run)
    if first != 2 * FEW:
        raise BenchmarkError(f"a first run of {FEW} judged rows made {first} requests")
    for name, edit, flags in _edits(project):
        sent = bench.requests(project.after(edit, *flags))
        yield Figure(
            goal=9, name=name, value=sent, unit=" requests", gate=at_most(0), moonshot=at_most(0)
        )
    yield Figure(
        goal=9,
        name="on another machine (project and store copied)",
        unit=" requests",
        value=bench.requests(_moved(project).run),
        moonshot=at_most(0),
    )


def _edits(project: Project) -> Iterator[tuple[str, Callable[[], None], tuple[str, ...]]]:
    suite, golden = project.suite, project.golden

    def substitute(old: str, new: str) -> Callable[[], None]:
        def edit() -> None:
            text = project.suite.read_text(encoding="utf-8")
            if old not in text:
                raise BenchmarkError(f"{old!r} is not in the suite: this edit would change nothing")
            project.suite.write_text(text.replace(old, new), encoding="utf-8")

        return edit

    def reorder() -> None:
        lines = golden.read_text(encoding="utf-8").splitlines()
        golden.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")

    def rename_file() -> None:
        project.suite = suite.rename(suite.with_name("renamed.yaml"))

    yield "unchanged", lambda: None, ()
    yield "a comment", project.comment, ()
    yield "formatting", substitute("{type: is-json}", "type:   'is-json'"), ()
    yield "rows reordered", reorder, ()
    yield "suite renamed", substitute("name: bench", "name: renamed"), ()
    yield "suite file renamed", rename_file, ()
    added = "checks:\n  - {type: not-contains, value: zebra}\n"
    yield "a deterministic check added", substitute("checks:\n", added), ()
    yield "other concurrency", project.comment, ("-j", "7")


def _moved(project: Project) -> Project:
    """The project with its store in another folder, which is what restoring a store gives."""
    folder = project.folder.with_name("zero-moved")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(project.folder, folder)
    moved = object.__new__(Project)
    moved.folder, moved.edits = folder, 0
    moved.suite = folder / project.suite.relative_to(project.folder)
    moved.golden = folder / project.golden.relative_to(project.folder)
    return moved


def duplicates(bench: Bench) -> Iterator[Figure]:
    """10: equal requests are sent once, in one process and across processes that run at once."""
    twice = [row(entry) for entry in range(50)] * 2
    alike = [{**row(entry), "note": str(note)} for entry in range(50) for note in range(2)]
    for name, items in (("each row twice", twice), ("cases that render alike", alike)):
        project = bench.project("twins", 0, judge=True).fill(items)
        bench.server.start_counting(20)  # so that twins are in flight together
        sent = bench.requests(project.run)
        bench.server.start_counting()
        yield Figure(
            goal=10,
            name=f"{name}: requests beyond the unique ones",
            unit="",
            value=sent - 100,
            gate=at_most(0),
            moonshot=at_most(0),
        )
    project = bench.project("twin-processes", 100)
    bench.server.start_counting(LATENCY_MS)
    _at_once(project, [(), ()])
    sent = bench.server.count()
    bench.server.start_counting()
    yield Figure(
        goal=10,
        name="two processes at once: requests beyond the unique ones",
        unit="",
        value=sent - 100,
        moonshot=at_most(0),
    )


def killed(bench: Bench) -> Iterator[Figure]:
    """11: SIGKILL once half of the answers have been sent, then the same run again."""
    lost, early_lost, again = [], [], []
    for _ in range(bench.tries):
        project = bench.project("killed", HALVES)
        bench.server.start_counting(LATENCY_MS)
        moment = _kill_at_half(bench, project)
        received, early = (bench.server.answered_before(t) for t in (moment, moment - 0.1))
        time.sleep(0.5)  # requests of the killed process that were still being served
        asked = bench.requests(project.run)
        again.append(asked)
        lost.append(asked - (HALVES - received))
        early_lost.append(asked - (HALVES - early))
    bench.server.start_counting()
    yield Figure(
        goal=11,
        name="answers lost that were sent 100 ms before the kill",
        unit="",
        value=max(0, *early_lost),
        gate=at_most(0),
        moonshot=at_most(0),
        detail=f"worst of {bench.tries} kills; asked again {again} of {HALVES}",
    )
    yield Figure(
        goal=11,
        name="answers lost that were sent before the kill",
        unit="",
        value=max(0, *lost),
        moonshot=at_most(0),
        detail=f"{lost}",
    )


def _kill_at_half(bench: Bench, project: Project) -> float:
    process = _start(project, ())
    while bench.server.count("answered") < HALVES // 2:
        if process.poll() is not None:
            raise BenchmarkError(f"the run to be killed ended by itself: {process.returncode}")
        time.sleep(0.002)
    moment = time.monotonic()
    process.kill()
    process.wait()
    return moment


def processes(bench: Bench) -> Iterator[Figure]:
    """12: several processes on one store that does not exist yet, then all rows at once."""
    for many in (2, 4):
        failures = lost = 0
        for _ in range(bench.tries):
            project = bench.project("processes", HALVES)
            codes = _at_once(
                project, [("--shard", f"{part}/{many}") for part in range(1, many + 1)]
            )
            failures += sum(1 for code in codes if code != 0)
            lost += bench.requests(project.run)
        yield Figure(
            goal=12,
            name=f"{many} processes: failed",
            value=failures,
            unit="",
            gate=at_most(0),
            detail=f"in {bench.tries} tries",
        )
        yield Figure(
            goal=12,
            name=f"{many} processes: answers lost",
            value=lost,
            unit="",
            gate=at_most(0),
            detail=f"of {bench.tries * HALVES}",
        )
    yield _speed_up(bench)


def _speed_up(bench: Bench) -> Figure:
    project = bench.project("speed-up", 4 * HALVES)
    bench.server.start_counting(LATENCY_MS)
    walls = []
    alone: list[tuple[str, ...]] = [()]
    halves: list[tuple[str, ...]] = [("--shard", "1/2"), ("--shard", "2/2")]
    for parts in (alone, halves):
        project.forget()
        start = time.perf_counter()
        _at_once(project, parts)
        walls.append(time.perf_counter() - start)
    bench.server.start_counting()
    return Figure(
        goal=12,
        name="two processes' wall to one's, 200 ms",
        value=walls[1] / walls[0],
        moonshot=at_most(0.6),
        detail=f"{walls[1]:.2f} / {walls[0]:.2f} s",
    )


def _start(project: Project, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(word) for word in project.command(*flags)],
        cwd=project.folder,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _at_once(project: Project, flags: list[tuple[str, ...]]) -> list[int]:
    started = [_start(project, each) for each in flags]
    return [process.wait(600) for process in started]


def store_bytes(bench: Bench) -> Iterator[Figure]:
    """14: what the store takes on disk."""
    project = bench.project("bytes")
    bench.server.start_counting()
    project.run()
    answers, stored = bench.server.count("answer_bytes"), project.stored_bytes()
    yield Figure(
        goal=14,
        name="bytes stored to 1.5 x answers + 64 B a row",
        value=stored / (1.5 * answers + 64 * bench.rows),
        gate=at_most(1),
        detail=f"{stored / bench.rows:.0f} B a row for answers of {answers / bench.rows:.0f} B",
    )


def big(bench: Bench) -> Iterator[Figure]:
    """15: memory at ten times the rows, run on request only."""
    used = []
    for count in (bench.rows, 10 * bench.rows):
        project = bench.project("big", 0).fill(rows(count))
        command: list[str | Path] = project.command()
        used.append(run(command, cwd=project.folder, env=project.environment()).rss_mib)
    yield Figure(
        goal=8,
        name="peak memory at ten times the rows, cold",
        value=used[1] / used[0],
        moonshot=at_most(2),
        detail=f"{used[1]:.0f} / {used[0]:.0f} MiB",
    )
