"""The command line: parse, call, print, exit.

This module is what every start pays for, so it imports nothing that a short answer does not need.
"""

from __future__ import annotations

import gc
import sys

from evalrunner.version import __version__


def main() -> None:
    """The ``evalrunner`` command. Ends the process with the documented exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        sys.stdout.write(f"evalrunner {__version__}\n")
        return
    if arguments[:1] == ["run"]:
        from evalrunner.wiring.unchanged import answer_unchanged

        code = answer_unchanged(arguments[1:])
        if code is not None:
            sys.exit(code)
    if arguments[:1] == ["plan"]:
        from evalrunner.wiring.unchanged_plan import plan_unchanged

        code = plan_unchanged(arguments[1:])
        if code is not None:
            sys.exit(code)
    # What is imported from here on stays: looking through it for garbage costs a fifth of a short run.
    gc.set_threshold(50_000, 10, 10)
    from evalrunner.cli.app import entry

    sys.exit(entry(arguments))
