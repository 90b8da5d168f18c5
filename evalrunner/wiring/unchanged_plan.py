"""The plan of a run that would be answered as a whole: every request is a hit, and nothing has to be read."""

from __future__ import annotations

import json
import sys
import time

from evalrunner.adapters.unchanged_file import asks_for_more
from evalrunner.wiring.unchanged import recorded, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Object = dict[str, Any]

_OF_A_RUN = ("id", "seed")


def plan_unchanged(arguments: Sequence[str]) -> int | None:
    """The exit code of ``evalrunner plan`` with these arguments; ``None`` where it has to be planned.

    It is told from the record of the last such run, once every byte that this has read is verified.
    """
    as_json = "--json" in arguments
    words = [word for word in arguments if word != "--json"]
    found = None if asks_for_more(words) else recorded(words)
    if found is None or not found[0]["plain"]["cases"]:
        return None
    record, _ = found
    page = json.dumps(_document(record["head"])) + "\n" if as_json else _screen(record)
    sys.stdout.write(page)
    return 0


def _screen(record: Mapping[str, Any]) -> str:
    said = record["plain"]
    return (
        f"cache  {said['hits']:,} hits, 0 misses (100 %), {said['cache']}\n"
        f"cost   expected $0, at most $0, saved by the cache {said['saved']}\n"
        "calls  0\n\n"
        f"nothing to ask  {said['cases']:,} cases, nothing changed since run {said['answered_from']}\n"
    )


def _document(head: Object) -> Object:
    now = stamp(time.time())
    run = {key: value for key, value in head["run"].items() if key not in _OF_A_RUN}
    run |= {"started_at": now, "finished_at": now, "argv": sys.argv[1:], "exit_code": 0}
    summary, cache = head["summary"], head["summary"]["cache"]
    return {
        "schema": "evalrunner.plan/1",
        "run": run,
        "summary": {
            **_sums(summary),
            "by_suite": {
                name: {**_sums(part), "correction": None}
                for name, part in summary["by_suite"].items()
            },
        },
        "cache": {name: cache[name] for name in ("mode", "signing", "damaged")},
        "gates": [gate for gate in head["gates"] if gate["name"] == "budget"],
        "cost_ratio": head["cost_ratio"],
        "failures": [],
        "remedies": [],
        "misses": [],
        "warnings": head["warnings"],
    }


def _sums(part: Mapping[str, Any]) -> Object:
    return {
        "cases": part["cases"],
        "to_ask": 0,
        "cache": {
            "hits": part["cache"]["hits"],
            "misses": 0,
            "hit_rate": 1.0 if part["cache"]["hits"] else None,
            "misses_by_cause": {},
        },
        "calls": {
            "total": 0,
            "maximum": 0,
            "proxy": 0,
            "frontier": 0,
            "by_tier": {},
            "by_model": {},
        },
        "cost": {
            "avoided_usd": {"cache": part["cost"]["nominal_usd"]},
            "unpriced": [],
            "unmetered": [],
            "estimate": {"expected_usd": "0", "maximum_usd": "0"},
        },
    }
