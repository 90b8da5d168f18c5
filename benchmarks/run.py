"""Measures evalrunner against its goals and writes RESULTS.md: ``python benchmarks/run.py --help``."""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
import traceback
from pathlib import Path

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from harness.bench import Bench  # noqa: E402
from harness.goals import GATED, GOALS, measure_peers  # noqa: E402
from harness.process import BenchmarkError  # noqa: E402
from harness.results import Results  # noqa: E402
from harness.server import MockServer  # noqa: E402

HERE = Path(__file__).parent


def options() -> argparse.Namespace:
    """The command line."""
    titles = "\n".join(f"  {number:2} {title}" for number, (title, _) in GOALS.items())
    parser = argparse.ArgumentParser(
        description="Measures whole processes, in turn, and holds them against the goals.",
        epilog=f"goals:\n{titles}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--goals",
        default=",".join(map(str, [*range(1, 15), 18, 20, 21])),
        help="numbers, as in 1,2,4; or none",
    )
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=False,
                        help="install and measure the peers too (default: use known figures)")  # fmt: skip
    parser.add_argument(
        "--gates", action="store_true",
        help="the gated goals and the peers that they need, in under 12 minutes: a release's check",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, help="runs of each contestant (5; for --gates 3)")
    parser.add_argument(
        "--tries", type=int, help="kills, and starts of processes (5; for --gates 3)"
    )
    parser.add_argument("--note", help="conditions that a reader of the figures should know")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of RESULTS.*")
    return parser.parse_args()


def compile_everything() -> None:
    """Writes the bytecode of the package and its dependencies, so that no run has to."""
    for folder in (HERE, HERE.parent / "evalrunner", Path(sys.prefix) / "lib"):
        compileall.compile_dir(folder, quiet=2)


def measure(bench: Bench, numbers: list[int], results: Results) -> bool:
    """Measures goal after goal; one that cannot be measured does not stop the others."""
    held = True
    for number in numbers:
        title, goal = GOALS[number]
        print(f"{number}. {title}", flush=True)
        bench.server.start_counting()
        try:
            figures = list(goal(bench))
        except (BenchmarkError, OSError, ArithmeticError):
            held = False
            error = traceback.format_exc()
            print(error, file=sys.stderr)
            results.fail(number, title, bench.rows, error)
            continue
        results.add(number, title, bench.rows, figures)
        for figure in figures:
            held = held and not figure.stops
            told = figure.as_json()
            print(f"   {told['verdict']:12} {told['value']}{told['unit']}  {told['name']}"
                  f"  [{told['gate']}; {told['moonshot']}]  {told['detail']}", flush=True)  # fmt: skip
    return held


def main() -> int:
    """0 where every gate holds that was measured."""
    chosen = options()
    if chosen.gates:
        numbers, often = list(GATED), 3
    else:
        numbers, often = [int(n) for n in chosen.goals.split(",") if n != "none"], 5
    compile_everything()
    results = Results(chosen.results)
    if chosen.note is not None:
        results.note(chosen.note)
    with MockServer() as server, tempfile.TemporaryDirectory(prefix="evalrunner-bench-") as scratch:
        bench = Bench(
            server,
            Path(scratch),
            chosen.rows,
            chosen.rounds or often,
            chosen.tries or often,
            results.peers,
        )
        if chosen.peers or chosen.gates:
            for name, told in measure_peers(bench, gated=chosen.gates):
                print(f"{name}: {told}", flush=True)
                results.add_peer(name, told)
        held = measure(bench, numbers, results)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
