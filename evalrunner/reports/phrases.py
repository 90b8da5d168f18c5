"""The words that several pages share: what a run came to, what it cost, why a case failed."""

from __future__ import annotations

from typing import Final

from evalrunner.reports.safe_text import Text, raw
from evalrunner.values import money
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import CaseResult, Outcome, RunReport
from evalrunner.values.summary import Tally

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
    words = [f"paid {dollars(part.incurred.amount)}", f"nominal {dollars(part.nominal.amount)}"]
    words.append(f"saved by the cache {dollars(part.avoided_by_cache)}")
    if part.tiering.amount:
        words.append(f"by tiering {dollars(part.tiering.amount)} (estimate)")
    if possibly_paid != 0:
        words.append(f"possibly paid {dollars(possibly_paid)}")
    return ", ".join(words)


def cache_line(report: RunReport, part: Tally) -> str:
    """Hits, misses, mode and signing, in one line."""
    asked = part.hits + part.misses
    misses = "1 miss" if part.misses == 1 else f"{part.misses:,} misses"
    hits = "1 hit" if part.hits == 1 else f"{part.hits:,} hits"
    words = [f"{hits}, {misses} ({share(part.hits, asked)})"]
    if part.shared:
        words.append(f"{part.shared:,} shared")
    words += [report.cache.mode, report.cache.signing]
    if report.cache.damaged:
        words.append(f"{report.cache.damaged:,} damaged entries turned away")
    if report.cache.untrusted:
        words.append(f"{report.cache.untrusted:,} that no trusted key has signed")
    return ", ".join(words)


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
