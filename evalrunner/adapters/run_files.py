"""Run documents as files: written whole, and pruned without losing what a kept one refers to."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_RUNS = 20
ENDING = ".json"

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REFERS = re.compile(rb'"answered_from": ?"([A-Za-z0-9._-]{1,128})"')
_HEAD_BYTES = 16 * 1024


def is_run_id(text: str) -> bool:
    """Whether a text can be the id of a run, and so the name of a file."""
    return _RUN_ID.fullmatch(text) is not None


def run_ids(folder: str) -> list[str]:
    """The ids of the runs whose documents are in the folder, newest first."""
    dated: list[tuple[int, str]] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                stem, ending = os.path.splitext(entry.name)
                if ending == ENDING and is_run_id(stem):
                    dated.append((entry.stat(follow_symlinks=False).st_mtime_ns, stem))
    except OSError:
        return []
    return [run_id for _, run_id in sorted(dated, reverse=True)]


def prune_runs(folder: str, *, keep: Iterable[str] = (), newest: int = KEPT_RUNS) -> int:
    """Removes all but the newest documents and those that they were answered from. Returns how many."""
    ids = run_ids(folder)
    if len(ids) <= newest:
        return 0
    wanted = {*ids[:newest], *keep}
    wanted |= {source for run_id in ids[:newest] for source in _answered_from(folder, run_id)}
    removed = 0
    for run_id in ids:
        if run_id not in wanted:
            try:
                os.unlink(os.path.join(folder, run_id + ENDING))
            except OSError:
                continue
            removed += 1
    return removed


def _answered_from(folder: str, run_id: str) -> list[str]:
    try:
        with open(os.path.join(folder, run_id + ENDING), "rb") as file:
            return [found.decode() for found in _REFERS.findall(file.read(_HEAD_BYTES))]
    except OSError:
        return []
