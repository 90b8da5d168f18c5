from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.errors import ConfigError
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.redact import SECRET_MARK, Redaction
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import Outcome, RunReport
from evalrunner.verdict.summary import summarise
from tests.reports.samples import case, record, reports, sample, subject

CANARY = "canary-7f3a"


def telling() -> RunReport:
    """A report with the canary wherever content may stand."""
    found = case("x", Outcome.FAILED, text=CANARY, reason=CANARY, check_reason=CANARY)
    ref = replace(found.case, rendered=CANARY, vars={"a": [CANARY]}, description=CANARY)
    answer = replace(
        subject(CANARY, account=record()).response,
        refusal=ModelText(CANARY),
        tool_calls=[{"name": CANARY}],
    )
    asked = replace(subject(CANARY, account=record()), response=answer)
    check = replace(found.checks[0], value={"is": CANARY})
    found = replace(found, case=ref, subject=asked, confirmed_from=asked, checks=(check,))
    not_run = replace(case("y", Outcome.NOT_RUN, reason="budget"), confirmed_from=asked)
    return replace(sample(), cases=(found, not_run))


@pytest.mark.parametrize("include", ["redacted", "none"])
def test_no_content_is_left(include: str) -> None:
    assert CANARY.encode() in to_json(telling())
    data = to_json(Redaction(include).report(telling()))
    assert CANARY.encode() not in data
    assert b"Please handle" not in data
    assert (b"sha256:" in data) is (include == "redacted")


@pytest.mark.parametrize("include", ["outputs", "redacted", "none"])
def test_sums_and_verdicts_stay(include: str) -> None:
    found = Redaction(include).report(telling())
    assert summarise(found.cases) == summarise(telling().cases)
    assert [each.case.id for each in found.cases] == [each.case.id for each in telling().cases]
    assert found.cases[1].reason == ModelText("budget")
    assert from_json(to_json(found), name="x") == found


def test_all_content_is_the_very_same_report() -> None:
    report = telling()
    assert Redaction("outputs").report(report) is report


def test_equal_texts_have_equal_digests() -> None:
    first, second = (Redaction("redacted").report(telling()).cases[0] for _ in range(2))
    assert first == second
    assert first.subject is not None
    assert first.subject.response.text.raw.endswith(", 11 characters]")


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="'all'"):
        Redaction("all").report(sample())


SECRET = 'sk-"é/+key\\value=='


def encodings(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        *(b64encode(b"u" * skip + data + b"!").decode() for skip in range(3)),
        *(urlsafe_b64encode(b"u" * skip + data).decode() for skip in range(3)),
    ]


@pytest.mark.parametrize("form", encodings(SECRET))
def test_a_secret_is_found_in_every_form(form: str) -> None:
    report = replace(telling(), warnings=(f"the provider said {form}!",))
    cleaned = Redaction(secrets=[SECRET]).report(report)
    assert SECRET_MARK in cleaned.warnings[0]
    assert form not in cleaned.warnings[0]


def test_a_secret_is_found_in_every_place() -> None:
    cleaned = Redaction(secrets=[CANARY]).report(telling())
    assert CANARY.encode() not in to_json(cleaned)
    assert from_json(to_json(cleaned), name="x") == cleaned


@pytest.mark.parametrize("secrets", [[], ["a"], [""], ["never-there-at-all"]])
def test_without_a_find_it_is_the_very_same_report(secrets: list[str]) -> None:
    report = telling()
    assert Redaction(secrets=secrets).report(report) is report


@given(reports, st.text(min_size=6))
def test_any_report_can_be_cleaned(report: RunReport, secret: str) -> None:
    for include in ("redacted", "none"):
        assert to_json(Redaction(include, [secret]).report(report))


@given(reports, st.sampled_from(["outputs", "redacted", "none"]))
def test_case_by_case_it_comes_out_the_same(report: RunReport, include: str) -> None:
    redaction = Redaction(include, ["secret-value"])
    cases = tuple(map(redaction.case, report.cases))
    assert replace(redaction.frame(report), cases=cases) == redaction.report(report)
