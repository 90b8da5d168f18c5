"""The fastest answer: a run that was made before, and nothing has changed since.

It verifies every byte that the recorded run has read, and then says the same again: a run document with
an id of its own, a row in the ledger, the same exit code. It imports neither the command line nor
configuration, templates, checks or clients.
"""

from __future__ import annotations

import json
import os
import sys
import time

from evalrunner.adapters.git import git_state
from evalrunner.adapters.ledger_schema import append_run
from evalrunner.adapters.run_files import prune_runs
from evalrunner.adapters.run_tags import run_tags
from evalrunner.adapters.unchanged_file import (
    asks_for_more,
    digest_of,
    key_of,
    listing_of,
    may_sign,
    ordinary_root,
    read_record,
    selection_of,
    status_of,
)
from evalrunner.adapters.uses_file import touch_run
from evalrunner.wiring.store_mark import identity_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_ELSEWHERE = ("EVALRUNNER_CONFIG", "EVALRUNNER_STATE_DIR")
_FORGIVEN = (1, 3, 4)


def answer_unchanged(arguments: Sequence[str]) -> int | None:
    """The exit code of ``evalrunner run`` with these arguments, ``None`` where it has to be run."""
    found = None if asks_for_more(arguments) else recorded(arguments)
    if found is None:
        return None
    record, root = found
    try:
        return _say_again(record, root, arguments)
    except OSError:
        return None  # what cannot be written down here is for the whole program to explain


def recorded(arguments: Sequence[str]) -> tuple[Mapping[str, Any], str] | None:
    """The record of the last such run and the project's root, if nothing has changed since.

    Only a project of the ordinary layout is looked at: ``evalrunner.yaml`` at its root, the state folder
    beside it, and one store: on disk in that folder, or on a server.
    """
    selection = selection_of(arguments)
    if selection is None or any(os.environ.get(name) for name in _ELSEWHERE):
        return None
    here = os.getcwd()
    root = ordinary_root(here)
    if root is None or may_sign(root):
        return None
    store = os.path.join(root, ".evalrunner", "cache")
    record = read_record(store, key_of(selection, os.path.relpath(here, root), os.environ))
    if record is None or not _holds(record, root, store):
        return None
    return record, root


def _holds(record: Mapping[str, Any], root: str, store: str) -> bool:
    """Whether every file, folder and store is what the recorded run saw."""
    return (
        all(digest_of(os.path.join(root, path)) == known for path, known in record["files"].items())
        and all(status_of(path) == known for path, known in record["models"].items())
        and all(
            listing_of(os.path.join(root, folder)) == known
            for folder, known in record["folders"].items()
        )
        and record["store"] == identity_at(record["mark"], record["hash"], store, os.environ)
        and touch_run(store, record["plain"]["answered_from"])
    )


def _say_again(record: Mapping[str, Any], root: str, arguments: Sequence[str]) -> int:
    now = time.time()
    run_id = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime(now)) + os.urandom(3).hex()
    exit_code = record["exit_code"]
    if "--warn-only" in arguments and exit_code in _FORGIVEN:
        exit_code = 0
    git = git_state(root)
    tags = json.dumps(run_tags(git, os.environ))
    ledger = os.path.join(root, ".evalrunner", "ledger.sqlite3")
    append_run(ledger, run_id, now, tags, record["rows"])
    head = record["head"]
    head["run"] = {
        **head["run"],
        "id": run_id,
        "started_at": stamp(now),
        "finished_at": stamp(time.time()),
        "git": git,
        "argv": sys.argv[1:],
        "frozen": "--frozen" in arguments,
        "exit_code": exit_code,
    }
    runs = os.path.join(root, ".evalrunner", "runs")
    _write(runs, run_id, json.dumps({**head, "cases": []}))
    prune_runs(runs)
    from evalrunner.reports.plain import render_unchanged

    page = render_unchanged(**record["plain"], exit_code=exit_code)
    if not exit_code and {"-q", "--quiet"} & set(arguments):
        page = page[: page.index("\n") + 1]
    sys.stdout.write(page)
    return int(exit_code)


def _write(folder: str, run_id: str, text: str) -> None:
    draft = os.path.join(folder, f".{run_id}.{os.getpid()}")
    with open(draft, "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.replace(draft, os.path.join(folder, f"{run_id}.json"))


def stamp(moment: float) -> str:
    """A moment as documents write it."""
    whole, rest = divmod(moment, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(rest * 1000):03d}Z"
