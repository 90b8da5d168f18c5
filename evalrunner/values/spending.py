"""What calls cost together: sums of a ledger's rows by any of their columns."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import ZERO, Picodollars

COLUMNS: Final = (
    "day",
    "run_id",
    "suite",
    "case_id",
    "check",
    "tier",
    "role",
    "provider",
    "model",
    "endpoint",
    "processing",
    "price_source",
)
"""What a ledger's calls can be added up by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCell:
    """The sums of the calls that agree in some columns.

    Attributes:
        key: The values of those columns, in the order asked for.
        attempts: Requests that were reserved, refused and repeated ones among them.
        calls: Those that were or may have been billed.
        errors: Those that were not.
        open: Those of ``calls`` of which nobody knows whether they were billed: reserved and never
            settled, or cut off in the middle.
        unpriced: Those of ``calls`` whose cost nobody knows.
        unmetered: Those of ``calls`` whose application does not say what they cost.
        inner_calls: Model calls that applications made for their answers, as far as they say.
        settled: What is known to have been paid.
        possibly_paid: The worst case of what may have been paid on top of it.

    Example:
        >>> part = SpendCell(key=("s",), attempts=2, calls=1, settled=Picodollars(5))
        >>> (part + part).settled, (part + part).attempts
        (10, 4)
    """

    key: tuple[str | None, ...] = ()
    attempts: int = 0
    calls: int = 0
    errors: int = 0
    open: int = 0
    unpriced: int = 0
    unmetered: int = 0
    inner_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    settled: Picodollars = ZERO
    possibly_paid: Picodollars = ZERO

    def __add__(self, other: SpendCell) -> SpendCell:
        sums = {name: getattr(self, name) + getattr(other, name) for name in FIGURES}
        return SpendCell(key=self.key, **sums)

    @property
    def upper(self) -> Picodollars:
        """The most that was paid, where every call has a price."""
        return Picodollars(self.settled + self.possibly_paid)

    @property
    def exact(self) -> bool:
        """Whether ``settled`` is what was paid: nothing is open, unpriced or unmetered."""
        return not (self.open or self.unpriced or self.unmetered)


FIGURES: Final = tuple(field.name for field in fields(SpendCell) if field.name != "key")
"""The names of a cell's sums."""
