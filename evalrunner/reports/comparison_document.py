"""The comparison of two runs for programs: ``evalrunner.compare/1``."""

from __future__ import annotations

import json
from typing import Final

from evalrunner.reports.safe_text import raw
from evalrunner.values.result import Estimate, RunReport
from evalrunner.verdict.changes import CaseChange, RunChanges, Significance

SCHEMA: Final = "evalrunner.compare/1"


def to_json(changes: RunChanges, base: RunReport, head: RunReport) -> str:
    """The document, ASCII, ending in a newline. Ids are those of the run documents."""
    score = changes.score
    document = {
        "schema": SCHEMA,
        "base": base.run.id,
        "head": head.run.id,
        "alpha": changes.alpha,
        "worse": changes.worse,
        "better": changes.better,
        "chance": _chance(changes.chance),
        "by_suite": {name: _chance(each) for name, each in changes.by_suite.items()},
        "pass_rate": {"base": _rate(changes.base_rate), "head": _rate(changes.head_rate)},
        "score": None
        if score is None
        else {
            "mean": score.mean,
            "low": score.low,
            "high": score.high,
            "n": score.n,
            "clusters": score.clusters,
            "confidence": score.confidence,
        },
        "unchanged": changes.unchanged,
        "regressions": [_change(each) for each in changes.regressions],
        "improvements": [_change(each) for each in changes.improvements],
        "undecided": list(changes.undecided),
        "added": list(changes.added),
        "removed": list(changes.removed),
        "checks": [
            {"suite": each.suite, "type": each.type, "change": each.change, "rows": each.rows}
            for each in changes.checks
        ],
    }
    return json.dumps(document, allow_nan=False, indent=1) + "\n"


def _chance(chance: Significance) -> dict[str, float]:
    return {"p_worse": chance.worse, "p_better": chance.better}


def _rate(rate: Estimate) -> dict[str, float | None]:
    return {"value": rate.value, "low": rate.low, "high": rate.high, "n": rate.n}


def _change(change: CaseChange) -> dict[str, object]:
    return {
        "id": change.id,
        "suite": change.suite,
        "check": change.check,
        "reason": raw(change.reason),
        "flaky": change.flaky,
    }
