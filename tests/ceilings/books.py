"""Two accounts of one schedule, the provider's and the ledger's, held against each other and the ceilings."""

from __future__ import annotations

import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from evalrunner.engine.ports import LedgerBook, LedgerEntry
from evalrunner.values.ceilings import Ceilings, scopes
from tests.ceilings.schedule import Schedule, dearest_call


class Bills:
    """What the provider has billed, by case. It knows nothing of the ledger.

    Attributes:
        by_case: The amounts of each case's requests, in the order in which they came.
        served: How many requests came.
    """

    def __init__(self) -> None:
        self.by_case: defaultdict[str, list[int]] = defaultdict(list)
        self.by_scope: Counter[str] = Counter()
        self.served = 0

    def add(self, case_id: str, cost: int) -> None:
        """Counts a request. A case's name begins with its run and its suite."""
        self.served += 1
        if cost:
            run, suite, _ = case_id.split("/", 2)
            self.by_case[case_id].append(cost)
            self.by_scope.update(
                {f"run/{run}": cost, f"suite/{run}/{suite}": cost, "everything": cost}
            )

    @property
    def total(self) -> int:
        """Everything."""
        return self.by_scope["everything"]


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a campaign has seen, added up.

    Attributes:
        calls: Requests that the provider served.
        most_in_flight: The most that it served at once.
        looks: How often the ledger was looked at meanwhile.
        overrun: The most by which anything passed a ceiling, in picodollars; 0 where nothing did.
        unknowns: Attempts of which nobody knows whether they were billed.
        billed_unknowns: Those among them that the provider has billed.
        full: How often an account was found to be full at the end.
        least_used: The least share of it that was used then, where the dearest call is below 5 % of it.
    """

    schedules: int = 0
    processes: int = 0
    kills: int = 0
    calls: int = 0
    most_in_flight: int = 0
    looks: int = 0
    overrun: int = 0
    unknowns: int = 0
    billed_unknowns: int = 0
    full: int = 0
    least_used: float = 1.0

    def count(self, bills: Bills, *, processes: int, kills: int, most_in_flight: int) -> None:
        """Counts a schedule that came to its end."""
        self.schedules += 1
        self.processes += processes
        self.kills += kills
        self.calls += bills.served
        self.most_in_flight = max(self.most_in_flight, most_in_flight)

    def add(self, other: Mapping[str, float]) -> None:
        """Counts what another process has seen."""
        for one in fields(self):
            join = _JOINS.get(one.name, operator.add)
            setattr(self, one.name, join(getattr(self, one.name), other[one.name]))


_JOINS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "most_in_flight": max,
    "overrun": max,
    "least_used": min,
}


def reconcile(schedule: Schedule, ledger: LedgerBook, bills: Bills, figures: Figures) -> None:
    """Holds the accounts against each other: nothing passed, nothing missing, nothing made up."""
    rows = [row for run in schedule.runs for row in ledger.attempts(run)]
    truth = dict(_true_costs(rows, bills.by_case))
    unknown = [row for row in rows if _is_unknown(row)]
    settled, held = Counter[str](), Counter[str]()
    billed = Counter[str]()
    for row in rows:
        for scope in _scopes(row):
            settled[scope] += 0 if _is_unknown(row) else _cost(row)
            held[scope] += _worst(row) if _is_unknown(row) else _cost(row)
            billed[scope] += truth[row.attempt.id]
    _agrees_with_its_sums(schedule, ledger, rows, settled, held)

    known_total = sum(_cost(row) for row in rows if not _is_unknown(row))
    listed = sum(truth[row.attempt.id] for row in unknown)
    assert bills.total == known_total + listed, "the provider was paid what the ledger knows of"
    assert known_total <= bills.total <= known_total + sum(map(_worst, unknown))
    for scope, limit in limits(schedule.ceilings, held):
        figures.overrun = max(figures.overrun, held[scope] - limit, billed[scope] - limit)
        assert held[scope] <= limit, f"{scope}: more is reserved than may be spent"
        assert billed[scope] <= limit, f"{scope}: more was paid than may be"
    figures.unknowns += len(unknown)
    figures.billed_unknowns += sum(truth[row.attempt.id] > 0 for row in unknown)


def limits(ceilings: Ceilings, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Those of the scopes that have a limit, with it."""
    for scope in names:
        kind, _, rest = scope.partition("/")
        limit = {
            "run": ceilings.run,
            "month": ceilings.month,
            "suite": ceilings.suites.get(rest.rpartition("/")[2]),
        }.get(kind)
        if limit is not None:
            yield scope, limit


