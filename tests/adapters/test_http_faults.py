"""What refusals and headers mean, as tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner import errors
from evalrunner.adapters.credentials import KeyRing
from evalrunner.adapters.http_faults import classify, rate_hints, retry_after_seconds
from evalrunner.engine.ports import RateHints

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("1m30s", 90.0),
        ("2h", 3600.0),
        ("250ms", 0.25),
        ("6m0s", 360.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("2026-01-01T00:00:30Z", 30.0),
        ("2026-01-01T01:00:30+01:00", 30.0),
        ("2026-01-01T00:00:30", 30.0),
        ("86400", 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("abc", None),
        ("1m30", None),
        ("m", None),
        ("٣", None),
        ("9" * 400, None),
        ("2026-13-45", None),
    ],
)
def test_retry_after_in_its_forms(header: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": header}, NOW) == seconds


def test_milliseconds_win_over_seconds() -> None:
    assert retry_after_seconds({"retry-after-ms": "20", "retry-after": "7"}, NOW) == 0.02
    assert retry_after_seconds({"retry-after-ms": "x", "retry-after": "7"}, NOW) == 7.0
    assert retry_after_seconds({}, NOW) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_makes_a_wait_out_of_range(header: str, milliseconds: str) -> None:
    wait = retry_after_seconds({"retry-after": header, "retry-after-ms": milliseconds}, NOW)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= 3600)


def test_limits_in_the_form_of_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "-1",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert rate_hints(headers, now=NOW) == RateHints(
        remaining_requests=59,
        limit_requests=60,
        limit_tokens=150_000,
        reset_requests_seconds=1.0,
        reset_tokens_seconds=360.0,
    )


def test_limits_in_the_form_of_anthropic() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:10Z",
    }
    assert rate_hints(headers, now=NOW) == RateHints(
        remaining_requests=3, limit_tokens=1000, reset_tokens_seconds=10.0
    )
    assert rate_hints({"server": "x"}, now=NOW) == RateHints()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"", errors.RateLimited),
        (429, b'{"error":{"type":"insufficient_quota"}}', errors.QuotaExhausted),
        (429, b'{"error":{"message":"You exceeded your current quota"}}', errors.QuotaExhausted),
        (402, b"", errors.QuotaExhausted),
        (400, b'{"error":{"message":"Your credit balance is too low"}}', errors.QuotaExhausted),
        (401, b"\xff\xfe", errors.CredentialsRejected),
        (403, b"[]", errors.CredentialsRejected),
        (400, b'{"error":"context length exceeded"}', errors.RequestRejected),
        (400, b'{"error":{"code":"content_filter"}}', errors.ContentFiltered),
        (404, b"[" * 70_000, errors.RequestRejected),
        (405, b"", errors.RequestRejected),
        (418, b"", errors.RequestRejected),
        (408, b"", errors.ProviderUnavailable),
        (500, b"", errors.ProviderUnavailable),
        (501, b"", errors.RequestRejected),
        (599, b"", errors.ProviderUnavailable),
        (301, b"", errors.RedirectRefused),
        (304, b"", errors.RedirectRefused),
        (200, b'{"error":{"code":401}}', errors.CredentialsRejected),
        (200, b'{"error":{"message":"Rate limit reached"}}', errors.RateLimited),
        (200, b'{"error":{"type":"server_error"}}', errors.ProviderUnavailable),
        (200, b'{"error":{"message":"insufficient credits"}}', errors.QuotaExhausted),
        (200, b'{"error":"unknown parameter"}', errors.RequestRejected),
        (200, b'[{"error":{"code":503,"status":"UNAVAILABLE"}}]', errors.ProviderUnavailable),
    ],
)
def test_a_refusal_has_one_meaning(
    status: int, body: bytes, kind: type[errors.ModelCallError]
) -> None:
    error = classify(status, {"retry-after": "5"}, body, now=NOW)
    assert type(error) is kind
    assert error.status == status
    waits = kind in {errors.RateLimited, errors.ProviderUnavailable}
    assert error.retry_after_seconds == (5.0 if waits else None)


@pytest.mark.parametrize(
    ("status", "wait", "hint"),
    [
        (429, "119", None),
        (429, "121", "it asks to wait 121 s, longer than a run waits; run again after that"),
        (
            503,
            "86400",
            "it asks to wait an hour or more, longer than a run waits; run again after that",
        ),
        (404, "", "check the address, and the name of the model there"),
        (400, "", None),
    ],
)
def test_what_helps_is_said(status: int, wait: str, hint: str | None) -> None:
    assert classify(status, {"retry-after": wait}, b"", now=NOW).hint == hint


def test_a_secret_is_taken_out_before_the_text_is_cut() -> None:
    key = "sk-live-" + "0123456789abcdef" * 2
    keys = KeyRing({"SOME_API_KEY": key})
    for padding in range(250, 300):
        body = f'{{"error": {{"message": "{"x" * padding}{key} tail"}}}}'.encode()
        message = classify(401, {}, body, now=NOW, redact=keys.redact).message
        assert "sk-live" not in message
        assert "0123456789ab" not in message
        assert len(message) < 340


@given(st.integers(min_value=200, max_value=599), st.binary(max_size=200))
def test_any_body_becomes_one_short_printable_line(status: int, body: bytes) -> None:
    message = classify(status, {}, body, now=NOW).message
    assert message.isprintable()
    assert len(message) < 340
