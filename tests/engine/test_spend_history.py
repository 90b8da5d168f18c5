"""Evals' part of all model spend over time: by day, by week, and in the gate's window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from evalrunner.engine.ports import LedgerDay
from evalrunner.engine.spend_history import SpendHistory, spend_history
from evalrunner.values.money import PICO_PER_USD, Picodollars
from evalrunner.values.spend import (
    SourceSeen,
    SpendPart,
    SpendRead,
    SpendSpec,
    days_between,
    shifted,
)

SPEC = SpendSpec(source="fixed", name="fixed")
FIRST, LAST = "2026-11-02", "2026-11-15"  # a Monday, and the Sunday after next


def usd(amount: int) -> Picodollars:
    return Picodollars(amount * PICO_PER_USD)


def day(name: str, paid: int, possibly: int = 0, unmetered: int = 0) -> LedgerDay:
    return LedgerDay(
        day=name, settled=usd(paid), possibly_paid=usd(possibly), unmetered_calls=unmetered
    )


def production(
    daily: int, *, since: str = "2026-09-01", through: str = LAST, spec: SpendSpec = SPEC
) -> SourceSeen:
    parts = tuple(
        SpendPart(day=shifted(since, n), usd=Fraction(daily), rows=1)
        for n in range(days_between(since, through))
    )
    read = SpendRead(parts=parts, since=since, through=through, fetched_at=0.0)
    return SourceSeen(spec=spec, read=read)


def history(*days: LedgerDay, seen: tuple[SourceSeen, ...], **changes: object) -> SpendHistory:
    given = {"first": FIRST, "last": LAST, "began": "2026-01-01", "window_days": 7, **changes}
    return spend_history(days, seen, **given)  # type: ignore[arg-type]


def highs(found: SpendHistory) -> Mapping[str, Fraction | None]:
    return {one.first: one.share.high if one.share else None for one in found.periods}


def test_each_day_is_beside_its_own_production_and_no_day_is_left_out() -> None:
    found = history(day("2026-11-02", 15), day("2026-11-05", 85), seen=(production(85),))
    assert highs(found) == {
        "2026-11-02": Fraction(15, 100),
        "2026-11-03": 0,
        "2026-11-04": 0,
        "2026-11-05": Fraction(1, 2),
    }
    assert not found.weekly and found.compared


def test_the_window_ends_with_the_day_and_reaches_back_before_the_span() -> None:
    before = day(shifted(FIRST, -6), 70)
    found = history(before, day(FIRST, 0), day(shifted(FIRST, 1), 0), seen=(production(10),))
    windows = [one.window.high for one in found.periods if one.window]
    assert windows == [Fraction(70, 140), 0]


def test_a_ledger_that_is_younger_than_the_window_has_none() -> None:
    found = history(day(FIRST, 5), seen=(production(5),), began=shifted(FIRST, -5))
    assert found.periods[0].share is not None and found.periods[0].window is None
    found = history(day(FIRST, 5), seen=(production(5),), began=shifted(FIRST, -6))
    assert found.periods[0].window is not None


@pytest.mark.parametrize(
    "other",
    [
        replace(production(5), read=None),
        production(5, through="2026-11-02"),
        production(5, since="2026-11-04"),
    ],
)
def test_a_day_that_one_source_does_not_speak_of_has_no_ratio(other: SourceSeen) -> None:
    found = history(day("2026-11-03", 5), seen=(production(5), other))
    assert found.periods[0].share is None and found.periods[0].told is None


def test_an_amount_that_is_open_leaves_its_day_without_a_ratio() -> None:
    seen = production(5)
    assert seen.read is not None
    parts = (*seen.read.parts, SpendPart(day="2026-11-03", usd=None, rows=1))
    seen = replace(seen, read=replace(seen.read, parts=parts))
    found = history(day("2026-11-03", 5), day("2026-11-04", 5), seen=(seen,))
    assert list(highs(found).values()) == [None, Fraction(1, 2)]


def test_what_is_shown_beside_or_left_out_counts_for_nothing() -> None:
    beside = production(1000, spec=replace(SPEC, name="b", reconcile_only=True))
    seen = production(5)
    assert seen.read is not None
    parts = (*seen.read.parts, SpendPart(day=FIRST, usd=Fraction(99), rows=1, left_out="evals"))
    seen = replace(seen, read=replace(seen.read, parts=parts))
    assert highs(history(day(FIRST, 5), seen=(seen, beside))) == {FIRST: Fraction(1, 2)}


def test_evals_are_taken_off_what_includes_them() -> None:
    spec = replace(SPEC, includes_evals=True)
    assert highs(history(day(FIRST, 15), seen=(production(100, spec=spec),))) == {
        FIRST: Fraction(15, 100)
    }


def test_an_interval_stays_one_and_what_nobody_counts_has_no_upper_end() -> None:
    found = history(day(FIRST, 10, possibly=10), seen=(production(80),))
    share = found.periods[0].share
    assert share is not None and (share.low, share.high) == (Fraction(1, 9), Fraction(1, 5))
    found = history(day(FIRST, 20, unmetered=1), seen=(production(80),))
    share = found.periods[0].share
    assert share is not None and (share.low, share.high) == (Fraction(1, 5), 1)


def test_many_days_become_weeks_and_the_last_tells_of_the_days_that_are_known() -> None:
    found = history(
        day("2026-09-30", 8),
        day("2026-11-11", 40),
        day("2026-11-15", 1000),
        seen=(production(10, through="2026-11-12"),),
        first="2026-09-01",
    )
    assert found.weekly
    assert [one.first for one in found.periods][:2] == ["2026-09-28", "2026-10-05"]
    last = found.periods[-1]
    assert (last.first, last.last, last.told) == ("2026-11-09", "2026-11-15", "2026-11-12")
    assert last.share is not None and last.share.high == Fraction(40, 80)
    assert last.spend.settled == usd(1040)


def test_without_anything_there_is_nothing_to_show() -> None:
    assert not history(seen=(production(1),)).periods
    found = history(day(FIRST, 1), seen=())
    assert not found.compared and found.periods[0].share is None
