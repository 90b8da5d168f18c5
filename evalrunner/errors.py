"""Every error that evalrunner raises.

::

    EvalRunnerError(message, hint)
    ├── UsageError               the command line asks for something impossible (exit 2)
    ├── ConfigError              what the user wrote cannot be used (exit 2)
    │   ├── LoadError            all problems of all files, each with file:line
    │   └── TemplateError        a template cannot be read or rendered; with file:line
    ├── ModelCallError           one call failed; becomes a value on its case
    │   ├── RateLimited          429: asked to wait
    │   ├── QuotaExhausted       402, insufficient_quota: waiting does not help
    │   ├── CredentialsRejected  401, 403: every later call would fail too
    │   ├── RequestRejected      400, 404, 413, 422, context too long: a retry cannot help
    │   ├── ContentFiltered      the provider refused to answer
    │   ├── ProviderUnavailable  5xx, refused, reset, DNS: a retry may help
    │   ├── MalformedReply       an answer came, but it cannot be read
    │   ├── RedirectRefused      3xx: a key never follows a redirect
    │   ├── ReplyTooLarge        a size cap was passed
    │   ├── CallTimeout          the total deadline passed
    │   └── TargetFailed         the user's application failed
    ├── NotAsked                 the call was not made, on purpose
    │   ├── FrozenMiss           --frozen, and the store has no answer
    │   ├── BudgetExceeded       the ceiling leaves no room for the worst case
    │   └── Interrupted          the run was told to stop
    ├── StoreError               the cache cannot be used; never ends a run
    ├── LedgerError              money cannot be recorded; ends new calls
    ├── PriceError               a price cannot be used
    ├── SpendError               a source of production spend says nothing usable; never ends a run
    ├── GithubError              GitHub could not be asked, or refused; never ends a run
    └── RunDocumentError         a run document cannot be found or read (exit 2)
"""

from __future__ import annotations


class EvalRunnerError(Exception):
    """The base of every error below: what happened, and the next thing to type.

    Args:
        message: What happened, in one line, with the user's own words in ``!r``.
        hint: What to do about it, or ``None`` where nothing sensible is known.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def advice(self) -> str:
        """What happened and what to do about it, in one line.

        Example:
            >>> ConfigError("no suite", hint="type: evalrunner init").advice
            'no suite (type: evalrunner init)'
        """
        return advised(self.message, self.hint)


def advised(message: str, hint: str | None) -> str:
    """A message with what to do about it, where something sensible is known."""
    return f"{message} ({hint})" if hint else message


class UsageError(EvalRunnerError):
    """The command line asks for something impossible."""


class ConfigError(EvalRunnerError):
    """What the user wrote cannot be used."""


class Problem:
    """One thing wrong with one place of one file."""

    __slots__ = ("column", "file", "hint", "line", "message")

    def __init__(
        self, message: str, *, file: str, line: int, column: int = 0, hint: str | None = None
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {advised(self.message, self.hint)}"

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"


class LoadError(ConfigError):
    """All problems of all files, together.

    Args:
        problems: At least one; shown in the order given, one line each.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class TemplateError(ConfigError):
    """A template cannot be read, or not be rendered with the variables given.

    Args:
        problem: What, and where in which file.
    """

    def __init__(self, problem: Problem) -> None:
        where = f"{problem.file}:{problem.line}: " if problem.file else ""
        super().__init__(f"{where}{problem.message}", hint=problem.hint)
        self.problem = problem


class ModelCallError(EvalRunnerError):
    """One call failed.

    Args:
        message: What happened; provider text in it is already redacted and short.
        status: The HTTP status on the wire, where there was one.
        retry_after_seconds: How long the provider asked us to wait.
        possibly_paid: The request left in full and no readable answer came back,
            so that the provider may have billed it.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        possibly_paid: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.possibly_paid = possibly_paid
        self.attempts = 1


class RateLimited(ModelCallError):
    """The provider asked us to wait."""

    retryable = True


class QuotaExhausted(ModelCallError):
    """The account has no money or quota left; waiting does not help."""


class CredentialsRejected(ModelCallError):
    """The provider does not accept the key; every later call would fail too."""


class RequestRejected(ModelCallError):
    """The provider refused the request itself; the same request cannot succeed."""


class ContentFiltered(ModelCallError):
    """The provider's filter withheld the answer."""


class ProviderUnavailable(ModelCallError):
    """The provider or the way to it failed; a retry may help."""

    retryable = True


class MalformedReply(ModelCallError):
    """An answer came that cannot be read."""

    retryable = True


class RedirectRefused(ModelCallError):
    """The provider answered with a redirect, which a key never follows."""


class ReplyTooLarge(ModelCallError):
    """The answer passed the size cap."""


class CallTimeout(ModelCallError):
    """The call did not end within its total deadline."""


class TargetFailed(ModelCallError):
    """The user's application raised, exited or answered badly."""


class NotAsked(EvalRunnerError):
    """The call was not made, on purpose. ``reason`` is the word of the run document."""

    reason = "interrupted"


class FrozenMiss(NotAsked):
    """``--frozen``, and the store has no answer."""

    reason = "frozen_miss"


class BudgetExceeded(NotAsked):
    """The ceiling leaves no room for the worst case of this call."""

    reason = "budget"


class Interrupted(NotAsked):
    """The run was told to stop."""


class StoreError(EvalRunnerError):
    """The cache cannot be used. It never ends a run."""


class LedgerError(EvalRunnerError):
    """Money cannot be recorded, so no further call may be paid."""


class PriceError(EvalRunnerError):
    """A price cannot be used."""


class SpendError(EvalRunnerError):
    """A source of production spend says nothing usable now. What it said before may be."""


class GithubError(EvalRunnerError):
    """GitHub could not be asked, or refused. It never decides how a run ends."""


class RunDocumentError(EvalRunnerError):
    """A run document cannot be found or read."""
