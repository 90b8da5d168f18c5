"""One self-contained page of HTML: no script, nothing loaded, every text escaped by the template."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import Final

from jinja2 import Environment, StrictUndefined, Template

from evalrunner.reports.phrases import (
    avoided_line,
    cache_line,
    calls_line,
    cost_line,
    dollars,
    failed_check,
    headline,
    outcome_counts,
    prompt_head,
    share,
    unknown_lines,
)
from evalrunner.reports.ratio_lines import paid_line, ratio_lines
from evalrunner.reports.safe_text import Text, one_line, visible
from evalrunner.reports.variants import variants
from evalrunner.values.exchange import Json, ModelText
from evalrunner.values.result import CaseResult, RunReport
from evalrunner.verdict.summary import summary_of

TEXT_LIMIT: Final = 20_000
MOST_CASES: Final = 5_000


def render(report: RunReport) -> str:
    """The page: verdict, gates, cost, and each case to unfold, failed ones first.

    A content security policy forbids everything but the page's own style, and model text that
    missed its sanitizer would be an error, not markup.
    """
    order = ("failed", "errored", "not_run", "skipped", "passed")
    cases = sorted(report.cases, key=lambda case: order.index(case.outcome.value))
    total = summary_of(report).total
    return _template().render(
        report=report,
        style=_STYLE,
        style_hash=b64encode(sha256(_STYLE.encode()).digest()).decode(),
        headline=headline(report),
        counts=outcome_counts(total),
        total=total,
        facts=_facts(report),
        variants=variants(report.cases),
        cases=[(case, *failed_check(case), prompt_head(case)) for case in cases[:MOST_CASES]],
        left_out=max(0, len(cases) - MOST_CASES),
        line=_line,
        block=_block,
        conversation=_conversation,
        dollars=dollars,
        share=share,
    )


def _facts(report: RunReport) -> list[tuple[str, str]]:
    total = summary_of(report).total
    facts = [
        ("run", report.run.id),
        ("started", report.run.started_at),
        ("cost", cost_line(total, report.possibly_paid)),
        *([("avoided", avoided)] if (avoided := avoided_line(total)) else []),
        ("cache", cache_line(report, total)),
        ("calls", calls_line(total)),
    ]
    facts += [("", line) for line in unknown_lines(total.unpriced, total.unmetered)]
    if paid := paid_line(report):
        facts.append(("paid", paid))
    if report.cost_ratio.status != "skipped":
        facts += ratio_lines(report.cost_ratio)
    facts += [(f"exit {int(failure.code)}", failure.message) for failure in report.failures]
    facts += [("warning", line) for line in report.warnings]
    return facts


def _block(text: Text | Json) -> str:
    """Text as it is, anything else as JSON; either made visible and cut."""
    if isinstance(text, str | ModelText):
        return visible(text, TEXT_LIMIT)
    return visible(json.dumps(text, ensure_ascii=False, indent=1, default=str), TEXT_LIMIT)


def _line(text: Text) -> str:
    return one_line(text, 300)


def _conversation(case: CaseResult) -> list[tuple[str, Json]]:
    rendered = case.case.rendered
    if isinstance(rendered, str):
        return [("prompt", rendered)]
    return [(message.role, message.content) for message in rendered]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_PAGE)


_STYLE: Final = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}
h1 span{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}
.good,.passed summary i{background:#2da44e}.bad,.failed summary i{background:#cf222e}
.errored summary i{background:#8250df}.not_run summary i,.skipped summary i{background:#bf8700}
table{border-collapse:collapse;margin:1.2rem 0;width:100%}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;vertical-align:top;border-bottom:1px solid #8883}
th{font-weight:500;opacity:.7;white-space:nowrap}
details{border-bottom:1px solid #8883;padding:.35rem 0}
summary{cursor:pointer}
summary i{display:inline-block;width:.6em;height:.6em;border-radius:50%;margin-right:.5em}
summary small{opacity:.7;margin-left:.6em}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.5rem .7rem;margin:.2rem 0 .8rem}
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{{ style_hash }}'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>evalrunner: {{ headline }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
<h1><span class="{{ 'bad' if report.run.exit_code else 'good' }}"></span>evalrunner: {{ headline }}</h1>
<p>{{ total.cases }} cases: {{ counts }}</p>
{% if report.gates %}
<table>
<tr><th>gate</th><th>suite</th><th>decision</th><th>observed</th><th>limit</th><th>detail</th></tr>
{% for gate in report.gates %}
<tr><td>{{ line(gate.name) }}</td><td>{{ line((gate.suite or '')) }}</td><td>{{ gate.decision.value }}</td><td>{{ line((gate.observed or '')) }}</td><td>{{ line((gate.limit or '')) }}</td><td>{{ line(gate.detail) }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% if variants %}
<table>
<tr><th>suite</th><th>prompt</th><th>target</th><th>passed</th><th>cost</th><th>median latency</th></tr>
{% for each in variants %}
<tr><td>{{ line(each.suite) }}</td><td>{{ line(each.prompt) }}</td><td>{{ line(each.target) }}</td><td>{{ each.passed }}/{{ each.decided }} ({{ share(each.passed, each.decided) }})</td><td>{{ dollars(each.nominal) }}</td><td>{% if each.latency_seconds is not none %}{{ '%.2f' | format(each.latency_seconds) }} s{% endif %}</td></tr>
{% endfor %}
</table>
{% endif %}
<table>
{% for name, text in facts %}
<tr><th>{{ name }}</th><td>{{ line(text) }}</td></tr>
{% endfor %}
</table>
{% for case, check, reason, asked in cases %}
<details class="{{ case.outcome.value }}">
<summary><i></i>{{ line(case.case.id) }}<small>{{ case.outcome.value }} {{ line(check) }} {{ line(asked) }}</small></summary>
<p>{{ line(case.case.source.file) }}:{{ case.case.source.line }}</p>
{% for role, text in conversation(case) %}
{{ line(role) }}<pre>{{ block(text) }}</pre>
{% endfor %}
{% if case.subject is not none %}
answer of {{ line(case.subject.model) }}{{ ' (cached)' if case.subject.record.cached }}<pre>{{ block(case.subject.response.text) }}</pre>
{% endif %}
{% if case.confirmed_from is not none %}
answer of {{ line(case.confirmed_from.model) }}, before confirmation<pre>{{ block(case.confirmed_from.response.text) }}</pre>
{% endif %}
{% for check in case.checks %}
{{ line(check.type) }}: {{ check.outcome.value }}<pre>{{ block(check.reason) }}</pre>
{% endfor %}
{% if case.reason is not none and not case.checks %}
reason<pre>{{ block(reason) }}</pre>
{% endif %}
</details>
{% endfor %}
{% if left_out %}
<p>and {{ left_out }} more in the run document</p>
{% endif %}
</body>
</html>
"""
