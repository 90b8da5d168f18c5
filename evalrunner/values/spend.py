"""Production spend: where it is looked up, and what was found there, by UTC day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json

EVALS: Final = "evals"
"""Why a row is left out that ``exclude`` matches: it is testing, and the ledger has it."""

ELSEWHERE: Final = "not selected"
"""Why a row is left out that ``where`` does not match."""

Facts = Mapping[str, str | None]
"""What a row of a source says about itself, by the source's own names: project, key, model, tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which rows of a source are production.

    A pattern is a text, in which ``*`` stands for anything. A fact that a row does not state matches
    nothing.

    Attributes:
        where: By fact the patterns of which one must match; all facts must.
        exclude: By fact the patterns that mark a row as testing; one is enough.
    """

    where: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    exclude: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @property
    def names(self) -> frozenset[str]:
        """The facts that are asked for."""
        return frozenset(self.where) | frozenset(self.exclude)

    def left_out(self, facts: Facts) -> str | None:
        """Why a row is not counted, or ``None`` where it is production.

        Example:
            >>> rows = RowFilter(exclude={"key": ["eval-*"]})
            >>> rows.left_out({"key": "eval-ci"}), rows.left_out({"key": None})
            ('evals', None)
        """
        if any(_matches(facts.get(name), wanted) for name, wanted in self.exclude.items()):
            return EVALS
        if all(_matches(facts.get(name), wanted) for name, wanted in self.where.items()):
            return None
        return ELSEWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendSpec:
    """One source of ``cost.production``, as configured.

    Attributes:
        source: Its kind: ``fixed``, ``focus``, ``openai`` and so on.
        name: What reports call it; two sources never share one.
        filter: Which of its rows are production.
        covers: The providers whose bills it sees; ``*`` for any. Two sources must not see one bill.
        reconcile_only: Shown beside the others, and not added to them.
        includes_evals: What it says includes the evals, so that the ledger's sum is taken off.
        fx: What a unit of a currency is worth in dollars, by its ISO code.
        settle_days: How many days after its end a day's spend is complete.
        stale_after_days: How long ago its last complete day may be.
        options: What only its kind knows: a path, an address, a column.
    """

    source: str
    name: str
    filter: RowFilter = RowFilter()
    covers: tuple[str, ...] = ()
    reconcile_only: bool = False
    includes_evals: bool = False
    fx: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    settle_days: int = 1
    stale_after_days: int = 3
    options: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def text(self, name: str, default: str = "") -> str:
        """An option that is a text."""
        value = self.options.get(name)
        return value if isinstance(value, str) else default

    def texts(self, name: str) -> tuple[str, ...]:
        """An option that is a text or a list of them."""
        value = self.options.get(name)
        if isinstance(value, str):
            return (value,)
        listed = value if isinstance(value, Sequence) else ()
        return tuple(item for item in listed if isinstance(item, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendPart:
    """What a source says about one day: some rows of it that are counted, or left out, alike.

    Attributes:
        day: ``YYYY-MM-DD``, UTC.
        usd: Exact; negative for a correction; ``None`` where the source does not say.
        rows: How many rows of the source this is.
        left_out: Why it is not counted; ``None`` where it is.
        label: The model, service or key that the money went to.
    """

    day: str
    usd: Fraction | None
    rows: int = 1
    left_out: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRead:
    """What one source said.

    Attributes:
        parts: Its rows, put together by day, label and fate, in order.
        since: The first day that it speaks of.
        through: The last day that is complete.
        fetched_at: When it was asked, in seconds since 1970.
        notes: What a reader should know: rows that could not be read, a currency that was converted.
    """

    parts: tuple[SpendPart, ...]
    since: str
    through: str
    fetched_at: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """One source at one moment: what it says, and how that came to be known.

    Attributes:
        spec: Which source.
        read: What it said; ``None`` where neither it nor a kept snapshot says anything.
        kept: Whether ``read`` is a snapshot, taken because the source does not answer now.
        error: Why it does not answer.
    """

    spec: SpendSpec
    read: SpendRead | None
    kept: bool = False
    error: str | None = None


def exact_usd(value: object) -> Fraction | None:
    """An amount as somebody else wrote it, exactly; ``None`` where it is no usable number.

    Example:
        >>> exact_usd("0.10"), exact_usd("NaN"), exact_usd(True), exact_usd("1e999999")
        (Fraction(1, 10), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or abs(number) > _LARGEST or (number and number.adjusted() < -40):
        return None
    return Fraction(number) if len(number.as_tuple().digits) <= _MOST_DIGITS else None


_LARGEST: Final = Decimal(10) ** 12
_MOST_DIGITS: Final = 60


def shifted(day: str, days: int) -> str:
    """The day so many days later.

    Example:
        >>> shifted("2026-03-01", -1)
        '2026-02-28'
    """
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def days_between(first: str, last: str) -> int:
    """How many days lie from *first* to *last*, both among them; 0 where *last* is earlier."""
    return max(0, (date.fromisoformat(last) - date.fromisoformat(first)).days + 1)


def _matches(fact: str | None, patterns: Sequence[str]) -> bool:
    return fact is not None and any(fnmatchcase(fact, pattern) for pattern in patterns)
