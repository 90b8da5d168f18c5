"""Ceilings on spending: which sums they limit, and whether one more worst case fits below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The most that may be spent; ``None`` and a missing suite mean no limit.

    Attributes:
        run: By all processes of one run.
        suites: By one suite within one run.
        month: By all runs of one calendar month (UTC).
    """

    run: Picodollars | None = None
    suites: Mapping[str, Picodollars] = field(default_factory=dict[str, Picodollars])
    month: Picodollars | None = None

    def limits(self, suite: str) -> tuple[Picodollars | None, ...]:
        """The limit of each of :func:`scopes`, in the same order. A day is only counted, not limited."""
        return self.run, self.suites.get(suite), self.month, None

    def admit(
        self, sums: Mapping[str, int], scopes: tuple[str, ...], suite: str, worst: int | None
    ) -> bool:
        """Whether a call fits: its worst case takes no sum beyond its limit.

        A call of unknown cost fits only where nothing is limited.

        Args:
            sums: What each scope has spent and reserved so far; a missing one is 0.
            scopes: The scopes of the call.
            suite: The suite that pays.
            worst: The call's worst case, in picodollars.

        Example:
            >>> ceilings = Ceilings(run=Picodollars(10))
            >>> where = scopes("r1", "s", 0.0)
            >>> ceilings.admit({"run/r1": 7}, where, "s", 3), ceilings.admit({}, where, "s", None)
            (True, False)
        """
        return all(
            limit is None or (worst is not None and sums.get(scope, 0) + worst <= limit)
            for scope, limit in zip(scopes, self.limits(suite), strict=True)
        )


def scopes(run_id: str, suite: str, at: float) -> tuple[str, str, str, str]:
    """The names of the sums that a call counts in: its run's, its suite's, its month's, its day's.

    Example:
        >>> scopes("r1", "support", 1_767_225_600.0)
        ('run/r1', 'suite/r1/support', 'month/2026-01', 'day/2026-01-01')
    """
    return _scopes(run_id, suite, int(at // 86400))


def month_scope(at: float) -> str:
    """The name of the sum of the month of a moment."""
    return f"month/{utc_day(at)[:7]}"


def utc_day(at: float) -> str:
    """The day of a moment, as it is written in scopes.

    Example:
        >>> utc_day(1_767_225_599.9)
        '2025-12-31'
    """
    return _day(int(at // 86400))


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86400, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=256)
def _scopes(run_id: str, suite: str, number: int) -> tuple[str, str, str, str]:
    day = _day(number)
    return f"run/{run_id}", f"suite/{run_id}/{suite}", f"month/{day[:7]}", f"day/{day}"
