"""The sums of a run: a group, so that parts can be added and a changed part taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A sum of money that remembers how many of its parts are unknown.

    Example:
        >>> (Spent(known=5) + Spent(unknown=1)).amount is None
        True
        >>> (Spent(known=5) + Spent(unknown=1) - Spent(unknown=1)).amount
        5
    """

    known: int = 0
    unknown: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(known=self.known + other.known, unknown=self.unknown + other.unknown)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(known=self.known - other.known, unknown=self.unknown - other.unknown)

    @property
    def amount(self) -> Picodollars | None:
        """The sum, or ``None`` as soon as one part is unknown."""
        return None if self.unknown else Picodollars(self.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTally:
    """What one endpoint was asked. Tokens are those of calls that were made, not of hits.

    Of the hits ``normalized`` are answers to questions that are alike but for white space. Of the calls
    ``verified`` were made to check kept answers, and ``differed`` of those from them. Of both
    ``unmetered`` are answers of applications that do not say what they cost.
    """

    hits: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    incurred: Spent = Spent()
    nominal: Spent = Spent()
    normalized: int = 0
    verified: int = 0
    differed: int = 0
    unmetered: int = 0

    def __add__(self, other: ModelTally) -> ModelTally:
        return ModelTally(
            hits=self.hits + other.hits,
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            incurred=self.incurred + other.incurred,
            nominal=self.nominal + other.nominal,
            normalized=self.normalized + other.normalized,
            verified=self.verified + other.verified,
            differed=self.differed + other.differed,
            unmetered=self.unmetered + other.unmetered,
        )

    def __sub__(self, other: ModelTally) -> ModelTally:
        return ModelTally(
            hits=self.hits - other.hits,
            calls=self.calls - other.calls,
            input_tokens=self.input_tokens - other.input_tokens,
            output_tokens=self.output_tokens - other.output_tokens,
            incurred=self.incurred - other.incurred,
            nominal=self.nominal - other.nominal,
            normalized=self.normalized - other.normalized,
            verified=self.verified - other.verified,
            differed=self.differed - other.differed,
            unmetered=self.unmetered - other.unmetered,
        )

    @property
    def unpriced(self) -> bool:
        """Whether the cost of one of its calls is unknown."""
        return bool(self.incurred.unknown or self.nominal.unknown)


_NO_CALLS: Final = ModelTally()
_NO_COUNTS: Final[Mapping[str, int]] = {}
_NO_MODELS: Final[Mapping[str, ModelTally]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The figures of some cases. ``+`` and ``-`` are exact; entries that come to nothing vanish.

    Attributes:
        hits: Requests answered by the store.
        misses: Requests that became a call.
        shared: Requests answered by another case's call of the same run.
        not_run_reasons: Cases that were not run, by reason.
        misses_by_cause: Misses, by why the store had no answer, where that is known.
        calls_by_tier: Calls made, by tier.
        by_model: What each endpoint was asked.
        incurred: What was paid.
        nominal: What would have been paid with an empty cache.
        tiering: What a call on the target would have cost on top of nominal.
        left_out: Cases that a sample left out.
        sampling: What these would have cost, every call on the target, as an estimate.
    """

    passed: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    not_run: int = 0
    hits: int = 0
    misses: int = 0
    shared: int = 0
    not_run_reasons: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    misses_by_cause: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    calls_by_tier: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    by_model: Mapping[str, ModelTally] = field(default_factory=lambda: _NO_MODELS)
    incurred: Spent = Spent()
    nominal: Spent = Spent()
    tiering: Spent = Spent()
    left_out: int = 0
    sampling: Spent = Spent()

    def __add__(self, other: Tally) -> Tally:
        return _combined(self, other, 1)

    def __sub__(self, other: Tally) -> Tally:
        return _combined(self, other, -1)

    @property
    def cases(self) -> int:
        """How many cases are in it."""
        return self.passed + self.failed + self.errored + self.skipped + self.not_run

    @property
    def hit_rate(self) -> float | None:
        """Hits over hits and misses, verifications aside; ``None`` where nothing was asked."""
        asked = self.hits + self.misses - self.verified
        return self.hits / asked if asked else None

    @property
    def normalized(self) -> int:
        """How many hits are answers to questions that are alike but for white space."""
        return sum(model.normalized for model in self.by_model.values())

    @property
    def verified(self) -> int:
        """How many calls were made to check kept answers."""
        return sum(model.verified for model in self.by_model.values())

    @property
    def differed(self) -> int:
        """How many of those answers were other than the kept ones."""
        return sum(model.differed for model in self.by_model.values())

    @property
    def avoided_by_cache(self) -> Picodollars | None:
        """Nominal minus incurred; ``None`` where either is unknown."""
        return (self.nominal - self.incurred).amount if self._priced else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The endpoints with a call of unknown cost, sorted."""
        return tuple(sorted(name for name, part in self.by_model.items() if part.unpriced))

    @property
    def unmetered(self) -> tuple[str, ...]:
        """The applications that do not say what their answers cost, sorted."""
        return tuple(sorted(name for name, part in self.by_model.items() if part.unmetered))

    @property
    def pays_unmetered(self) -> bool:
        """Whether such an application was asked, so that more was paid than is known."""
        return any(part.unmetered and part.calls for part in self.by_model.values())

    @property
    def _priced(self) -> bool:
        return not (self.incurred.unknown or self.nominal.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a run, by suite. Totals are derived, never stored beside their parts.

    Example:
        >>> part = Summary(by_suite={"support": Tally(passed=2)})
        >>> sum([part, part], Summary()).total.passed
        4
        >>> part - part == Summary()
        True
    """

    by_suite: Mapping[str, Tally] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        suites = dict(self.by_suite)
        for name, part in other.by_suite.items():
            suites[name] = suites.get(name, _NOTHING) + part
        return Summary(by_suite=_kept(suites))

    def __sub__(self, other: Summary) -> Summary:
        suites = dict(self.by_suite)
        for name, part in other.by_suite.items():
            suites[name] = suites.get(name, _NOTHING) - part
        return Summary(by_suite=_kept(suites))

    @property
    def total(self) -> Tally:
        """The figures of all suites together."""
        return sum(self.by_suite.values(), _NOTHING)


_NOTHING: Final = Tally()


def _kept(suites: Mapping[str, Tally]) -> dict[str, Tally]:
    return {name: part for name, part in suites.items() if part != _NOTHING}


def _combined(left: Tally, right: Tally, sign: int) -> Tally:
    return Tally(
        passed=left.passed + sign * right.passed,
        failed=left.failed + sign * right.failed,
        errored=left.errored + sign * right.errored,
        skipped=left.skipped + sign * right.skipped,
        not_run=left.not_run + sign * right.not_run,
        hits=left.hits + sign * right.hits,
        misses=left.misses + sign * right.misses,
        shared=left.shared + sign * right.shared,
        not_run_reasons=_counts(left.not_run_reasons, right.not_run_reasons, sign),
        misses_by_cause=_counts(left.misses_by_cause, right.misses_by_cause, sign),
        calls_by_tier=_counts(left.calls_by_tier, right.calls_by_tier, sign),
        by_model=_models(left.by_model, right.by_model, sign),
        incurred=_spent(left.incurred, right.incurred, sign),
        nominal=_spent(left.nominal, right.nominal, sign),
        tiering=_spent(left.tiering, right.tiering, sign),
        left_out=left.left_out + sign * right.left_out,
        sampling=_spent(left.sampling, right.sampling, sign),
    )


def _spent(left: Spent, right: Spent, sign: int) -> Spent:
    return left + right if sign > 0 else left - right


def _counts(left: Mapping[str, int], right: Mapping[str, int], sign: int) -> Mapping[str, int]:
    if not right:
        return left
    counts = dict(left)
    for name, count in right.items():
        counts[name] = counts.get(name, 0) + sign * count
    return {name: count for name, count in counts.items() if count}


def _models(
    left: Mapping[str, ModelTally], right: Mapping[str, ModelTally], sign: int
) -> Mapping[str, ModelTally]:
    if not right:
        return left
    models = dict(left)
    for name, part in right.items():
        before = models.get(name, _NO_CALLS)
        models[name] = before + part if sign > 0 else before - part
    return {name: part for name, part in models.items() if part != _NO_CALLS}
