"""Why cases were hits or misses, for people and for programs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Final

from evalrunner.reports.phrases import cause_phrase, misses_line
from evalrunner.reports.safe_text import neutral, one_line
from evalrunner.values.cause import Cause, Change, Explained
from evalrunner.values.explanation import ExplainedCase, Explanation

SCHEMA: Final = "evalrunner.explain/1"
MOST_CASES: Final = 20

_SHORT: Final = 60
_MOST_LINES: Final = 24
_WIDTH: Final = 110
_NAMES: Final = {
    Cause.TEMPLATE: "prompt",
    Cause.VARIABLES: "variable",
    Cause.PARAMS: "parameter",
    Cause.MODEL: "model",
    Cause.TARGET_CODE: "application",
    Cause.RUBRIC: "rubric of",
    Cause.ANSWER: "answer",
    Cause.EPOCH: "form of keys",
    Cause.TOOLS: "tools",
    Cause.RESPONSE_FORMAT: "response_format",
    Cause.FRAME: "judge's frame",
}


def render_explanation(explanation: Explanation, *, verbose: bool = False) -> str:
    """The explanation as text, ending in a newline; nothing in it steers a terminal or a CI runner."""
    most = len(explanation.cases) if verbose else MOST_CASES
    lines = [f"run {one_line(explanation.run.id, 80)}, begun {explanation.run.started_at}"]
    if explanation.misses:
        lines.append(misses_line(explanation.misses))
    for case in explanation.cases[:most]:
        lines += ["", *_case(case, explanation)]
    left = len(explanation.cases) - most
    if left > 0:
        lines += ["", f"and {left:,} more: evalrunner explain --misses -v"]
    return neutral("\n".join(lines) + "\n")


def explanation_json(explanation: Explanation) -> str:
    """The explanation as a JSON document, ending in a newline."""
    document = {
        "schema": SCHEMA,
        "run": explanation.run.id,
        "misses": [
            {
                "cause": group.cause,
                "count": group.count,
                "where": group.where,
                "since": group.since,
            }
            for group in explanation.misses
        ],
        "cases": [
            {"id": one.case.case.id, "requests": [_request_json(each) for each in one.requests]}
            for one in explanation.cases
        ],
    }
    return json.dumps(document, ensure_ascii=True) + "\n"


def _request_json(one: Explained) -> dict[str, object]:
    return {
        "role": one.role,
        "check": one.check,
        "endpoint": one.endpoint,
        "fingerprint": one.fingerprint,
        "hit": one.cause is None,
        "normalized": one.normalized,
        "cause": one.cause,
        "since": one.since,
        "changes": [
            {
                "component": change.cause,
                "name": change.name,
                "before": change.before,
                "after": change.after,
                "source": {"file": change.source.file, "line": change.source.line},
            }
            for change in one.changes
        ],
    }


def _case(one: ExplainedCase, explanation: Explanation) -> Iterator[str]:
    where = one.case.case.source
    place = f"  {one_line(where.file, 80)}:{where.line}" if where.file else ""
    yield f"{one_line(one.case.case.id, 120)}{place}"
    if not one.requests:
        yield "  it asked nobody"
    for request in one.requests:
        yield from _request(request, explanation)


def _request(one: Explained, explanation: Explanation) -> Iterator[str]:
    who = f"{one_line(one.check, 40)} by" if one.check else "answer of"
    head = f"  {who} {one_line(one.endpoint, 60)}: "
    if one.normalized:
        yield f"{head}hit, by a question that is alike but for white space (cache.reuse)"
        return
    if one.cause is None:
        yield head + (
            f"hit, the same question as in {_named(one.since, explanation)}"
            if one.since
            else "hit, answered from the cache; no run that is kept here asked it"
        )
        return
    yield f"{head}miss, {cause_phrase(one.cause)}"
    for change in one.changes:
        yield from _change(change)
    if one.since:
        yield f"    since {_named(one.since, explanation)}"


def _named(run_id: str | None, explanation: Explanation) -> str:
    started = explanation.started.get(run_id or "", "")
    return f"run {one_line(run_id or '', 80)}" + (f" of {one_line(started, 40)}" if started else "")


def _change(change: Change) -> Iterator[str]:
    kind = _NAMES.get(change.cause, change.cause.value)
    name = f" {one_line(change.name, 60)}" if change.name else ""
    source = change.source
    place = f" ({one_line(source.file, 80)}:{source.line})" if source.file else ""
    before, after = change.before, change.after
    head = f"    {kind}{name}{place}"
    if before is None and after is None:
        yield f"{head}: another, whose text is not kept"
    elif _is_short(before) and _is_short(after):
        yield f"{head}: {_quoted(before)} -> {_quoted(after)}"
    else:
        yield f"{head}:"
        yield from _difference(before or "", after or "")


def _is_short(text: str | None) -> bool:
    return text is None or (len(text) <= _SHORT and "\n" not in text)


def _quoted(text: str | None) -> str:
    return "absent" if text is None else repr(one_line(text, _SHORT))


def _difference(before: str, after: str) -> Iterator[str]:
    """The lines that differ, with one of context around them."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    shown = [line for line in found if not line.startswith(("---", "+++", "@@"))]
    for line in shown[:_MOST_LINES]:
        yield f"      {line[:1]} {one_line(line[1:], _WIDTH)}"
    if len(shown) > _MOST_LINES:
        yield f"      and {len(shown) - _MOST_LINES} more lines"
