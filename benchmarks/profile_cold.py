"""Where the CPU of one run goes: ``python benchmarks/profile_cold.py [cold|warm|comment|reword]``.

The run happens inside this process under cProfile, on a fresh project and a mock server of its own. cProfile
makes calls dearer than work, so read shares and call counts, not seconds.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
from pathlib import Path

from harness.project import Project
from harness.server import MockServer


def profiled(project: Project) -> cProfile.Profile:
    """One ``evalrunner run`` on the project, under the profiler, its imports included."""
    os.chdir(project.folder)
    sys.argv = [str(word) for word in project.command()]
    profile = cProfile.Profile()
    profile.enable()
    try:
        from evalrunner.cli import main

        main()
    except SystemExit as end:
        print(f"exit code {end.code}", file=sys.stderr)
    finally:
        profile.disable()
    return profile


def main() -> None:
    """Prepares the project, profiles the run and prints the dearest functions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "path", nargs="?", default="cold", choices=["cold", "warm", "comment", "reword"]
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--judge", action="store_true")
    parser.add_argument(
        "-o", "--output", help="also write the profile here, for snakeviz and others"
    )
    chosen = parser.parse_args()
    with MockServer() as server, tempfile.TemporaryDirectory() as scratch:
        project = Project(Path(scratch), server.port, judge=chosen.judge).fill(chosen.rows)
        if chosen.path != "cold":
            project.run()
        if chosen.path in ("comment", "reword"):
            getattr(project, chosen.path)()
        profile = profiled(project)
        os.chdir("/")
    if chosen.output:
        profile.dump_stats(chosen.output)
    pstats.Stats(profile).sort_stats(chosen.sort).print_stats(chosen.lines)


if __name__ == "__main__":
    main()
