"""The words that several pages share: what a run came to, what it cost, why a case failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from evalrunner.reports.estimates import estimate_error
from evalrunner.reports.safe_text import Text, raw
from evalrunner.values import money
from evalrunner.values.cause import Cause, MissGroup
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import CaseResult, CostEstimate, Outcome, Remedy, RunReport
from evalrunner.values.summary import Spent, Tally

HEADLINES: Final = {
    ExitCode.OK: "passed",
    ExitCode.QUALITY: "failed: quality",
    ExitCode.USAGE: "stopped: configuration error",
    ExitCode.COST: "failed: cost gate",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.NOTHING_SELECTED: "nothing was selected",
    ExitCode.INFRASTRUCTURE: "incomplete: errors left cases without a verdict",
    ExitCode.FROZEN_MISS: "incomplete: a frozen run needed a call",
    ExitCode.CEILING: "stopped: the cost ceiling was reached",
    ExitCode.PENDING: "pending",
    ExitCode.INTERNAL: "internal error",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
}

dollars: Final = money.dollars

TROUBLE: Final = (Outcome.FAILED, Outcome.ERRORED, Outcome.NOT_RUN)


def headline(report: RunReport) -> str:
    """What the run came to, by its exit code."""
    try:
        return HEADLINES[ExitCode(report.run.exit_code)]
    except ValueError:
        return f"ended with code {report.run.exit_code}"


def outcome_counts(part: Tally) -> str:
    """The counts that are not zero, in words.

    Example:
        >>> outcome_counts(Tally(passed=3, failed=1))
        '3 passed, 1 failed'
    """
    counts = (
        (part.passed, "passed"),
        (part.failed, "failed"),
        (part.errored, "errored"),
        (part.not_run, "not run"),
        (part.skipped, "skipped"),
    )
    return ", ".join(f"{number:,} {word}" for number, word in counts if number) or "no cases"


def share(part: int, whole: int) -> str:
    """A share as per cent; never 100 % for less than all, never 0 % for more than nothing.

    Example:
        >>> share(1, 3), share(9999, 10000), share(1, 10000), share(0, 0)
        ('33 %', '>99 %', '<1 %', '-')
    """
    if whole == 0:
        return "-"
    rounded = round(100 * part / whole)
    if rounded == 100 and part < whole:
        return ">99 %"
    return "<1 %" if rounded == 0 and part else f"{rounded} %"


def cost_line(part: Tally, possibly_paid: int | None) -> str:
    """What was paid, what an empty cache would have cost, and what the cache saved."""
    paid, nominal = dollars(part.incurred.amount), dollars(part.nominal.amount)
    paid += " or more" if part.pays_unmetered else ""
    saved = dollars(part.avoided_by_cache)
    if part.unmetered:
        nominal, saved = f"{nominal} or more", f"{saved} or more"
    words = [f"paid {paid}", f"nominal {nominal}", f"saved by the cache {saved}"]
    if possibly_paid != 0:
        words.append(f"possibly paid {dollars(possibly_paid)}")
    return ", ".join(words)


def unknown_lines(
    unpriced: Sequence[str], unmetered: Sequence[str], *, planned: bool = False
) -> list[str]:
    """Whose cost nobody knows, and why; the names are foreign text, not safe yet.

    Args:
        unpriced: Models without a price.
        unmetered: Applications that did not say what their answers cost.
        planned: Whether they may still do so.

    Example:
        >>> unknown_lines(["odd"], ["s:app"])
        ['cost unknown for odd', 'not metered: s:app did not say what its answers cost']
    """
    lines: list[str] = []
    if unpriced:
        lines.append(f"cost unknown for {_names(unpriced)}")
    if unmetered:
        one = len(unmetered) == 1
        verb = ("has" if one else "have") + " not said yet" if planned else "did not say"
        whose = "its" if one else "their"
        lines.append(f"not metered: {_names(unmetered)} {verb} what {whose} answers cost")
    return lines


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def avoided_line(part: Tally) -> str | None:
    """What tiering and sampling saved beside the cache; ``None`` where neither did anything.

    Example:
        >>> avoided_line(Tally(sampling=Spent(known=2 * 10**12), left_out=36))
        '$2.00 by sampling (36 cases left out), estimated as if every call went to the target'
        >>> avoided_line(Tally(tiering=Spent(known=-(10**12))))
        '-$1.00 by tiering, estimated as if every call went to the target'
    """
    words: list[str] = []
    if part.tiering != Spent():
        words.append(f"{dollars(part.tiering.amount)} by tiering")
    if part.left_out:
        cases = counted(part.left_out, "case")
        words.append(f"{dollars(part.sampling.amount)} by sampling ({cases} left out)")
    if not words:
        return None
    return ", ".join(words) + ", estimated as if every call went to the target"


def cache_line(report: RunReport, part: Tally) -> str:
    """Hits, misses, mode and signing, in one line."""
    asked = part.misses - part.verified
    missed = max(asked, sum(group.count for group in report.misses))
    misses = counted(missed, "miss", "misses")
    words = [f"{counted(part.hits, 'hit')}, {misses} ({share(part.hits, part.hits + missed)})"]
    if missed > asked:
        words.append(f"{missed - asked:,} not asked")
    if part.shared:
        words.append(f"{part.shared:,} shared")
    words += [report.cache.mode, report.cache.signing]
    if report.cache.damaged:
        words.append(f"{report.cache.damaged:,} damaged entries turned away")
    if report.cache.untrusted:
        words.append(f"{report.cache.untrusted:,} that no trusted key has signed")
    return ", ".join(words)


CAUSES: Final[Mapping[str, str]] = {
    Cause.NO_CACHE: "asked without a cache",
    Cause.UNCACHEABLE: "the application has no version, so that nothing is kept",
    Cause.FIRST_RUN: "the first run here",
    Cause.NEW_CASE: "new case",
    Cause.NEW_DRAW: "a further draw",
    Cause.NEW_CHECK: "new check",
    Cause.UNASKED: "not asked before, as it was not needed",
    Cause.UNANSWERED: "not answered in the run before",
    Cause.EPOCH: "another form of keys",
    Cause.TARGET_CODE: "the application changed",
    Cause.MODEL: "model or endpoint changed",
    Cause.PARAMS: "parameters changed",
    Cause.TOOLS: "tools changed",
    Cause.RESPONSE_FORMAT: "response_format changed",
    Cause.FRAME: "the judge's frame or settings changed",
    Cause.RUBRIC: "rubric changed",
    Cause.TEMPLATE: "prompt template changed",
    Cause.VARIABLES: "variables changed",
    Cause.ANSWER: "a new answer to judge",
    Cause.RECACHE: "asked again on purpose",
    Cause.NAMESPACE: "another namespace",
    Cause.EXPIRED: "older than cache.max_age",
    Cause.DAMAGED: "the entry was damaged",
    Cause.UNTRUSTED: "the entry was not signed by a trusted key",
    Cause.NOT_KEPT: "answered before, but not kept (cut off, filtered, or without a cache)",
    Cause.EVICTED: "the entry is gone: pruned, cleared, or another store",
    Cause.UNKNOWN: "cause unknown",
}
"""The causes of misses, for people."""

_MOST_GROUPS: Final = 6


def cause_phrase(cause: str) -> str:
    """What a cause says, and a word of another release as it is."""
    return CAUSES.get(cause, cause)


def misses_line(groups: Sequence[MissGroup]) -> str:
    """Why requests had to be asked, the largest group first.

    Example:
        >>> misses_line([MissGroup(cause="template", count=200, where="suites/x.yaml:3")])
        '200 misses: 200 prompt template changed (suites/x.yaml:3)'
    """
    if not groups:
        return ""
    total = sum(group.count for group in groups)
    words = [
        f"{group.count:,} {cause_phrase(group.cause)}"
        + (f" ({group.where})" if group.where else "")
        for group in groups[:_MOST_GROUPS]
    ]
    if len(groups) > _MOST_GROUPS:
        rest = sum(group.count for group in groups[_MOST_GROUPS:])
        words.append(f"{rest:,} for {len(groups) - _MOST_GROUPS} other reasons")
    return f"{counted(total, 'miss', 'misses')}: " + ", ".join(words)


def normalized_line(report: RunReport, part: Tally) -> str:
    """How many hits are not the same to the letter, and the first cases that they answered."""
    if not part.normalized:
        return ""
    ids = [
        case.case.id
        for case in report.cases
        if any(call.record.normalized for call in case.records)
    ]
    names = f": {', '.join(ids[:3])}" if ids else ""
    more = ", …" if len(ids) > 3 else ""
    verb = "matches" if part.normalized == 1 else "match"
    return f"{counted(part.normalized, 'hit')} {verb} but for white space{names}{more}"


def verified_line(report: RunReport, part: Tally) -> str:
    """What the hits that were asked again came to, by model, and the first cases that differ."""
    if not part.verified:
        return ""
    models = ", ".join(
        f"{name} {one.differed} of {one.verified}"
        for name, one in sorted(part.by_model.items())
        if one.verified
    )
    line = f"{counted(part.verified, 'hit')} asked again, {part.differed:,} differ ({models})"
    if not part.differed:
        return line
    ids = [
        case.case.id
        for case in report.cases
        if any(call.record.verified == "differed" for call in case.records)
    ]
    names = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    return f"{line}: {names}; what is kept stands, --recache and --rejudge take new answers"


def counted(number: int, word: str, plural: str | None = None) -> str:
    """So many of a thing.

    Example:
        >>> counted(1, "case"), counted(2000, "row"), counted(0, "miss", "misses")
        ('1 case', '2,000 rows', '0 misses')
    """
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def calls_line(part: Tally) -> str:
    """Calls made, by tier."""
    tiers = ", ".join(f"{number:,} {tier}" for tier, number in sorted(part.calls_by_tier.items()))
    return f"{part.misses:,}" + (f" ({tiers})" if tiers else "")


def prompt_head(case: CaseResult) -> Text:
    """The text that was asked: the prompt, or the last message of a chat that has text."""
    rendered = case.case.rendered
    if isinstance(rendered, str):
        return rendered
    texts = [message.content for message in rendered if isinstance(message.content, str)]
    return texts[-1] if texts else ""


def failed_check(case: CaseResult) -> tuple[str, Text]:
    """The check that decided and its reason; for a case without one, the case's own reason."""
    for check in case.checks:
        if check.outcome.value == case.outcome.value:
            return check.type, check.reason if raw(check.reason) else case.reason or ""
    return "", case.reason or ""


