from __future__ import annotations

import json
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.errors import RunDocumentError
from evalrunner.reports.document import document_of, from_json, head, to_json
from evalrunner.reports.document_cases import case_line
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import CaseResult, Outcome, RunReport
from evalrunner.values.summary import Summary
from evalrunner.verdict.summary import from_store, summarise
from tests.reports.samples import case, reports, sample


@given(reports)
def test_what_is_written_is_what_is_read(report: RunReport) -> None:
    data = to_json(report)
    assert data.isascii()
    again = from_json(data, name="run.json")
    assert again == report
    assert to_json(again) == data


def test_the_sample_is_written_and_read() -> None:
    assert from_json(to_json(sample()), name="run.json") == sample()


def test_one_case_a_line_and_the_head_first() -> None:
    lines = to_json(sample()).split(b"\n")
    assert lines[0].startswith(b'{"schema":"evalrunner.run/1","run":{"id":')
    assert lines[0].endswith(b'"cases":[')
    assert lines[-2:] == [b"]}", b""]
    for line, found in zip(lines[1:-2], sample().cases, strict=True):
        assert line.removesuffix(b",") == case_line(found)
        start = f'{{"id":"{found.case.id}","row":{found.case.row},"source":{{"file":'
        assert line.startswith(start.encode())


def test_lines_can_be_put_together_again() -> None:
    report = sample()
    lines = [case_line(found) for found in report.cases]
    assert document_of(head(report), lines) == to_json(report)
    assert json.loads(document_of(head(report), []))["cases"] == []


PROMISED = {
    "": "schema run summary gates cost_ratio failures cases",
    "run": "id started_at finished_at evalrunner git argv frozen shard seed exit_code answered_from",
    "summary": "cases passed failed errored skipped not_run pass_rate cache calls cost by_suite",
    "summary.pass_rate": "value low high n confidence",
    "summary.cache": "hits misses hit_rate misses_by_cause mode signing",
    "summary.calls": "total proxy frontier by_model",
    "summary.calls.by_model.large": "calls input_tokens output_tokens incurred_usd",
    "summary.cost": "incurred_usd nominal_usd avoided_usd possibly_paid_usd unpriced estimate",
    "summary.cost.avoided_usd": "cache tiering sampling",
    "summary.cost.estimate": "expected_usd maximum_usd",
    "gates.0": "name suite decision observed limit detail",
    "cost_ratio": "status basis ratio_total ratio_production projected_total bound testing_usd "
    "inference_usd window_days sources",
    "failures.0": "code rule message",
    "cases.0": "id description suite prompt rendered row repeat source outcome reason vars output "
    "subject checks",
    "cases.0.source": "file line",
    "cases.0.subject": "tier model cached fingerprint latency_seconds usage attempts incurred_usd "
    "nominal_usd confirmed_from",
    "cases.0.checks.0": "type value metric weight class outcome score threshold reason tier model "
    "escalated_from confidence cached fingerprint incurred_usd nominal_usd",
}


@pytest.mark.parametrize("place", PROMISED)
def test_every_promised_field_is_there(place: str) -> None:
    node = json.loads(to_json(sample()))
    for step in filter(None, place.split(".")):
        node = node[int(step)] if step.isdigit() else node[step]
    assert set(PROMISED[place].split()) <= set(node)


def test_the_sums_are_those_of_the_cases() -> None:
    summary = json.loads(to_json(sample()))["summary"]
    assert [summary[key] for key in ("cases", "passed", "failed", "errored", "not_run")] == [
        5,
        2,
        1,
        1,
        1,
    ]
    assert summary["cache"]["hits"] == 2 and summary["calls"]["total"] == 1
    assert summary["cost"]["incurred_usd"] == "0.000125"
    assert summary["cost"]["nominal_usd"] == "0.000375"
    assert summary["cost"]["avoided_usd"] == {"cache": "0.00025", "tiering": "0", "sampling": "0"}
    assert summary["by_suite"]["support-replies"]["gate"]["min_pass_rate"] == "0.95"
    lying = json.loads(to_json(sample()))
    lying["summary"]["passed"] = 99
    read = from_json(json.dumps(lying).encode(), name="lying.json")
    assert summarise(read.cases).total.passed == 2


def test_unknown_money_is_null_and_named() -> None:
    base = case("x")
    call = replace(base.records[0], record=replace(base.records[0].record, nominal=None))
    report = replace(sample(), cases=(replace(base, records=(call,)),))
    cost = json.loads(to_json(report))["summary"]["cost"]
    assert cost["nominal_usd"] is None and cost["avoided_usd"]["cache"] is None
    assert cost["unpriced"] == ["large"]


def test_a_document_by_reference_keeps_its_sums() -> None:
    parts = summarise(sample().cases).by_suite
    summary = Summary(by_suite={name: from_store(part) for name, part in parts.items()})
    run = replace(sample().run, answered_from="earlier")
    report = replace(sample(), run=run, cases=(), summary=summary)
    read = from_json(to_json(report), name="run.json")
    assert read == report
    assert read.summary is not None and read.summary.total.hits == 3


