"""One screen of what a run would do: hits, calls, cost, and whether it may begin."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TextIO

from evalrunner.reports.facts import (
    Words,
    fits,
    gate_words,
    joined,
    wants_color,
    width_of,
    write_page,
)
from evalrunner.reports.phrases import (
    counted,
    dollars,
    price_words,
    remedy_words,
    share,
    unknown_lines,
)
from evalrunner.reports.ratio_lines import ratio_lines
from evalrunner.reports.safe_text import neutral, one_line
from evalrunner.values.forecast import CallForecast, Forecast, estimate_of
from evalrunner.values.plan import Miss, PlanReport

MOST_ROWS: Final = 12
MOST_MISSES: Final = 5


def print_plan(
    plan: PlanReport, stream: TextIO, *, environ: Mapping[str, str] | None = None
) -> None:
    """Writes the screen to *stream*, as wide and as colourful as it can take."""
    environ = os.environ if environ is None else environ
    color = wants_color(stream, environ)
    write_page(render_plan(plan, width=width_of(stream, environ), color=color), stream)


def render_plan(plan: PlanReport, *, width: int = 80, color: bool = False) -> str:
    """The screen, ending in a newline.

    Without *color* it holds no control character but the newline, and no rich is imported where its
    lines fit. No line of it is a workflow command of a CI runner.
    """
    facts, verdict = list(_facts(plan)), _verdict(plan)
    page = None if color else _plain(facts, verdict, width)
    if page is None:
        from evalrunner.reports.screen import draw_facts

        page = draw_facts(facts, verdict, width=width, color=color)
    lines = (line.rstrip(" ") for line in page.split("\n"))
    return neutral("\n".join(lines).rstrip("\n") + "\n")


def _plain(facts: Sequence[tuple[str, Words]], verdict: Words, width: int) -> str | None:
    indent = max(len(name) for name, _ in facts) + 2
    lines = [name.ljust(indent) + joined(words) for name, words in facts]
    lines += ["", *joined(verdict).split("\n")]
    return "\n".join(lines) if all(fits(line, width) for line in lines) else None


def _facts(plan: PlanReport) -> Iterator[tuple[str, Words]]:
    for line in _cache(plan):
        yield "cache", [(line, "")]
    yield "cost", [(_cost(plan), "")]
    unpriced = sorted({call.endpoint for call in plan.forecast.calls if call.expected is None})
    unmetered = sorted({call.endpoint for call in plan.forecast.calls if call.unmetered})
    for line in unknown_lines(unpriced, unmetered, planned=True):
        yield "", [(one_line(line, 300), "yellow")]
    yield from _calls(plan.forecast)
    for name, text in ratio_lines(plan.cost_ratio):
        yield name, [(one_line(text, 300), "")]
    for gate in plan.gates[:MOST_ROWS]:
        yield "gate", gate_words(gate)
    if len(plan.gates) > MOST_ROWS:
        yield "", [(f"and {len(plan.gates) - MOST_ROWS} more gates", "dim")]
    for remedy in plan.remedies:
        yield "remedy", [(one_line(remedy_words(remedy), 300), "")]
    yield from _misses(plan.misses)
    for warning in plan.warnings[:MOST_ROWS]:
        yield "warning", [(one_line(warning, 300), "yellow")]


def _cache(plan: PlanReport) -> Iterator[str]:
    total = plan.total
    asked = _rounded(plan.forecast.calls)
    misses = counted(asked, "miss", "misses")
    hits = "1 hit" if total.hits == 1 else f"{total.hits:,} hits"
    yield (
        f"{hits}, {misses} ({share(total.hits, total.hits + asked)}), "
        f"{plan.cache.mode}, {plan.cache.signing}"
    )
    if plan.causes:
        counts = sorted(plan.causes.items(), key=lambda item: -item[1])
        yield ", ".join(f"{number:,} {one_line(cause, 60)}" for cause, number in counts[:6])


def _cost(plan: PlanReport) -> str:
    words = f"expected {price_words(plan.estimate)}"
    saved = plan.total.nominal.amount
    return words + (f", saved by the cache {dollars(saved)}" if plan.total.hits else "")


def _calls(forecast: Forecast) -> Iterator[tuple[str, Words]]:
    """Calls by tier, then a line for each model."""
    if not forecast.calls:
        yield "calls", [("0", "")]
        return
    tiers = ", ".join(
        f"{_rounded(parts):,} {tier}"
        for tier, parts in forecast.summed(lambda call: call.tier.value).items()
    )
    most = sum(call.most_calls for call in forecast.calls)
    yield "calls", [(f"{_rounded(forecast.calls):,} ({tiers}), at most {most:,}", "")]
    models = forecast.summed(lambda call: call.endpoint)
    for name, parts in list(models.items())[:MOST_ROWS]:
        yield "", [(f"{one_line(name, 40)}: {_model(parts)}", "dim")]


def _model(parts: Sequence[CallForecast]) -> str:
    read = sum(round(part.input_tokens) for part in parts)
    made = sum(round(part.output_tokens) for part in parts)
    cost = price_words(estimate_of(parts))
    count = _rounded(parts)
    calls = "1 call" if count == 1 else f"{count:,} calls"
    return f"{calls}, {read:,} in, {made:,} out, {cost}"


def _misses(misses: Sequence[Miss]) -> Iterator[tuple[str, Words]]:
    for number, miss in enumerate(misses[:MOST_MISSES]):
        where = miss.case.source
        place = f" ({one_line(where.file, 60)}:{where.line})" if where.file else ""
        text = f"{one_line(miss.case.id, 80)}{place} {price_words(miss.price)}"
        yield "" if number else "to ask", [(text, "")]
    if len(misses) > MOST_MISSES:
        yield "", [(f"and {len(misses) - MOST_MISSES:,} more cases: --json lists all", "dim")]


def _verdict(plan: PlanReport) -> Words:
    total = plan.total
    answered = total.cases - total.waiting
    good = plan.run.exit_code == 0
    if good:
        head = "may begin" if total.waiting else "nothing to ask"
    else:
        head = "would be refused" if total.cases else "nothing was selected"
    line = [
        (head, "bold green" if good else "bold red"),
        (
            f"  {counted(total.cases, 'case')}: {answered:,} answered by the cache, {total.waiting:,} to ask",
            "",
        ),
    ]
    if not good:
        line.append((f"\nexit {plan.run.exit_code}", "bold"))
        line += [
            (f"\n  {int(failure.code)}  {one_line(failure.message, 300)}", "")
            for failure in plan.failures[:MOST_ROWS]
        ]
    return line


def _rounded(parts: Iterable[CallForecast]) -> int:
    return round(sum(part.calls for part in parts))