def assert_full(
    schedule: Schedule, held: Mapping[str, int], names: Iterable[str], figures: Figures
) -> None:
    """One of these scopes is used to 95 %, or has no room left for the dearest call."""
    found = [(held.get(scope, 0), limit) for scope, limit in limits(schedule.ceilings, names)]
    fullest = max(found, key=lambda pair: pair[0] / max(pair[1], 1))
    dearest = dearest_call(schedule)
    assert any(used >= 0.95 * limit or limit - used < dearest for used, limit in found), found
    figures.full += 1
    if dearest < 0.05 * fullest[1]:
        figures.least_used = min(figures.least_used, fullest[0] / fullest[1])


def assert_all_used(
    schedule: Schedule, held: Mapping[str, int], run: str, figures: Figures
) -> None:
    """No suite of the process that ended last has room left, where nobody else can have made some since.

    A process that is refused while nothing of its own is in flight gives up, although others may yet
    settle below what they have reserved. So the last one to end knows that every suite of its run is full
    if it is the only one, or if all processes have but one account.
    """
    if not (len(schedule.members) == 1 or schedule.is_one_account):
        return
    for suite in schedule.suites:
        assert_full(schedule, held, scopes(run, suite, schedule.begins), figures)


def held_by_scope(schedule: Schedule, ledger: LedgerBook) -> Counter[str]:
    """What each scope has settled and reserved, from the rows of a ledger."""
    held = Counter[str]()
    for run in schedule.runs:
        for row in ledger.attempts(run):
            amount = _worst(row) if _is_unknown(row) else _cost(row)
            held.update(dict.fromkeys(_scopes(row), amount))
    return held


def _true_costs(
    rows: Iterable[LedgerEntry], by_case: Mapping[str, list[int]]
) -> Iterator[tuple[str, int]]:
    """What the provider billed for each attempt, by its id.

    The attempts of a case have one worst case, so that it does not matter which of those that nobody
    knows of is given which of the bills that no answer accounts for.
    """
    left = {case_id: list(amounts) for case_id, amounts in by_case.items()}
    attempts: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        attempts[row.attempt.case_id].append(row)
    assert left.keys() <= attempts.keys(), "something was sent that is not on record"
    for case_id, tried in attempts.items():
        amounts = left.get(case_id, [])
        for row in tried:
            if not _is_unknown(row) and (cost := _cost(row)):
                assert cost in amounts, f"{row.attempt.id}: the provider has not billed {cost}"
                amounts.remove(cost)
        for row in tried:
            if not _is_unknown(row):
                yield row.attempt.id, _cost(row)
                continue
            bill = amounts.pop() if amounts else 0
            assert bill <= _worst(row), f"{row.attempt.id}: billed above its worst case"
            yield row.attempt.id, bill
        assert not amounts, f"{case_id}: billed, and not on record: {amounts}"


def _agrees_with_its_sums(
    schedule: Schedule,
    ledger: LedgerBook,
    rows: list[LedgerEntry],
    settled: Mapping[str, int],
    held: Mapping[str, int],
) -> None:
    """Whether what the ledger says in sums is what its rows say, the days of the gate among them."""
    unpriced = {row.run_id for row in rows if row.settlement and row.settlement.cost is None}
    for run in schedule.runs:
        scope = f"run/{run}"
        no_cost = any(
            row.settlement and row.settlement.status == "ok" and row.settlement.cost is None
            for row in rows
            if row.run_id == run and run in unpriced
        )
        assert ledger.spent(run) == (None if no_cost else settled.get(scope, 0))
        assert ledger.open_reservations(run) == held.get(scope, 0) - settled.get(scope, 0)
    moments = [row.attempt.at for row in rows] or [schedule.begins]
    for at in {min(moments), max(moments)}:
        month = next(name for name in scopes("", "", at) if name.startswith("month/"))
        assert ledger.held_in_month(at) == held.get(month, 0)
    days = ledger.days(min(moments), max(moments))
    assert sum(day.settled for day in days) == sum(
        _cost(row) for row in rows if not _is_unknown(row)
    )
    assert sum(day.possibly_paid for day in days) == sum(
        _worst(row) for row in rows if _is_unknown(row)
    ), "what nobody knows of is reported as possibly paid"


def _scopes(row: LedgerEntry) -> tuple[str, ...]:
    return scopes(row.run_id, row.attempt.suite, row.attempt.at)


def _is_unknown(row: LedgerEntry) -> bool:
    end = row.settlement
    return end is None or end.status == "possibly_paid" or (end.status == "ok" and end.cost is None)


def _cost(row: LedgerEntry) -> int:
    end = row.settlement
    return (end.cost or 0) if end is not None and end.status == "ok" else 0


def _worst(row: LedgerEntry) -> int:
    assert row.attempt.worst_case is not None
    return row.attempt.worst_case
