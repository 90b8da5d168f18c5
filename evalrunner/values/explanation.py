"""Why the cases of a run were hits or misses, as one value to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from evalrunner.values.cause import Explained, MissGroup
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import CaseResult, RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCase:
    """One case with every request of it."""

    case: CaseResult
    requests: Sequence[Explained]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What ``evalrunner explain`` says.

    Attributes:
        run: The run that is explained.
        cases: The cases that were asked about.
        misses: The misses among them by cause.
        started: When each run that is named began, by its id.
    """

    run: RunInfo
    cases: Sequence[ExplainedCase]
    misses: Sequence[MissGroup] = ()
    started: Mapping[str, str] = field(default_factory=dict)
