"""Spend and ratio over time, in a terminal and in a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from evalrunner.engine.ports import LedgerDay
from evalrunner.engine.spend_history import Period, SpendHistory
from evalrunner.reports.ledger_bars import bars
from evalrunner.reports.ledger_chart import draw
from evalrunner.values.money import PICO_PER_USD, Picodollars
from evalrunner.values.project import CostGateConfig
from evalrunner.verdict.cost_ratio import Share

POLICY = CostGateConfig()


def exactly(value: Fraction | str) -> Share:
    return Share(low=Fraction(value), high=Fraction(value))


def period(number: int, paid: int, share: Share | None, window: Share | None = None) -> Period:
    day = f"2026-11-{number:02d}"
    spend = LedgerDay(
        day=day, settled=Picodollars(paid * PICO_PER_USD), possibly_paid=Picodollars(0)
    )
    return Period(first=day, last=day, told=day, spend=spend, share=share, window=window)


HISTORY = SpendHistory(
    periods=[
        period(1, 9, exactly("0.09")),
        period(2, 0, exactly("0")),
        period(3, 18, exactly("0.15"), exactly("0.081")),
        period(4, 18, Share(low=Fraction(1, 10), high=Fraction(3, 10)), exactly("0.3")),
        period(5, 18, Share(low=Fraction(9, 10), high=Fraction(1))),
        replace(period(6, 3, None), told=None),
    ],
    compared=True,
)
EXPECTED = """\
day         paid                          5 %   15 %    30 %
2026-11-01  █████████            $9.00  █████   ┊       ┊     9 % watch
2026-11-02                          $0    ┊     ┊       ┊     0 % healthy
2026-11-03  ██████████████████  $18.00  ████████▎       ┊     15 % watch
2026-11-04  ██████████████████  $18.00  ████████████████▋     ≤ 30 % warning
2026-11-05  ██████████████████  $18.00  ███████████████████▶  ≥ 90 % critical
2026-11-06  ███                  $3.00    ┊     ┊       ┊

right: evals' part of model spend, with the lines of the gate's bands
28 days to 2026-11-04: 30 % warning
a ratio tells of the days on which production is known to the end
"""


def test_each_day_has_what_was_paid_and_its_ratio_between_the_lines() -> None:
    assert bars(HISTORY, POLICY) == EXPECTED


def test_a_ratio_over_production_has_lines_over_production() -> None:
    policy = CostGateConfig(basis="production", warning=Decimal("0.2"))
    text = bars(replace(HISTORY, periods=[period(1, 1, exactly(Fraction(1, 6)))]), policy)
    assert "20 % watch" in text and "part of production spend" in text


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (SpendHistory(periods=()), "nothing was paid"),
        (SpendHistory(periods=[period(1, 0, None)], compared=True), "nothing was paid"),
        (SpendHistory(periods=[period(1, 1, None)]), "add cost.production"),
        (SpendHistory(periods=[period(1, 1, None)], compared=True), "evalrunner spend"),
    ],
)
def test_without_a_ratio_it_is_said_why(history: SpendHistory, words: str) -> None:
    assert words in bars(history, POLICY)


def test_everything_fits_a_terminal() -> None:
    assert max(map(len, bars(HISTORY, POLICY).splitlines())) <= 80


@pytest.mark.parametrize("policy", [POLICY, CostGateConfig(fail_on="never", basis="production")])
def test_the_picture_has_both_halves_and_the_line_that_fails(
    tmp_path: Path, policy: CostGateConfig
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "a.svg"
    with _readable_text():
        draw(HISTORY, policy, path)
    picture = path.read_text()
    assert "What evals cost" in picture and "part of" in picture
    assert all(band in picture for band in ("healthy", "watch", "warning", "critical"))
    assert ("fails above 15 %" in picture) is (policy is POLICY)


def test_a_picture_of_spend_alone_has_one_half(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "a.svg"
    with _readable_text():
        draw(SpendHistory(periods=[period(1, 1, None)]), POLICY, path)
    assert "What evals cost" in path.read_text()
    assert "critical" not in path.read_text()


def _readable_text() -> AbstractContextManager[None]:
    """Text stays text in the picture, so that it can be looked for."""
    from matplotlib import rc_context

    return rc_context({"svg.fonttype": "none"})
