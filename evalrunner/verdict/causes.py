"""Why each request of a case was a hit or a miss, found by comparing it with an earlier run's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from evalrunner.values.cause import Cause, Change, Explained, MissGroup
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import CallRecord, ModelResponse, ModelText
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.result import CaseResult, ChargedCall, CheckResult, Outcome, Subject
from evalrunner.values.spec import CheckClass
from evalrunner.verdict.components import (
    Side,
    contents_compare,
    judge_changes,
    same_tier,
    subject_changes,
)

_OFF: Final = "off"
_RANKS: Final = {cause.value: rank for rank, cause in enumerate(Cause)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What decides about misses beside the questions themselves.

    Attributes:
        no_cache: Nothing was read.
        again: The roles that were asked again on purpose.
        expired: Keys whose entries were too old.
        turned_away: Keys whose entries were not believed, each with ``damaged`` or ``untrusted``.
        uncached: The endpoints whose answers may not be kept.
        history: Whether there is any earlier run.
    """

    no_cache: bool = False
    again: Collection[str] = ()
    expired: Collection[Fingerprint] = ()
    turned_away: Mapping[Fingerprint, str] = field(default_factory=dict)
    uncached: Collection[str] = ()
    history: bool = True


def explain_case(
    now: Side, before: Side | None, circumstances: Circumstances, *, drawn: bool = False
) -> list[Explained]:
    """Every request of the case, in the order of its checks, hits among them.

    Args:
        now: The case.
        before: The same case in the newest earlier run that got an answer for it.
        circumstances: What else decides.
        drawn: Whether another draw of the same row was answered before.
    """
    now = replace(now, case=_as_if_asked(now.case))
    return [
        *(_subject(now, before, one, circumstances, drawn=drawn) for one in _subjects(now.case)),
        *(
            _judge(now, before, check, check.record, circumstances, drawn=drawn)
            for check in now.case.checks
            if check.record is not None
        ),
    ]


def _as_if_asked(case: CaseResult) -> CaseResult:
    """A case that was not run with the account of the question that was not asked, as a miss."""
    question = case.unasked
    if question is None:
        return case
    cause = question.miss_cause
    record = CallRecord(fingerprint=question.fingerprint, cached=False, miss_cause=cause)
    if question.role != "judge":
        answer = ModelResponse(text=ModelText(""))
        subject = Subject(
            tier=question.tier, model=question.endpoint, response=answer, record=record
        )
        return replace(case, subject=subject, confirmed_from=case.subject)
    check = CheckResult(
        type=question.check or "",
        check_class=CheckClass.SEMANTIC,
        outcome=Outcome.NOT_RUN,
        model=question.endpoint,
        record=record,
    )
    return replace(case, checks=(*case.checks, check))


def with_causes(case: CaseResult, explained: Iterable[Explained]) -> CaseResult:
    """The case with the cause noted on each account of a call that was made.

    A judge that asks more than once has accounts that no check shows: they have the cause of the
    judge that is explained, or else of the answer.
    """
    causes = {one.fingerprint: one.cause.value for one in explained if one.cause is not None}
    if not causes:
        return case
    last = list(causes.values())[-1]

    once: dict[int, CallRecord] = {}  # one account stands in several places of a case

    def noted(record: CallRecord) -> CallRecord:
        if not is_miss(record) or record.miss_cause is not None:
            return record
        found = once.get(id(record))
        if found is None:
            cause = causes.get(record.fingerprint, last)
            found = once[id(record)] = replace(record, miss_cause=cause)
        return found

    return replace(
        case,
        subject=case.subject and _with_record(case.subject, noted(case.subject.record)),
        confirmed_from=case.confirmed_from
        and _with_record(case.confirmed_from, noted(case.confirmed_from.record)),
        checks=tuple(
            check if check.record is None else _judged(check, noted(check.record))
            for check in case.checks
        ),
        records=tuple(_charged(call, noted(call.record)) for call in case.records),
        unasked=case.unasked
        and replace(case.unasked, miss_cause=causes.get(case.unasked.fingerprint, last)),
    )


class MissCounts:
    """Misses by cause and place, counted as they are explained."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str | None]] = Counter()

    def add(self, case: CaseResult, explained: Iterable[Explained]) -> None:
        """Counts the misses among a case's requests."""
        self._counts.update(
            (one.cause.value, _where(case, one), one.since)
            for one in explained
            if one.cause is not None
        )

    def add_known(self, misses: Iterable[CallRecord]) -> None:
        """Counts misses whose cause was known before anything was asked, and that no place explains."""
        self._counts.update((str(one.miss_cause), "", None) for one in misses)

    @property
    def groups(self) -> tuple[MissGroup, ...]:
        """The largest group first, of equals as :class:`Cause` ranks them and by place."""
        found = sorted(
            self._counts.items(),
            key=lambda item: (-item[1], _RANKS[item[0][0]], item[0][1]),
        )
        return tuple(
            MissGroup(cause=cause, where=where, since=since, count=count)
            for (cause, where, since), count in found
        )


def is_miss(record: CallRecord) -> bool:
    """Whether the account is of a call that was made because the store had no answer."""
    return not (record.cached or record.shared or record.verified)


def _subjects(case: CaseResult) -> Iterator[Subject]:
    return (one for one in (case.confirmed_from, case.subject) if one is not None)


