"""What a user should know before trusting a run: one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from evalrunner.engine.case import EvalCase
from evalrunner.values.exchange import TargetRequest
from evalrunner.values.spec import Endpoint
from evalrunner.wiring.suites import Assembly

_DATED: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}|-\d{4}$|@")


def warnings(assembly: Assembly, cases: Sequence[EvalCase]) -> list[str]:
    """Undated model aliases in one line, and answers that cannot be kept in another."""
    undated = sorted(name for name, one in assembly.endpoints.items() if _is_undated(one))
    found: list[str] = []
    if undated:
        found.append(
            f"{', '.join(undated)}: no dated model id, so that the provider may change the model "
            "behind cached answers; the served id is in the run document, cache.max_age bounds it"
        )
    uncached = {
        case.target.endpoint
        for case in cases
        if isinstance(case.target, TargetRequest) and not case.target.cacheable
    }
    found += [
        f"{name}: answers are not cached; give the target a version:" for name in sorted(uncached)
    ]
    return found


def _is_undated(endpoint: Endpoint) -> bool:
    if endpoint.provider in ("local", "application"):
        return False
    return '"revision"' not in endpoint.identity and not _DATED.search(endpoint.model)
