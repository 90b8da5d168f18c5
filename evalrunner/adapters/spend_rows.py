"""Rows of any source of spend, put together by day: filtered, converted, and never guessed at."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from fractions import Fraction

from evalrunner.errors import ConfigError
from evalrunner.values.spend import Facts, SpendPart, SpendRead, SpendSpec, shifted

_LABEL_LENGTH = 120
_MOST_NOTES = 20


class SpendRows:
    """Collects rows, and becomes a :class:`~evalrunner.values.spend.SpendRead`.

    Args:
        spec: The source: which of its rows are production, and what currencies are worth.
        since: The first day that is asked for.
        until: The last day that is asked for.
    """

    def __init__(self, spec: SpendSpec, since: str, until: str) -> None:
        self._spec = spec
        self._since = since
        self._until = until
        self._sums: dict[tuple[str, str, str], tuple[Fraction, int]] = {}
        self._unknown: dict[tuple[str, str, str], int] = {}
        self._notes: dict[str, None] = {}

    def add(
        self,
        day: str,
        usd: Fraction | None,
        facts: Facts,
        *,
        label: str = "",
        currency: str = "USD",
        left_out: str | None = None,
    ) -> None:
        """Adds one row.

        Args:
            day: ``YYYY-MM-DD``; a row of a day that was not asked for is left away.
            usd: The amount in *currency*; ``None`` where it is unknown.
            facts: What the filter looks at.
            label: What the money went to.
            currency: An ISO code.
            left_out: Why it is not counted, whatever the filter says.

        Raises:
            ConfigError: The currency has no rate.
        """
        if not self._since <= day <= self._until:
            if day > shifted(self._until, 2):
                self.note(f"rows of {day}, which has not come yet, are not counted")
            return
        fate = left_out or self._spec.filter.left_out(facts) or ""
        key = (day, _one_line(label), fate)
        if usd is None:
            self._unknown[key] = self._unknown.get(key, 0) + 1
            return
        amount = usd if currency == "USD" or not usd else self._converted(usd, currency)
        known, rows = self._sums.get(key, (Fraction(0), 0))
        self._sums[key] = (known + amount, rows + 1)

    @property
    def settled(self) -> str:
        """The last of the days that were asked for of which everything is known by now."""
        return shifted(self._until, -self._spec.settle_days)

    def note(self, text: str) -> None:
        """Tells a reader something, once."""
        if len(self._notes) < _MOST_NOTES:
            self._notes.setdefault(_one_line(text, 300))

    def read(
        self, *, fetched_at: float, since: str | None = None, through: str | None = None
    ) -> SpendRead:
        """All of it.

        Args:
            fetched_at: Now, in seconds since 1970.
            since: The first day that the source speaks of; by default the one that was asked for.
            through: Its last complete day; by default the last one, but for the days that settle.
        """
        settled = self.settled
        found = [_part(key, usd, rows) for key, (usd, rows) in self._sums.items()]
        found += [_part(key, None, rows) for key, rows in self._unknown.items()]
        opened = sum(rows for (_, _, fate), rows in self._unknown.items() if not fate)
        if opened:
            self.note(f"{opened} rows do not say an amount")
        return SpendRead(
            parts=tuple(
                sorted(found, key=lambda part: (part.day, part.label, part.left_out or ""))
            ),
            since=since or self._since,
            through=min(through or settled, settled),
            fetched_at=fetched_at,
            notes=tuple(self._notes),
        )

    def _converted(self, amount: Fraction, currency: str) -> Fraction:
        rate = self._spec.fx.get(currency)
        if rate is None:
            raise ConfigError(
                f"the source of spend {self._spec.name!r} speaks of {currency[:8]!r}, not of USD",
                hint=f"say what it is worth: fx: {{{currency[:8]}: 1.08}}",
            )
        self.note(f"{currency} is converted at {float(rate):g} USD")
        return amount * rate


def day_or_none(text: object) -> str | None:
    """The day that a text begins with, ``None`` where it begins with none.

    Example:
        >>> day_or_none("2026-11-01T00:00:00Z"), day_or_none("yesterday"), day_or_none(None)
        ('2026-11-01', None, None)
    """
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text.strip()[:10]).isoformat()
    except ValueError:
        return None


def require_facts(spec: SpendSpec, known: Collection[str]) -> None:
    """Refuses a filter on what a source does not tell.

    Raises:
        ConfigError: It names another fact.
    """
    strange = sorted(spec.filter.names - set(known))
    if strange:
        raise ConfigError(
            f"the source of spend {spec.name!r} says nothing about {strange[0]!r}",
            hint=f"where: and exclude: may name {', '.join(sorted(known))}",
        )


def _part(key: tuple[str, str, str], usd: Fraction | None, rows: int) -> SpendPart:
    day, label, fate = key
    return SpendPart(day=day, usd=usd, rows=rows, left_out=fate or None, label=label)


def _one_line(text: str, length: int = _LABEL_LENGTH) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:length]