def _subject(
    now: Side, before: Side | None, subject: Subject, around: Circumstances, *, drawn: bool
) -> Explained:
    found = Explained(
        role="subject", endpoint=subject.model, fingerprint=subject.record.fingerprint
    )
    if not is_miss(subject.record):
        return _hit(replace(found, normalized=subject.record.normalized), before)
    earlier = _earlier_subject(before, subject)
    cause = _given(subject.record) or _without_comparison(found, before, around, drawn=drawn)
    if before is None:
        return replace(found, cause=cause)
    found = replace(found, since=before.run.id)
    if earlier is None:
        word = Cause.UNANSWERED if before.case.subject is None else Cause.UNASKED
        return replace(found, cause=cause or word)
    if earlier.record.fingerprint == found.fingerprint:
        kept = earlier.response.complete
        return replace(found, cause=cause or _gone(now, before, found, around, kept=kept))
    changes = subject_changes(now, before, subject.model, earlier.model)
    return _concluded(found, now, before, changes, cause)


def _judge(
    now: Side,
    before: Side | None,
    check: CheckResult,
    record: CallRecord,
    around: Circumstances,
    *,
    drawn: bool,
) -> Explained:
    found = Explained(
        role="judge",
        check=check.type,
        endpoint=check.model or "",
        fingerprint=record.fingerprint,
    )
    if not is_miss(record):
        return _hit(found, before)
    cause = _given(record) or _without_comparison(found, before, around, drawn=drawn)
    if before is None:
        return replace(found, cause=cause)
    found = replace(found, since=before.run.id)
    if _asked_before(before.case, found.fingerprint):
        return replace(found, cause=cause or _gone(now, before, found, around, kept=True))
    earlier = _earlier_check(now.case, before.case, check)
    if earlier is None:
        return replace(found, cause=cause or Cause.NEW_CHECK)
    if earlier.record is None:
        word = Cause.UNANSWERED if earlier.outcome is Outcome.ERRORED else Cause.UNASKED
        return replace(found, cause=cause or word)
    return _concluded(found, now, before, judge_changes(now, before, check, earlier), cause)


def _hit(found: Explained, before: Side | None) -> Explained:
    known = before is not None and _asked_before(before.case, found.fingerprint)
    return replace(found, since=before.run.id) if before and known else found


def _given(record: CallRecord) -> Cause | None:
    """The cause that is noted already."""
    try:
        return None if record.miss_cause is None else Cause(record.miss_cause)
    except ValueError:
        return Cause.UNKNOWN


def _without_comparison(
    one: Explained, before: Side | None, around: Circumstances, *, drawn: bool
) -> Cause | None:
    """The cause that no component can be made answerable for."""
    if around.no_cache:
        return Cause.NO_CACHE
    if one.role == "subject" and one.endpoint in around.uncached:
        return Cause.UNCACHEABLE
    if before is not None:
        return None
    if drawn:
        return Cause.NEW_DRAW
    return Cause.NEW_CASE if around.history else Cause.FIRST_RUN


def _gone(now: Side, before: Side, one: Explained, around: Circumstances, *, kept: bool) -> Cause:
    """Why an answer to the very same question is not there."""
    if one.role in around.again:
        return Cause.RECACHE
    if (word := around.turned_away.get(one.fingerprint)) is not None:
        return Cause(word)
    if one.fingerprint in around.expired:
        return Cause.EXPIRED
    if not kept or before.cache == _OFF:
        return Cause.NOT_KEPT
    if now.inputs and before.inputs and now.inputs.namespace != before.inputs.namespace:
        return Cause.NAMESPACE
    return Cause.EVICTED


def _concluded(
    one: Explained, now: Side, before: Side, changes: list[Change], cause: Cause | None
) -> Explained:
    if cause is None:
        cause = changes[0].cause if changes else _by_elimination(one, now, before)
    return replace(one, cause=cause, changes=tuple(changes))


def _by_elimination(one: Explained, now: Side, before: Side) -> Cause:
    """The cause where all that the documents hold is what it was."""
    if contents_compare(now, before):
        return Cause.UNKNOWN
    new, old = now.case.subject, before.case.subject
    answered_alike = new and old and new.record.fingerprint == old.record.fingerprint
    return Cause.ANSWER if one.role == "judge" and not answered_alike else Cause.VARIABLES


def _earlier_subject(before: Side | None, subject: Subject) -> Subject | None:
    """The answer of the same part: the proxy's, or the target's."""
    found = () if before is None else _subjects(before.case)
    return next((one for one in found if same_tier(one.tier, subject.tier)), None)


def _earlier_check(case: CaseResult, before: CaseResult, check: CheckResult) -> CheckResult | None:
    """The same check: in the same place, else the only one of its type that could be it."""
    place = next(number for number, one in enumerate(case.checks) if one is check)
    if place < len(before.checks) and before.checks[place].type == check.type:
        return before.checks[place]
    others = [(one.type, one.value) for one in case.checks if one is not check]
    alike = [
        one
        for one in before.checks
        if one.type == check.type and (one.type, one.value) not in others
    ]
    same = [one for one in alike if one.value == check.value]
    return next(iter(same or alike), None)


def _asked_before(case: CaseResult, key: Fingerprint) -> bool:
    return any(call.record.fingerprint == key for call in case.records)


def _where(case: CaseResult, one: Explained) -> str:
    """The place in a file that the main change is written at."""
    places: Mapping[Cause, str] = {
        change.cause: f"{change.source.file}:{change.source.line}"
        for change in reversed(one.changes)
        if change.source.file
    }
    if one.cause is Cause.VARIABLES or one.cause is None:
        return case.case.source.file
    return places.get(one.cause, "")


def _with_record(subject: Subject, record: CallRecord) -> Subject:
    return subject if record is subject.record else replace(subject, record=record)


def _judged(check: CheckResult, record: CallRecord) -> CheckResult:
    return check if record is check.record else replace(check, record=record)


def _charged(call: ChargedCall, record: CallRecord) -> ChargedCall:
    return call if record is call.record else replace(call, record=record)
