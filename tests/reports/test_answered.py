from __future__ import annotations

from dataclasses import replace

import pytest

from evalrunner.errors import RunDocumentError
from evalrunner.reports.answered import resolve
from evalrunner.reports.document import from_json, to_json
from evalrunner.values.result import RunReport
from evalrunner.values.summary import Summary
from evalrunner.verdict.summary import from_store, summarise
from tests.reports.samples import sample


def answered() -> RunReport:
    parts = summarise(sample().cases).by_suite
    summary = Summary(by_suite={name: from_store(part) for name, part in parts.items()})
    run = replace(sample().run, id="later", answered_from=sample().run.id)
    return replace(sample(), run=run, cases=(), summary=summary)


def test_cases_come_from_the_earlier_run_as_hits() -> None:
    asked: list[str] = []

    def load(run_id: str) -> RunReport:
        asked.append(run_id)
        return sample()

    report = from_json(to_json(answered()), name="later.json")
    found = resolve(report, load)
    assert asked == [sample().run.id]
    assert [each.case for each in found.cases] == [each.case for each in sample().cases]
    assert found.summary is None
    assert summarise(found.cases) == report.summary
    assert summarise(found.cases).total.incurred.amount == 0
    assert all(call.record.cached for each in found.cases for call in each.records)
    assert all(each.subject.record.cached for each in found.cases if each.subject)


def test_a_report_with_its_cases_is_itself() -> None:
    def load(run_id: str) -> RunReport:
        raise AssertionError(run_id)

    assert resolve(sample(), load) == sample()
    resolved = resolve(answered(), lambda _: sample())
    assert resolve(resolved, load) is resolved


def test_a_reference_to_a_reference_is_refused() -> None:
    with pytest.raises(RunDocumentError, match="refers to another run"):
        resolve(answered(), lambda _: answered())
