from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from evalrunner.reports.document import to_json
from evalrunner.reports.document_schema import schema_run
from evalrunner.values.result import CostRatio, RunReport
from tests.reports.samples import reports, sample

VALIDATOR = Draft202012Validator(schema_run())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema_run())


@given(reports)
def test_every_document_is_valid(report: RunReport) -> None:
    gates = tuple(replace(gate, on_inconclusive="warn") for gate in report.gates)
    report = replace(report, gates=gates, cost_ratio=CostRatio(sources=({"source": "fixed"},)))
    VALIDATOR.validate(json.loads(to_json(report)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema"], "evalrunner.run/2"),
        (["cases", 0, "outcome"], "great"),
        (["cases", 0, "subject", "incurred_usd"], 0.5),
        (["cases", 0, "subject", "incurred_usd"], "1e3"),
        (["cases", 0, "row"], -1),
        (["cases", 2, "checks", 0, "class"], "other"),
        (["summary", "cost", "nominal_usd"], 1),
        (["summary", "by_suite", "support-replies", "passed"], "2"),
        (["summary", "by_suite", "support-replies", "gate", "min_pass_rate"], 0.95),
        (["failures", 0, "code"], 77),
    ],
)
def test_the_schema_refuses(path: list[str | int], value: object) -> None:
    document = json.loads(to_json(sample()))
    VALIDATOR.validate(document)
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    assert not VALIDATOR.is_valid(document)


def test_each_promised_part_is_required() -> None:
    document = json.loads(to_json(sample()))
    for key in ("schema", "run", "summary", "gates", "cost_ratio", "failures", "cases"):
        assert not VALIDATOR.is_valid(
            {name: part for name, part in document.items() if name != key}
        )
