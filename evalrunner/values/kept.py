"""What a run takes over from an earlier one: rows of which every case passed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from evalrunner.values.dataclass import dataclass
from evalrunner.values.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRows:
    """Rows that are not judged again, because nothing that decides about them has changed.

    Attributes:
        passed: By suite, the ids of these rows (per prompt and target, that of draw 0).
        summary: The figures of all their cases, each request answered by the store.
    """

    passed: Mapping[str, Collection[str]] = field(default_factory=dict)
    summary: Summary = Summary()