def test_numbers_that_are_none_never_reach_the_document() -> None:
    odd = case("x")
    odd = replace(odd, case=replace(odd.case, vars={"a": float("nan"), "b": [float("inf")]}))
    odd = replace(odd, checks=(replace(odd.checks[0], score=float("nan")),))
    assert odd.subject is not None
    answer = replace(odd.subject.response, latency_seconds=float("inf"))
    odd = replace(odd, subject=replace(odd.subject, response=answer))
    assert from_json(to_json(replace(sample(), cases=(odd,))), name="odd.json").cases
    line = json.loads(case_line(odd))
    assert line["vars"] == {"a": "nan", "b": ["inf"]} and line["checks"][0]["score"] is None


def test_bottomless_values_are_cut_not_raised() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    bottomless = case("x")
    bottomless = replace(bottomless, case=replace(bottomless.case, vars={"deep": deep}))  # type: ignore[dict-item]
    assert b"nested too deeply" in case_line(bottomless)


def edited(*path: str | int, value: object) -> bytes:
    document = json.loads(to_json(sample()))
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return json.dumps(document).encode()


HOSTILE = {
    "empty": b"",
    "not json": b"<html>",
    "not utf-8": b'{"schema":"\xff\xfe"}',
    "a list": b"[]",
    "nothing": b"{}",
    "NaN": b'{"schema":"evalrunner.run/1","cases":NaN}',
    "deep": b'{"schema":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "huge number": b'{"schema":' + b"9" * 100_000 + b"}",
    "cut off": to_json(sample())[:-40],
    "another document": edited("schema", value="evalrunner.plan/1"),
    "a later version": edited("schema", value="evalrunner.run/2"),
    "schema number": edited("schema", value=1),
    "cases object": edited("cases", value={}),
    "case text": edited("cases", 0, value="x"),
    "unknown outcome": edited("cases", 0, "outcome", value="great"),
    "list outcome": edited("cases", 0, "outcome", value=[]),
    "negative row": edited("cases", 0, "row", value=-1),
    "true row": edited("cases", 0, "row", value=True),
    "id number": edited("cases", 0, "id", value=7),
    "float money": edited("cases", 0, "subject", "nominal_usd", value=0.5),
    "infinite money": edited("cases", 0, "subject", "nominal_usd", value="Infinity"),
    "huge money": edited("cases", 0, "subject", "nominal_usd", value="1e999999999"),
    "infinite latency": edited("cases", 0, "subject", "latency_seconds", value=1e999),
    "huge latency": edited("cases", 0, "subject", "latency_seconds", value=10**400),
    "vars list": edited("cases", 0, "vars", value=[]),
    "vars infinite": to_json(sample()).replace(b'"vars":{', b'"vars":{"x":1e999,', 1),
    "vars deep": to_json(sample()).replace(
        b'"vars":{', b'"vars":{"x":' + b"[" * 300 + b"]" * 300 + b",", 1
    ),
    "tag number": edited("cases", 0, "tags", value={"a": 1}),
    "gate rate": edited(
        "summary", "by_suite", "support-replies", "gate", "min_pass_rate", value="x"
    ),
    "exit code": edited("failures", 0, "code", value=77),
    "argv": edited("run", "argv", value=[1]),
    "twice": edited("cases", 1, "id", value="support-replies/polite"),
    "no run": edited("run", value=None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_by_name(name: str) -> None:
    with pytest.raises(RunDocumentError, match=r"hostile\.json"):
        from_json(HOSTILE[name], name="hostile.json")


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
@given(
    path=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just([])
    | st.just({}),
)
def test_a_damaged_field_is_refused_or_read_but_never_a_traceback(
    path: list[int], value: object
) -> None:
    document = json.loads(to_json(sample()))
    node = document
    for step in path:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if not isinstance(node[key], dict | list) or step is path[-1]:
            node[key] = value
            break
        node = node[key]
    try:
        report = from_json(json.dumps(document).encode(), name="x")
    except RunDocumentError:
        return
    assert to_json(report)


def test_text_of_a_document_is_taken_for_a_models() -> None:
    read = from_json(to_json(sample()), name="run.json")
    assert isinstance(read.cases[2].reason, ModelText)
    assert isinstance(read.cases[2].checks[0].reason, ModelText)


def test_a_case_is_written_in_microseconds() -> None:
    found: CaseResult = case("x", Outcome.FAILED, reason="because", check_reason="because")
    best = min(_seconds(found) for _ in range(3))
    assert best / 2000 < 150e-6  # 25 µs where nothing else runs


def _seconds(found: CaseResult) -> float:
    start = process_time()
    for _ in range(2000):
        case_line(found)
    return process_time() - start
