from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from evalrunner.reports.plain import render_unchanged
from evalrunner.reports.progress import Counts, RunProgress, progress_for
from evalrunner.values.money import Picodollars


class Hours:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def feed(progress: RunProgress, clock: Hours, seconds: int) -> None:
    with progress:
        for _ in range(seconds):
            clock.now += 1
            progress.case_done("passed")
            progress.call_done(Picodollars(10**9))


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    log, clock = io.StringIO(), Hours()
    feed(progress_for(log, total=100, monotonic=clock), clock, 35)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "10/100 cases  1/s  9 calls, $0.009"


def test_quiet_says_nothing_anywhere() -> None:
    for stream in (io.StringIO(), Tty()):
        clock = Hours()
        feed(progress_for(stream, total=None, monotonic=clock, quiet=True), clock, 50)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = Tty(), Hours()
    feed(progress_for(stream, total=5, monotonic=clock), clock, 5)
    assert "5/5 cases" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


@pytest.mark.parametrize(
    ("tell", "part"),
    [
        (lambda counts: counts.call_done(None), "1 calls, unknown"),
        (lambda counts: counts.case_done("not_run"), "1 not run"),
        (lambda counts: counts.case_done("failed"), "1 failed"),
    ],
)
def test_the_line_says_what_is_not_well(tell: Callable[[Counts], None], part: str) -> None:
    counts = Counts(None, lambda: 1.0)
    tell(counts)
    assert part in counts.line()


def test_an_unchanged_run_says_why_it_failed() -> None:
    page = render_unchanged(
        cases=20,
        passed=18,
        failed=1,
        other=1,
        hits=40,
        saved="$0.01",
        cache="frozen, unsigned",
        answered_from="r1",
        failures=("support: 94.7 % of 19 passed, at least 95 % must", "another"),
        exit_code=1,
    )
    assert page.splitlines() == [
        "failed  18 of 20 cases passed, 1 failed, 1 without a verdict, nothing changed since run r1",
        "cost    paid $0, saved by the cache $0.01",
        "cache   40 hits, 0 misses (100 %), frozen, unsigned",
        "exit 1  support: 94.7 % of 19 passed, at least 95 % must (and 1 more)",
    ]
