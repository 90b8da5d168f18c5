"""Production spend that somebody knows: so much a month, or a day."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from evalrunner.adapters.spend_rows import SpendRows
from evalrunner.values.spend import SpendRead, SpendSpec, days_between, exact_usd, shifted
from evalrunner.verdict.cost_ratio import MONTH_DAYS


class FixedSpend:
    """A :class:`~evalrunner.engine.ports.SpendSource` that says the same of every day.

    Args:
        spec: ``usd_per_day``, or ``usd_per_month`` of 30.4 days.
        now: The clock, in seconds since 1970.
    """

    def __init__(self, spec: SpendSpec, *, now: Callable[[], float]) -> None:
        self._spec = spec
        self._now = now

    def fetch(self, since: str, until: str) -> SpendRead:
        """The amount of each of the days."""
        daily = exact_usd(self._spec.text("usd_per_day"))
        if daily is None:
            daily = (exact_usd(self._spec.text("usd_per_month")) or Fraction(0)) / MONTH_DAYS
        rows = SpendRows(self._spec, since, until)
        for number in range(days_between(since, until)):
            rows.add(shifted(since, number), daily, {}, label="fixed")
        return rows.read(fetched_at=self._now())
