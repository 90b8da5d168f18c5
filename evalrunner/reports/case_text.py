"""One case for a person who looks at a failed test: what was asked, answered, checked and paid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from evalrunner.reports.phrases import dollars
from evalrunner.reports.safe_text import Text, for_terminal, neutral, one_line, raw
from evalrunner.values.exchange import Json
from evalrunner.values.money import total
from evalrunner.values.result import CaseResult, CheckResult, Outcome

MOST_SHOWN: Final = 2000
"""Characters of a prompt or an answer; the run document has all of them."""

_COLUMN: Final = 10


def case_text(case: CaseResult) -> str:
    """The case, from its id to its cost; no line of it steers a terminal or a CI runner."""
    return neutral("\n".join(_lines(case)))


def case_cost(case: CaseResult) -> str:
    """What the case has paid in this run, as people say it."""
    return dollars(total(call.record.incurred for call in case.records))


def _lines(case: CaseResult) -> Iterator[str]:
    where = case.case.source
    yield f"{one_line(case.case.id, 300)}: {case.outcome.value.replace('_', ' ')}"
    if case.reason and all(check.outcome is not case.outcome for check in case.checks):
        yield from _block("why", case.reason)
    if where.file:
        yield from _block("row", f"{where.file}:{where.line}")
    if case.case.rendered:
        yield from _block("prompt", _prompt(case))
    if case.subject is not None:
        yield from _block("output", case.subject.response.text)
    for check in case.checks:
        yield from _block(_WORDS[check.outcome], _check(check))
    yield from _block("cost", _account(case))


_WORDS: Final = {
    Outcome.PASSED: "held",
    Outcome.FAILED: "FAILED",
    Outcome.ERRORED: "ERRORED",
    Outcome.SKIPPED: "skipped",
    Outcome.NOT_RUN: "not run",
}


def _block(name: str, text: Text) -> Iterator[str]:
    """A name and its text, further lines of the text indented below the first."""
    first, *others = for_terminal(text, MOST_SHOWN).split("\n") or [""]
    yield f"  {name:<{_COLUMN}}{first}".rstrip()
    for line in others:
        yield f"  {'':<{_COLUMN}}{line}".rstrip()


def _prompt(case: CaseResult) -> str:
    rendered = case.case.rendered
    if isinstance(rendered, str):
        return rendered
    return "\n".join(f"{message.role}: {_shown(message.content)}" for message in rendered)


def _check(check: CheckResult) -> str:
    words = [check.type]
    if check.value is not None:
        words.append(one_line(_shown(check.value), 200))
    head = " ".join(words)
    reason = raw(check.reason)
    judge = f" ({check.tier.value}: {check.model})" if check.model else ""
    return f"{head}{judge}: {reason}" if reason else f"{head}{judge}"


def _account(case: CaseResult) -> str:
    words = [f"{case_cost(case)} paid"]
    calls = sum(not (call.record.cached or call.record.shared) for call in case.records)
    hits = sum(call.record.cached for call in case.records)
    words.append(f"{calls} {'call' if calls == 1 else 'calls'}")
    if hits:
        words.append(f"{hits} from the cache")
    if case.subject is not None:
        words.append(f"answered by {one_line(case.subject.model, 80)}")
    return ", ".join(words)


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
