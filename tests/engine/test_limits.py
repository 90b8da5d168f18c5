"""When to wait and when to ask again, on a clock that the tests own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.engine.limits import LONGEST_WAIT_SECONDS, Pace, RetryPolicy, TokenBucket
from evalrunner.engine.ports import RateHints
from evalrunner.errors import (
    CallTimeout,
    ContentFiltered,
    CredentialsRejected,
    MalformedReply,
    ModelCallError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RedirectRefused,
    RequestRejected,
    TargetFailed,
)

POLICY = RetryPolicy(attempts=4, base_seconds=0.5, cap_seconds=20.0)


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (ProviderUnavailable("502"), 1, 0.25),
        (ProviderUnavailable("502"), 2, 0.5),
        (ProviderUnavailable("502"), 3, 1.0),
        (ProviderUnavailable("502"), 4, None),
        (RateLimited("429"), 1, 0.25),
        (RateLimited("429", retry_after_seconds=3.0), 1, 3.25),
        (RateLimited("429", retry_after_seconds=LONGEST_WAIT_SECONDS + 1), 1, None),
        (MalformedReply("html"), 1, 0.25),
        (MalformedReply("html"), 2, None),
        (CallTimeout("slow"), 1, 0.25),
        (CallTimeout("slow"), 2, None),
        (CredentialsRejected("401"), 1, None),
        (QuotaExhausted("402"), 1, None),
        (RequestRejected("400"), 1, None),
        (ContentFiltered("no"), 1, None),
        (RedirectRefused("302"), 1, None),
        (TargetFailed("boom"), 1, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ModelCallError) else str(value),
)
def test_what_is_asked_again(error: ModelCallError, attempt: int, expected: float | None) -> None:
    assert POLICY.wait_seconds(error, attempt, 0.5) == expected


@given(st.integers(1, 3), st.floats(0, 0.999), st.floats(0, LONGEST_WAIT_SECONDS))
def test_never_earlier_than_asked(attempt: int, draw: float, asked: float) -> None:
    wait = POLICY.wait_seconds(RateLimited("429", retry_after_seconds=asked), attempt, draw)
    assert wait is not None
    assert asked <= wait <= asked + POLICY.base_seconds


@given(st.integers(1, 600), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_a_bucket_never_lets_more_through_than_its_rate(per_minute: int, gaps: list[float]) -> None:
    """Whoever waits as told sends at most the burst and what refilled meanwhile."""
    bucket, now, sent = TokenBucket(per_minute=per_minute, now=0.0), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + bucket.take(1, now=now))
    horizon = max(sent)
    burst = max(1.0, per_minute / 10.0)
    assert len(sent) <= burst + horizon * per_minute / 60.0 + 1e-6


def test_one_pause_speaks_for_all() -> None:
    pace = Pace(rpm=None, tpm=None, now=0.0)
    pace.pause(5.0, now=0.0)
    pace.pause(2.0, now=0.0)
    assert pace.book(tokens=1, now=1.0) == 4.0
    assert pace.paused_seconds(now=6.0) == 0.0


def test_a_pause_is_bounded() -> None:
    pace = Pace(rpm=None, tpm=None, now=0.0)
    pace.pause(1e9, now=0.0)
    assert pace.paused_seconds(now=0.0) == LONGEST_WAIT_SECONDS


def test_the_provider_knows_better_what_is_left() -> None:
    pace = Pace(rpm=600, tpm=None, now=0.0)
    assert pace.book(tokens=1, now=0.0) == 0.0
    pace.observe(RateHints(remaining_requests=0, reset_requests_seconds=7.0), now=0.0)
    assert pace.book(tokens=1, now=0.0) == 7.0


def test_tokens_are_paced_too() -> None:
    pace = Pace(rpm=None, tpm=6000, now=0.0)
    assert pace.book(tokens=600, now=0.0) == 0.0
    assert pace.book(tokens=100, now=0.0) == 1.0
