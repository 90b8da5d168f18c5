"""What stands in for a ledger that cannot be opened: a run that pays nothing needs none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from evalrunner.engine.ports import (
    Attempt,
    LedgerDay,
    LedgerEntry,
    Origin,
    PastEstimate,
    RunRow,
    Settlement,
    Usual,
)
from evalrunner.errors import LedgerError
from evalrunner.values.money import ZERO, Picodollars
from evalrunner.values.spending import SpendCell


class NoLedger:
    """A :class:`~evalrunner.engine.ports.LedgerBook` that records nothing, so that nothing may be paid.

    Args:
        error: Why there is no ledger; raised by whatever would have to be on record.
    """

    def __init__(self, error: LedgerError) -> None:
        self.error = error

    def reserve(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        """Raises, since nothing may be sent that is not on record."""
        raise self.error

    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Raises: nothing can have been reserved."""
        raise self.error

    def exchange(
        self, settlements: Iterable[Settlement], attempts: Sequence[Attempt]
    ) -> Sequence[bool]:
        """Raises, as both of its halves do."""
        raise self.error

    def record_run(self, rows: Sequence[RunRow]) -> None:
        """Forgets the run; that there is no ledger was said when it was opened."""

    def open_reservations(self, run_id: str) -> Picodollars | None:
        """Nothing was reserved."""
        return ZERO

    def began(self) -> float | None:
        """Nothing was written before this run."""
        return None

    def days(self, since: float, until: float) -> Sequence[LedgerDay]:
        """None are known."""
        return ()

    def held_in_month(self, at: float) -> Picodollars:
        """Nothing is known to be held; nothing more can be spent."""
        return ZERO

    def usual_usage(self) -> Mapping[tuple[str, str, str], Usual]:
        """No call is known."""
        return {}

    def past_estimates(self, suite: str, limit: int) -> Sequence[PastEstimate]:
        """No run is known."""
        return ()

    def entries(self, since: float, until: float) -> Iterator[LedgerEntry]:
        """None are known."""
        return iter(())

    def spending(self, since: float, until: float, by: Sequence[str]) -> Sequence[SpendCell]:
        """Nothing is known to be spent."""
        return ()

    def runs(self, since: float, until: float) -> Sequence[RunRow]:
        """None are known."""
        return ()

    def origins(self) -> Sequence[Origin]:
        """None are known."""
        return ()

    def add(
        self,
        entries: Iterable[LedgerEntry],
        runs: Iterable[RunRow],
        origins: Iterable[Origin],
    ) -> int:
        """Raises, since nothing can be kept."""
        raise self.error

    def close(self) -> None:
        """Nothing is open."""
