"""The Testing-to-Inference gate of one run: what the ledger and production's sources say, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction
from typing import Final

from evalrunner.engine.ports import LedgerDay, LedgerHistory, PastEstimate
from evalrunner.errors import LedgerError
from evalrunner.values.amount import NOTHING, UNKNOWN, Amount, total
from evalrunner.values.ceilings import utc_day
from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import PICO_PER_USD, Picodollars
from evalrunner.values.project import CostConfig, CostGateConfig
from evalrunner.values.result import CostEstimate, Decision
from evalrunner.values.spend import SourceSeen, days_between, shifted
from evalrunner.values.summary import Summary, Tally
from evalrunner.verdict.cost_ratio import (
    LEAST_DAYS,
    MONTH_DAYS,
    USUAL_RUNS_PER_MONTH,
    Evidence,
    Limit,
    Share,
    judge,
    share_of,
)
from evalrunner.verdict.production import Production, production_of
from evalrunner.verdict.ratio_words import Background, Ruling, ruling_of, skipped

SWITCH_ON: Final = "add cost.production to evalrunner.yaml to switch it on"
NO_SNAPSHOT: Final = "no snapshot of production spend is kept: run evalrunner spend sync"

_NEXT_TO_NOTHING: Final = Fraction(1, PICO_PER_USD)
_DAY: Final = 86_400
_MOST_RUNS: Final = 10_000

Look = Callable[[bool], Sequence[SourceSeen]]
"""Looks at every source of production spend, asking those outside only where that is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """What a run costs, expected or paid.

    Attributes:
        amount: All of it.
        by_suite: Its parts; a suite that is missing has all of it.
        settled: Whether the ledger has it already, so that it must not be added again.
    """

    amount: Amount
    by_suite: Mapping[str, Amount] = field(default_factory=dict[str, Amount])
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What the ledger says about the time before now.

    Attributes:
        window: What evals cost in the window.
        before: The same of the window before; ``None`` where the ledger is younger.
        age: For how many whole days it has been written.
        complete: Whether it is as old as the window.
        begun: Whether it has a row of any run but this one.
        recent: What was paid on the last ``age`` days, at most those of the window.
        runs: How many runs began on them.
        problems: Why the sums are not exact.
    """

    window: Amount
    before: Amount | None
    age: int
    complete: bool
    recent: Amount
    runs: int
    begun: bool = True
    problems: tuple[str, ...] = ()


class CostGate:
    """Judges the ratio before a run, after it, or alone.

    Args:
        cost: What may be spent, and what it is compared with.
        policy: The ratio's policy, that of the branch.
        ledger: What evals have cost.
        look: Looks at the sources of production spend; asked once.
        now: Seconds since 1970.
        max_usd_per_run: The lowest ceiling of the run, which decides where there is no ratio.
        offline: Whether nobody may be asked.
    """

    def __init__(
        self,
        *,
        cost: CostConfig,
        policy: CostGateConfig,
        ledger: LedgerHistory,
        look: Look,
        now: float,
        max_usd_per_run: Picodollars | None = None,
        offline: bool = False,
    ) -> None:
        self._cost = cost
        self._policy = policy
        self._ledger = ledger
        self._look = look
        self._now = now
        self._today = utc_day(now)
        self._max_usd_per_run = max_usd_per_run
        self._offline = offline
        self._seen: dict[bool, Sequence[SourceSeen]] = {}

    def before(
        self,
        expected: CostEstimate,
        by_suite: Mapping[str, CostEstimate],
        suites: Sequence[str],
    ) -> Ruling:
        """The outcome before a run of these suites: may it pay what it is expected to cost?

        Args:
            expected: What the run is expected to cost.
            by_suite: The same for each suite, where there are several.
            suites: The names of its suites.
        """
        least = RunCost(
            amount=Amount.of(expected.expected),
            by_suite={name: Amount.of(part.expected) for name, part in by_suite.items()},
        )
        if not expected.unmetered:
            return self.rule(least, suites, phase="preflight")
        cost = RunCost(
            amount=_expected(expected),
            by_suite={name: _expected(part) for name, part in by_suite.items()},
        )
        ruling = self.rule(cost, suites, phase="preflight")
        if not self._decides(least, suites):
            return ruling
        return replace(ruling, gate=replace(ruling.gate, on_inconclusive="warn"))

    def _decides(self, least: RunCost, suites: Sequence[str]) -> bool:
        """Whether nothing else is open, so that the run may show what an application costs.

        The gate after the run then decides on what is known by then.
        """
        known = replace(least, amount=least.amount + Amount.exactly(_NEXT_TO_NOTHING))
        decision = self.rule(known, suites, phase="preflight").gate.decision
        return decision is not Decision.INCONCLUSIVE

    def after(self, sums: Summary, possibly_paid: Picodollars | None) -> Ruling:
        """The outcome after a run, of which the ledger has everything.

        Args:
            sums: What it paid, by suite.
            possibly_paid: What it may have paid besides.
        """
        open_end = Amount.of(possibly_paid)
        cost = RunCost(
            amount=_paid(sums.total) + Amount.between(0, open_end.high),
            by_suite={name: _paid(part) for name, part in sums.by_suite.items()},
            settled=True,
        )
        return self.rule(cost, list(sums.by_suite), phase="postrun")

    def alone(self) -> Ruling:
        """The outcome of what was spent so far."""
        return self.rule(None, phase="gate")

    def rule(self, run: RunCost | None, suites: Sequence[str] = (), *, phase: str) -> Ruling:
        """The outcome for a run with that cost, or for what was spent so far where there is none.

        A run that pays nothing asks nobody: the snapshots that are kept are what it is told from.

        Args:
            run: The run's cost.
            suites: The suites that it runs.
            phase: ``preflight``, ``postrun`` or ``gate``.
        """
        if not self._cost.production:
            return skipped(self._policy, SWITCH_ON, phase=phase)
        pays = run is None or not run.amount.zero
        seen = self._sources(ask=pays and not self._offline)
        if not any(one.read for one in seen) and (self._offline or not pays):
            return skipped(self._policy, NO_SNAPSHOT, phase=phase)
        days = self._policy.window_days
        production = production_of(seen, window_days=days, today=self._today)
        return self._ruling(run, suites, production, phase=phase, pays=pays)

    def _ruling(
        self,
        run: RunCost | None,
        suites: Sequence[str],
        production: Production,
        *,
        phase: str,
        pays: bool,
    ) -> Ruling:
        past = self._past()
        added = NOTHING if run is None or run.settled else run.amount
        month, pace, assumed = self._month(run, suites, past)
        known = past.window if past.complete else Amount.at_least(past.window.low)
        testing = known + added
        inference = (
            production.amount.less(known) if production.includes_evals else production.amount
        )
        evidence = Evidence(
            testing=testing,
            production=inference,
            month=month,
            production_days=production.days,
            complete=past.complete,
            pays=pays,
            limits=tuple(self._limits(run)),
        )
        background = Background(
            phase=phase,
            previous=_previous(past, production),
            runs_per_month=pace,
            assumed=assumed,
            sources=production.sources,
            problems=(*_beginning(past, run), *past.problems, *production.problems),
        )
        return ruling_of(judge(evidence, self._policy), evidence, self._policy, background)

    def _sources(self, *, ask: bool) -> Sequence[SourceSeen]:
        if True in self._seen:
            return self._seen[True]
        if ask not in self._seen:
            self._seen[ask] = self._look(ask)
        return self._seen[ask]

    def _past(self) -> _Past:
        try:
            return self._read_ledger()
        except LedgerError as error:
            unknown = Amount.at_least(0)
            problem = f"the ledger cannot be read: {error.message}"
            return _Past(
                window=unknown,
                before=None,
                age=0,
                complete=False,
                recent=unknown,
                runs=0,
                problems=(problem,),
            )

    def _read_ledger(self) -> _Past:
        width = self._policy.window_days
        began = self._ledger.began()
        first = shifted(self._today, 1 - width)
        since = shifted(first, -width)
        days = self._ledger.days(self._now - (2 * width - 1) * _DAY, self._now)
        window = [day for day in days if day.day >= first]
        born = self._today if began is None else utc_day(began)
        age = max(0, days_between(born, self._today) - 1)
        recent = [day for day in window if day.day >= born]
        return _Past(
            window=paid_in(window),
            before=paid_in(day for day in days if day.day < first) if born <= since else None,
            age=age,
            complete=began is not None and born <= first,
            recent=paid_in(recent),
            runs=sum(day.runs for day in recent),
            begun=began is not None,
            problems=tuple(_open_ends(window)),
        )

    def _month(
        self, run: RunCost | None, suites: Sequence[str], past: _Past
    ) -> tuple[Amount, Fraction, bool]:
        """What a month like this costs, how often a run is paid for in it, and whether that is a guess.

        A suite's run is taken to cost what this one does, as often as runs of it were paid for of late.
        What other suites cost goes on as it was; and where this run costs nothing, so does everything.
        """
        span = max(1, min(past.age, self._policy.window_days))
        to_month = MONTH_DAYS / span
        every, assumed = self._pace(past)
        if run is None and not past.begun:
            return UNKNOWN, Fraction(0), False
        if run is None or run.amount.zero:
            if past.age >= LEAST_DAYS:
                return past.recent.times(to_month), past.runs * to_month, False
            per_run = past.recent.times(Fraction(1, max(1, past.runs)))
            return per_run.times(every), every, assumed
        parts: list[Amount] = []
        paces: list[Fraction] = []
        mine = run.amount.low if run.settled else Fraction(0)
        for suite in suites:
            paid = self._paid_runs(suite, span)
            mine += sum((Fraction(one.incurred, PICO_PER_USD) for one in paid), Fraction(0))
            old = _age_of(paid, self._now) >= LEAST_DAYS
            pace = (len(paid) + 1) * to_month if old else every
            assumed = assumed and not old
            paces.append(pace)
            parts.append(run.by_suite.get(suite, run.amount).times(pace))
        others = past.recent.less(Amount.exactly(mine)) if past.age >= LEAST_DAYS else NOTHING
        return total([*parts, others.times(to_month)]), max(paces, default=every), assumed

    def _pace(self, past: _Past) -> tuple[Fraction, bool]:
        """How often a month runs happen, from the ledger once it is a week old."""
        if past.age >= LEAST_DAYS and past.runs:
            span = min(past.age, self._policy.window_days)
            return past.runs * MONTH_DAYS / span, False
        said = self._cost.runs_per_month
        return Fraction(USUAL_RUNS_PER_MONTH if said is None else said), said is None

    def _paid_runs(self, suite: str, days: int) -> list[PastEstimate]:
        oldest = self._now - days * _DAY
        try:
            past = self._ledger.past_estimates(suite, _MOST_RUNS)
        except LedgerError:
            return []
        return [one for one in past if one.at >= oldest and one.incurred > 0]

    def _limits(self, run: RunCost | None) -> list[Limit]:
        """The ceilings, which decide where production is too small to divide by."""
        found: list[Limit] = []
        amount = NOTHING if run is None else run.amount
        if self._max_usd_per_run is not None and run is not None:
            found.append(_limit("max_usd_per_run", amount, self._max_usd_per_run))
        if self._cost.max_usd_per_month is not None:
            held = self._held()
            spent = held if run is None or run.settled else held + amount
            found.append(_limit("max_usd_per_month", spent, self._cost.max_usd_per_month))
        return found

    def _held(self) -> Amount:
        try:
            return Amount.of(self._ledger.held_in_month(self._now))
        except LedgerError:
            return Amount.at_least(0)


def _expected(cost: CostEstimate) -> Amount:
    amount = Amount.of(cost.expected)
    return Amount.at_least(amount.low) if cost.unmetered else amount


def _paid(part: Tally) -> Amount:
    amount = Amount.of(part.incurred.amount)
    return Amount.at_least(amount.low) if part.pays_unmetered else amount


def paid_in(days: Iterable[LedgerDay]) -> Amount:
    """What some days cost: what was possibly paid makes it an interval, what nobody counted opens its end."""
    found = list(days)
    settled = sum(day.settled for day in found)
    possibly = sum(day.possibly_paid for day in found)
    opened = any(day.unpriced_calls or day.unmetered_calls for day in found)
    low = Fraction(settled, PICO_PER_USD)
    if opened:
        return Amount.at_least(low)
    return Amount.between(low, low + Fraction(possibly, PICO_PER_USD))


def _limit(name: str, spent: Amount, limit: Picodollars) -> Limit:
    return Limit(name=name, spent=spent, limit=Fraction(limit, PICO_PER_USD))


def _previous(past: _Past, production: Production) -> Share | None:
    """The ratio of the window before, where both sides of it are known to the end."""
    if past.before is None or production.before is None:
        return None
    share = share_of(past.before, production.before)
    return share if share is not None and share.exact else None


def _beginning(past: _Past, run: RunCost | None) -> list[str]:
    """That the ledger knows of no run but this one; without this one it knows nothing."""
    if past.begun:
        return []
    if run is None:
        return [
            "the ledger is empty, so that nobody knows what evals cost: run some, or import one"
        ]
    return ["the ledger begins with this run"]


def _open_ends(days: Sequence[LedgerDay]) -> list[str]:
    found: list[str] = []
    unpriced = sum(day.unpriced_calls for day in days)
    unmetered = sum(day.unmetered_calls for day in days)
    if unpriced:
        found.append(f"the cost of {_calls(unpriced)} is unknown")
    if unmetered:
        found.append(f"{_calls(unmetered)} of applications not metered")
    return found


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _age_of(paid: Sequence[PastEstimate], now: float) -> int:
    """For how many whole days a suite has been paid for."""
    return int((now - min((one.at for one in paid), default=now)) // _DAY)
