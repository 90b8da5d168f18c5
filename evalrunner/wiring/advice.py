"""What a user should know before trusting a run: one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from evalrunner.checks.registry import cautions
from evalrunner.values.spec import Endpoint, Suite
from evalrunner.verdict.stats import gate_reachable

_DATED: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}|-\d{4}$|@")


def undated_aliases(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    """One line for all models whose provider may change what answers under their name."""
    undated = sorted(endpoint.name for endpoint in endpoints if _is_undated(endpoint))
    if undated:
        yield (
            f"{', '.join(undated)}: no dated model id, so that the provider may change the model "
            "behind cached answers; the served id is in the run document, cache.max_age bounds it"
        )


def uncached_targets(names: Iterable[str]) -> Iterator[str]:
    """A line for each application whose answers cannot be kept."""
    for name in sorted(names):
        yield f"{name}: answers are not cached; give the target a version:"


def check_cautions(suites: Iterable[Suite]) -> Iterator[str]:
    """A line for each check that is allowed, but decides nothing or not what it seems to."""
    for suite in suites:
        if not suite.checks:
            yield f"{suite.path}: no checks, so that every answer passes unless its row has some"
        for spec in suite.checks:
            yield from map(str, cautions(spec))


def unreachable_gate(suite: Suite, rows: int) -> Iterator[str]:
    """A line where so many rows, all of them passed, would still leave the gate inconclusive."""
    gate = suite.gate
    if gate.confidence is None or gate_reachable(rows, gate.min_pass_rate, gate.confidence):
        return
    yield (
        f"{suite.path}: {rows:,} cases are too few for min_pass_rate {gate.min_pass_rate} with "
        f"confidence {gate.confidence:g}: the gate stays inconclusive even if all of them pass"
    )


def _is_undated(endpoint: Endpoint) -> bool:
    if endpoint.provider in ("local", "application"):
        return False
    return '"revision"' not in endpoint.identity and not _DATED.search(endpoint.model)
