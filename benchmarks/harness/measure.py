"""Runs one command and measures it: wall time, CPU, peak memory, exit code.

The module is also a script, and each measured command is started by a fresh, small interpreter that
runs it: Linux counts the memory of the process that forked into the peak of the one that it became.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(out: str, command: list[str]) -> None:
    """Runs the command and writes what ``wait4`` says about it."""
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    sample = {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "rss_mib": used.ru_maxrss / unit,
        "exit_code": os.waitstatus_to_exitcode(status),
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(sample, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
