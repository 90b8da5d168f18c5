"""What a ledger's history tells a run that is about to begin."""

from __future__ import annotations

from collections.abc import Iterable

from evalrunner.engine.habits import CORRECTED_BY, Habits, habits_of
from evalrunner.engine.ports import LedgerHistory
from evalrunner.errors import LedgerError

_LOOKED_AT = 4 * CORRECTED_BY
"""Past estimates that are read to find enough of those that teach something."""


def habits_in(ledger: LedgerHistory, suites: Iterable[str]) -> Habits:
    """What earlier runs of these suites tell; nothing where the ledger cannot be read."""
    try:
        usual = ledger.usual_usage()
        past = {suite: ledger.past_estimates(suite, _LOOKED_AT) for suite in suites}
    except LedgerError:
        return Habits()
    return habits_of(usual, past)
