"""What a provider's refusal means, and what its headers say about limits and waiting."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from evalrunner.engine.limits import LONGEST_WAIT_SECONDS as LONGEST_WAIT_OF_A_RUN
from evalrunner.engine.ports import RateHints
from evalrunner.errors import (
    ContentFiltered,
    CredentialsRejected,
    ModelCallError,
    ProviderUnavailable,
    QuotaExhausted,
    RateLimited,
    RedirectRefused,
    RequestRejected,
)

LONGEST_WAIT_SECONDS: Final = 3600.0
_SHOWN_CHARACTERS: Final = 300
_READ_BYTES: Final = 64 * 1024

_QUOTA: Final = re.compile(
    r"insufficient[_ ]quota|exceeded your current quota|billing[_ ](?:hard[_ ]limit|not[_ ]active)"
    r"|insufficient[_ ](?:balance|credits?|funds)|credit balance is too low|payment[_ ]required"
)
_FILTERED: Final = re.compile(
    r"content[_ ]?filter|content[_ ]policy|responsibleaipolicyviolation|content management policy"
)
_LIMITED: Final = re.compile(r"rate[_ ]?limit|too many requests|resource[_ ]exhausted")
_CREDENTIALS: Final = re.compile(
    r"invalid[_ ]api[_ ]key|incorrect api key|authentication[_ ]error|unauthorized|permission[_ ]denied"
)
_BUSY: Final = re.compile(
    r"overloaded|server[_ ]error|internal[_ ]error|unavailable|timed? ?out|bad gateway"
)

_HINTS: Final[Mapping[type[ModelCallError], str]] = {
    CredentialsRejected: "check the key that api_key_env names, and that it belongs to this host",
    QuotaExhausted: "top up the account, or name another model",
    RedirectRefused: "write the address that it redirects to as base_url, if you trust it",
}

Redact = Callable[[str], str]


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    redact: Redact = str,
) -> ModelCallError:
    """The error that a reply stands for; it is returned, not raised.

    A 2xx status is classified by what its error object says. The provider's text is redacted, then
    cleaned of control characters, then cut; it never reaches a message otherwise.

    Args:
        status: The status on the wire.
        headers: The reply's headers, in lower case.
        body: The reply's body.
        now: Seconds since 1970, for dates in ``Retry-After``.
        redact: Removes every secret that was loaded from a text.
    """
    words = _error_words(body)
    kind = _kind(status, words.lower())
    shown = shown_text(words, redact)
    wait = retry_after_seconds(headers, now) if kind in {RateLimited, ProviderUnavailable} else None
    if kind is RedirectRefused:
        shown = ""
    return kind(
        f"the provider answered {status}" + (f": {shown}" if shown else ""),
        hint=_hint(kind, status, wait),
        status=status,
        retry_after_seconds=wait,
        possibly_paid=200 <= status < 300,
    )


def _hint(kind: type[ModelCallError], status: int, wait: float | None) -> str | None:
    if wait is not None and wait > LONGEST_WAIT_OF_A_RUN:
        asked = "an hour or more" if wait >= LONGEST_WAIT_SECONDS else f"{math.ceil(wait):,} s"
        return f"it asks to wait {asked}, longer than a run waits; run again after that"
    if status == 404 and kind is RequestRejected:
        return "check the address, and the name of the model there"
    return _HINTS.get(kind)


def shown_text(text: str, redact: Redact) -> str:
    """Foreign text as it may stand in a message: redacted first, one line, at most 300 characters."""
    clean = "".join(char if char.isprintable() else " " for char in redact(text))
    line = " ".join(clean.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"


def _kind(status: int, words: str) -> type[ModelCallError]:
    match status:
        case 429:
            return QuotaExhausted if _QUOTA.search(words) else RateLimited
        case 402:
            return QuotaExhausted
        case 401 | 403:
            return QuotaExhausted if _QUOTA.search(words) else CredentialsRejected
        case 408 | 409 | 425:
            return ProviderUnavailable
        case _ if 300 <= status < 400:
            return RedirectRefused
        case _ if 400 <= status < 500:
            return _kind_of_request(words)
        case _ if status >= 500 and status != 501:
            return ProviderUnavailable
        case 501:
            return RequestRejected
        case _:
            return _kind_by_words(words)


def _kind_of_request(words: str) -> type[ModelCallError]:
    if _FILTERED.search(words):
        return ContentFiltered
    return QuotaExhausted if _QUOTA.search(words) else RequestRejected


def _kind_by_words(words: str) -> type[ModelCallError]:
    """For an error object under a status that says nothing: its own code, else its words."""
    code = re.search(r"\b([45]\d\d)\b", words)
    if code:
        return _kind(int(code[1]), words)
    for pattern, kind in (
        (_QUOTA, QuotaExhausted),
        (_LIMITED, RateLimited),
        (_CREDENTIALS, CredentialsRejected),
        (_FILTERED, ContentFiltered),
        (_BUSY, ProviderUnavailable),
    ):
        if pattern.search(words):
            return kind
    return RequestRejected


def _error_words(body: bytes) -> str:
    """What an error body says: code, type and message of its object, or its bare text."""
    text = body[:_READ_BYTES].decode("utf-8", "replace").strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "an HTML page" if text[:1] == "<" else text
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return text
    error = document.get("error", document.get("detail", document))
    if not isinstance(error, dict):
        return error if isinstance(error, str) else text
    parts = [error.get(name) for name in ("code", "type", "status", "message")]
    said = " ".join(str(part) for part in parts if isinstance(part, str | int) and part != "")
    return said or text


_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long the provider asks to wait, 0 to 3,600 seconds; ``None`` where it does not say so readably.

    Reads ``retry-after-ms``, then ``Retry-After`` as seconds, a span (``1m30s``), an HTTP date or an
    ISO date. A negative, infinite or unreadable value counts as not said.

    Example:
        >>> retry_after_seconds({"retry-after": "1m30s"}, now=0.0)
        90.0
        >>> retry_after_seconds({"retry-after": "nan"}, now=0.0) is None
        True
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _clamped(milliseconds / 1000)
    return _clamped(_wait(headers.get("retry-after", "").strip(), now))


def rate_hints(headers: Mapping[str, str], *, now: float) -> RateHints:
    """The limits that a reply's headers tell, in the forms of OpenAI and of Anthropic.

    Example:
        >>> rate_hints({"x-ratelimit-remaining-requests": "59"}, now=0.0).remaining_requests
        59
    """
    if not any("ratelimit" in name for name in headers):
        return _NO_HINTS
    return RateHints(
        remaining_requests=_count(headers, "remaining", "requests"),
        remaining_tokens=_count(headers, "remaining", "tokens"),
        limit_requests=_count(headers, "limit", "requests"),
        limit_tokens=_count(headers, "limit", "tokens"),
        reset_requests_seconds=_reset(headers, "requests", now),
        reset_tokens_seconds=_reset(headers, "tokens", now),
    )


_NO_HINTS: Final = RateHints()


def _count(headers: Mapping[str, str], what: str, of: str) -> int | None:
    text = _limit_header(headers, what, of)
    number = _number(text)
    return int(number) if number is not None and number <= 1e12 else None


def _reset(headers: Mapping[str, str], of: str, now: float) -> float | None:
    return _clamped(_wait(_limit_header(headers, "reset", of), now))


def _limit_header(headers: Mapping[str, str], what: str, of: str) -> str:
    named = headers.get(f"x-ratelimit-{what}-{of}") or headers.get(
        f"anthropic-ratelimit-{of}-{what}"
    )
    return (named or "").strip()


def _wait(text: str, now: float) -> float | None:
    """Seconds to wait, from any form in which providers write them."""
    number = _number(text)
    if number is not None:
        return number
    spans = _SPAN.findall(text)
    if spans and "".join(number + unit for number, unit in spans) == text:
        return math.fsum(float(number) * _UNIT_SECONDS[unit] for number, unit in spans)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - now)


def _moment(text: str) -> float | None:
    # Only here, since it takes long to import and few answers name a moment.
    from email.utils import parsedate_to_datetime

    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        try:
            return aware.timestamp()
        except (OverflowError, ValueError):
            return None
    return None


def _number(text: str) -> float | None:
    """A plain, finite number of at least zero."""
    if not re.fullmatch(r"\d{1,18}(\.\d{1,18})?", text.strip(), re.ASCII):
        return None
    return float(text)


def _clamped(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, LONGEST_WAIT_SECONDS)
