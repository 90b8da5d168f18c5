"""How fast an endpoint may be asked and when to ask again: arithmetic on a passed-in *now*."""

from __future__ import annotations

from typing import Final

from evalrunner.engine.ports import RateHints
from evalrunner.errors import CallTimeout, MalformedReply, ModelCallError
from evalrunner.values.dataclass import dataclass

LONGEST_WAIT_SECONDS: Final = 120.0
"""The longest that a run waits because a provider asks it to; beyond that the call is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is made again.

    Only transport and provider faults are: a verdict is never drawn twice. The wait is the provider's
    own, or full jitter under an exponential ceiling (Brooker, "Exponential Backoff And Jitter").

    Attributes:
        attempts: The most attempts of one call.
        base_seconds: The ceiling of the first wait; it doubles with every further one.
        cap_seconds: The highest ceiling.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 20.0

    def wait_seconds(self, error: ModelCallError, attempt: int, draw: float) -> float | None:
        """How long to wait before attempt *attempt* + 1, or ``None`` to give up.

        Args:
            error: What the attempt ended with.
            attempt: Its number, from 1.
            draw: A number in [0, 1) from the caller's random source.
        """
        if not error.retryable and not isinstance(error, CallTimeout):
            return None
        most = 2 if isinstance(error, MalformedReply | CallTimeout) else self.attempts
        if attempt >= most:
            return None
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** (attempt - 1))
        asked = error.retry_after_seconds
        if asked is None:
            return ceiling * draw
        if asked > LONGEST_WAIT_SECONDS:
            return None
        return asked + self.base_seconds * draw


class TokenBucket:
    """An allowance a minute that refills evenly and starts with a tenth of it in hand.

    Example:
        >>> bucket = TokenBucket(per_minute=60, now=0.0)
        >>> [bucket.take(1, now=0.0) for _ in range(7)][-1]
        1.0
    """

    def __init__(self, *, per_minute: float, now: float) -> None:
        self._rate = per_minute / 60.0
        self._burst = max(1.0, per_minute / 10.0)
        self._level = self._burst
        self._at = now

    def take(self, amount: float, *, now: float) -> float:
        """Takes *amount* and returns for how many seconds the taker must wait before it uses it."""
        self._refill(now)
        self._level -= min(amount, self._burst)
        return max(0.0, -self._level / self._rate)

    def limit_to(self, remaining: float, *, now: float) -> None:
        """Believes a provider who says that less is left than we thought."""
        self._refill(now)
        self._level = min(self._level, remaining)

    def _refill(self, now: float) -> None:
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now


class Pace:
    """The pace of one endpoint: requests and tokens a minute, and waits that the provider asked for."""

    def __init__(self, *, rpm: int | None, tpm: int | None, now: float) -> None:
        self._requests = TokenBucket(per_minute=rpm, now=now) if rpm else None
        self._tokens = TokenBucket(per_minute=tpm, now=now) if tpm else None
        self._paused_until = now

    def book(self, *, tokens: int, now: float) -> float:
        """Books one request of *tokens* and returns for how many seconds to wait with it."""
        waits = [self.paused_seconds(now=now)]
        if self._requests:
            waits.append(self._requests.take(1, now=now))
        if self._tokens:
            waits.append(self._tokens.take(tokens, now=now))
        return max(waits)

    def paused_seconds(self, *, now: float) -> float:
        """For how long nobody may send."""
        return max(0.0, self._paused_until - now)

    def pause(self, seconds: float, *, now: float) -> None:
        """Nobody sends for that long: one 429 speaks for all calls of the endpoint."""
        until = now + min(seconds, LONGEST_WAIT_SECONDS)
        self._paused_until = max(self._paused_until, until)

    def observe(self, hints: RateHints, *, now: float) -> None:
        """Follows the provider's own count, where its headers give one."""
        if self._requests and hints.remaining_requests is not None:
            self._requests.limit_to(hints.remaining_requests, now=now)
        if self._tokens and hints.remaining_tokens is not None:
            self._tokens.limit_to(hints.remaining_tokens, now=now)
        if hints.remaining_requests == 0 and hints.reset_requests_seconds:
            self.pause(hints.reset_requests_seconds, now=now)
        if hints.remaining_tokens == 0 and hints.reset_tokens_seconds:
            self.pause(hints.reset_tokens_seconds, now=now)