def estimate_line(cost: CostEstimate, paid: Tally) -> str | None:
    """What was expected, what was paid, and at most; ``None`` where nothing was expected."""
    if cost.expected == 0 and not cost.unmetered:
        return None
    words = [f"expected {expected_words(cost)}"]
    error = estimate_error(cost, paid)
    if error is not None:
        less = "less" if error < 0 else "more"
        words.append(f"paid {dollars(paid.incurred.amount)} ({_percent(abs(error))} {less})")
    words.append(f"at most {dollars(cost.maximum)}")
    return ", ".join(words)


def price_of(cases: Iterable[CaseResult]) -> CostEstimate | None:
    """What it would cost to ask for what some cases lack; ``None`` where none has a price."""
    prices = [case.price for case in cases if case.price is not None]
    if not prices:
        return None
    return CostEstimate(
        expected=money.total(price.expected for price in prices),
        maximum=money.total(price.maximum for price in prices),
        unmetered=any(price.unmetered for price in prices),
    )


def price_words(cost: CostEstimate) -> str:
    """A price that would have to be paid."""
    return f"{expected_words(cost)}, at most {dollars(cost.maximum)}"


def expected_words(cost: CostEstimate) -> str:
    """What is expected to be paid, and whether it may well be more.

    Example:
        >>> expected_words(CostEstimate(expected=money.ZERO, maximum=None, unmetered=True))
        '$0 or more'
    """
    return dollars(cost.expected) + (" or more" if cost.unmetered else "")


def remedy_words(remedy: Remedy) -> str:
    """A way out, with what it saves."""
    tail = "" if remedy.enough else ", not enough alone"
    return (
        f"{remedy.action}  expected {dollars(remedy.expected)}, saves {dollars(remedy.saves)}{tail}"
    )


def _percent(part: Fraction) -> str:
    shown = round(float(part) * 100, 1)
    return "<0.1 %" if part and not shown else f"{shown:g} %"
