"""JUnit XML, as CI systems read it: a suite is a ``testsuite``, a case a ``testcase``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from evalrunner.reports.phrases import failed_check, prompt_head
from evalrunner.reports.safe_text import for_xml, one_line, raw
from evalrunner.values.money import usd_text
from evalrunner.values.result import CaseResult, Outcome, RunReport

MESSAGE_LIMIT = 300
BODY_LIMIT = 4000


def render(report: RunReport) -> str:
    """The page; it parses whatever a model wrote. Errored cases are errors, never failures."""
    suites: dict[str, list[CaseResult]] = {}
    for case in report.cases:
        suites.setdefault(case.case.suite, []).append(case)
    root = ET.Element("testsuites", {"name": "evalrunner", **_counts(report.cases)})
    for name, cases in suites.items():
        root.append(_suite(report, name, cases))
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(report: RunReport, name: str, cases: Sequence[CaseResult]) -> ET.Element:
    attributes = {"name": _text(name), **_counts(cases), "timestamp": _timestamp(report)}
    suite = ET.Element("testsuite", attributes)
    for case in cases:
        suite.append(_case(case))
    return suite


def _counts(cases: Sequence[CaseResult]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": str(outcomes.count(Outcome.ERRORED)),
        "skipped": str(outcomes.count(Outcome.SKIPPED) + outcomes.count(Outcome.NOT_RUN)),
        "time": f"{sum(map(_seconds, cases)):.3f}",
    }


def _case(case: CaseResult) -> ET.Element:
    ref = case.case
    attributes = {
        "classname": _text(ref.suite),
        "name": _text(ref.id.removeprefix(f"{ref.suite}/")),
        "time": f"{_seconds(case):.3f}",
    }
    if ref.source.file:
        attributes |= {"file": _text(ref.source.file), "line": str(ref.source.line)}
    element = ET.Element("testcase", attributes)
    properties = ET.SubElement(element, "properties")
    for key, value in _properties(case):
        ET.SubElement(properties, "property", {"name": key, "value": _text(value)})
    _add_outcome(element, case)
    return element


def _properties(case: CaseResult) -> list[tuple[str, str]]:
    found = [("id", case.case.id), ("prompt", case.case.prompt), ("target", case.case.target)]
    if case.subject is not None:
        record = case.subject.record
        found += [
            ("tier", case.subject.tier.value),
            ("model", case.subject.model),
            ("cached", str(record.cached).lower()),
            ("incurred_usd", usd_text(record.incurred) or "unknown"),
        ]
    return found


def _add_outcome(element: ET.Element, case: CaseResult) -> None:
    check, reason = failed_check(case)
    message = one_line(reason, MESSAGE_LIMIT)
    match case.outcome:
        case Outcome.FAILED:
            attributes = {"message": message, "type": _text(check or "failed")}
            failure = ET.SubElement(element, "failure", attributes)
            failure.text = _body(case)
        case Outcome.ERRORED:
            attributes = {"message": message, "type": "error"}
            error = ET.SubElement(element, "error", attributes)
            error.text = _body(case)
        case Outcome.NOT_RUN | Outcome.SKIPPED:
            message = message or case.outcome.value
            ET.SubElement(element, "skipped", {"message": message})
        case Outcome.PASSED:
            pass


def _body(case: CaseResult) -> str:
    parts = [f"prompt: {for_xml(prompt_head(case), BODY_LIMIT)}"]
    if case.subject is not None:
        parts.append(f"answer: {for_xml(case.subject.response.text, BODY_LIMIT)}")
    parts += [
        f"{_text(check.type)}: {check.outcome.value}: {for_xml(check.reason, BODY_LIMIT)}"
        for check in case.checks
        if raw(check.reason)
    ]
    return "\n".join(parts)


def _seconds(case: CaseResult) -> float:
    return 0.0 if case.subject is None else case.subject.response.latency_seconds


def _timestamp(report: RunReport) -> str:
    """The start as the schema wants it: to the second and without a zone."""
    try:
        start = datetime.fromisoformat(report.run.started_at)
    except ValueError:
        return "1970-01-01T00:00:00"
    return start.strftime("%Y-%m-%dT%H:%M:%S")


def _text(text: str) -> str:
    return one_line(text, 1000)
