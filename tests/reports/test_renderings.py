"""Every format: the sample as kept on disk, hostile text, and any text at all."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from evalrunner.reports import screen, terminal
from evalrunner.reports.document import from_json, to_json
from evalrunner.reports.html import render as render_html
from evalrunner.reports.jsonl import render as render_jsonl
from evalrunner.reports.junit import render as render_junit
from evalrunner.reports.markdown import MARKER, MAX_BYTES
from evalrunner.reports.markdown import render as render_markdown
from evalrunner.reports.table import COLUMNS
from evalrunner.reports.table import render as render_csv
from evalrunner.reports.terminal import print_report, render_report, wants_color
from evalrunner.values.exchange import ModelText
from evalrunner.values.result import Decision, GateDecision, Outcome, RunReport
from evalrunner.values.summary import Summary
from evalrunner.verdict.summary import summarise
from tests.reports import hostile
from tests.reports.samples import case, reports, sample
from tests.reports.test_safe_text import commands

GOLD = Path(__file__).parent.parent / "gold"
RENDERERS: dict[str, Callable[[RunReport], str]] = {
    "report.txt": render_report,
    "report.md": render_markdown,
    "report.junit.xml": render_junit,
    "report.csv": render_csv,
    "report.jsonl": render_jsonl,
    "report.html": render_html,
    "report.json": lambda report: to_json(report).decode("ascii"),
}


def side_by_side() -> RunReport:
    """The sample with a second prompt, so that every part of a page is there."""
    report = sample()
    more = tuple(
        case(f"{row}@short", outcome, prompt="short", reason="bad", line=line)
        for line, (row, outcome) in enumerate(
            [("polite", Outcome.PASSED), ("late", Outcome.FAILED)], start=6
        )
    )
    return replace(report, cases=report.cases + more)


def poisoned(payload: str) -> RunReport:
    """The sample with *payload* wherever a stranger or a model may write."""
    bad = case(payload, Outcome.FAILED, suite=payload, prompt=payload, target=payload, text=payload)
    ref = replace(bad.case, description=payload, tags={payload: payload}, rendered=payload)
    ref = replace(ref, source=replace(ref.source, file=payload))
    check = replace(bad.checks[0], type=payload, reason=ModelText(payload), value=payload)
    bad = replace(bad, case=ref, checks=(check,), reason=ModelText(payload))
    other = replace(bad, case=replace(ref, id=payload + "2", prompt="b"), outcome=Outcome.ERRORED)
    gate = GateDecision(
        name=payload,
        decision=Decision.FAIL,
        suite=payload,
        observed=payload,
        limit=payload,
        detail=payload,
    )
    report = sample()
    return replace(
        report,
        cases=(bad, other),
        gates=(gate,),
        failures=(replace(report.failures[0], message=payload, rule=payload),),
        warnings=(payload,),
        cost_ratio=replace(report.cost_ratio, status=payload, detail=payload, ratio_total=payload),
        run=replace(report.run, id=payload),
        cache=replace(report.cache, mode=payload),
    )


@pytest.mark.parametrize("name", RENDERERS)
def test_the_sample_reads_as_kept(name: str, tmp_path: Path) -> None:
    actual = RENDERERS[name](side_by_side())
    gold = GOLD / name
    if not gold.exists() or gold.read_bytes().decode() != actual:
        seen = tmp_path / name
        seen.write_bytes(actual.encode())
        pytest.fail(f"{gold} differs from {seen}")


@pytest.mark.parametrize("name", RENDERERS)
def test_a_document_renders_as_the_run_did(name: str) -> None:
    report = side_by_side()
    again = from_json(to_json(report), name="run.json")
    assert RENDERERS[name](again) == RENDERERS[name](report)


@given(reports)
def test_any_report_can_be_rendered(report: RunReport) -> None:
    for render in RENDERERS.values():
        render(report).encode()


@pytest.mark.parametrize("name", RENDERERS)
def test_a_report_without_cases_can_be_rendered(name: str) -> None:
    empty = replace(sample(), cases=(), gates=(), failures=(), warnings=())
    kept = replace(empty, summary=summarise(sample().cases))
    kept = replace(kept, run=replace(kept.run, answered_from="r0"))
    for report in (empty, kept, replace(empty, summary=Summary())):
        assert RENDERERS[name](report) or name == "report.jsonl"


# ---------------------------------------------------------------- terminal

SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("payload", hostile.ALL)
def test_a_terminal_obeys_nothing(payload: str) -> None:
    color = payload in hostile.TERMINAL
    page = render_report(poisoned(payload), color=color)
    bare = SGR.sub("", page) if color else page
    assert all(char.isprintable() or char in "\n\u00a0" for char in bare)
    assert commands(page) == []
    assert hostile.MARK in page


def test_the_screen_is_eighty_wide() -> None:
    assert max(len(line) for line in render_report(side_by_side()).split("\n")) <= 80


def test_many_failures_fit_a_screen() -> None:
    many = tuple(case(f"r{index}", Outcome.FAILED, text="x" * 5000) for index in range(500))
    page = render_report(replace(sample(), cases=many))
    assert "and 490 more: evalrunner report last -o report.html" in page
    assert len(page.split("\n")) < 75


def test_unknown_cost_names_the_models() -> None:
    base = case("x")
    unpriced = replace(base.records[0], record=replace(base.records[0].record, nominal=None))
    page = render_report(replace(sample(), cases=(replace(base, records=(unpriced,)),)))
    assert "nominal unknown" in page
    assert "cost unknown for large" in page


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "color"),
    [
        (Tty(), {}, True),
        (Tty(), {"NO_COLOR": "1"}, False),
        (Tty(), {"NO_COLOR": ""}, True),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_people_who_want_it(
    stream: io.StringIO, environ: dict[str, str], color: bool
) -> None:
    assert wants_color(stream, environ) is color


def test_quiet_says_the_verdict_and_verbose_every_case() -> None:
    many = tuple(case(f"r{index}", Outcome.FAILED) for index in range(30))
    report = replace(sample(), cases=many)
    quiet = render_report(report, quiet=True)
    assert quiet.startswith("failed: quality  30 cases: 30 failed\nexit 1\n")
    assert "answer" not in quiet
    assert "support-replies/r29" not in render_report(report)
    assert "support-replies/r29" in render_report(report, verbose=True)


def test_a_page_is_printed_as_the_stream_can_take_it() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_report(sample(), stream, environ={})
    stream.seek(0)
    assert stream.read() == render_report(sample()).replace("\u2717", "?").replace("\u2713", "?")
    person = Tty()
    print_report(sample(), person, environ={"COLUMNS": "70"})
    assert "\x1b[1" in person.getvalue()
    assert max(map(len, SGR.sub("", person.getvalue()).split("\n"))) <= 70


# ---------------------------------------------------------------- markdown


def outside_fences(page: str) -> Iterator[tuple[str, str]]:
    """Type and text of everything that a CommonMark reader sees outside code."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(page):
        for part in token.children or [token]:
            if part.type not in ("fence", "code_inline", "code_block"):
                yield part.type, part.content


@pytest.mark.parametrize("payload", hostile.ALL)
def test_markdown_shows_strangers_text_in_code_only(payload: str) -> None:
    page = render_markdown(poisoned(payload))
    seen = list(outside_fences(page))
    assert hostile.MARK in page
    assert [content for _, content in seen if hostile.MARK in content or "@" in content] == []
    html = [content.strip() for kind, content in seen if kind.startswith("html")]
    assert html == [MARKER]
    assert not any(kind in ("image", "link_open") for kind, _ in seen)


def test_markdown_without_contents_shows_none() -> None:
    page = render_markdown(sample(), contents=False)
    assert "I cannot help" not in page
    assert "Please handle" not in page
    assert "support-replies/broken" in page


@pytest.mark.parametrize("text", ["`" * 100_000, "\x1b" * 100_000, "é" * 100_000, "x\n" * 50_000])
def test_markdown_stays_below_the_limit(text: str) -> None:
    many = tuple(
        replace(found, case=replace(found.case, id=f"{text}{index}", suite=f"{index}{text}"))
        for index in range(300)
        for found in [case("r", Outcome.FAILED, text=text, reason=text, check=text)]
    )
    gates = tuple(
        GateDecision(name=text, suite=text, decision=Decision.FAIL, detail=text) for _ in range(300)
    )
    report = replace(sample(), cases=many, gates=gates, warnings=(text,) * 300)
    assert len(render_markdown(report).encode()) <= MAX_BYTES


# ---------------------------------------------------------------- junit


@pytest.mark.parametrize("payload", hostile.ALL)
def test_junit_always_parses(payload: str) -> None:
    page = render_junit(poisoned(payload))
    root = ET.fromstring(page.encode())
    kinds = {"testsuites", "testsuite", "testcase", "properties", "property", "failure", "error"}
    assert {element.tag for element in root.iter()} == kinds
    assert hostile.MARK in root.findtext(".//failure", "")


def test_junit_counts_and_places_outcomes() -> None:
    root = ET.fromstring(render_junit(sample()))
    suite = root.find("testsuite")
    assert suite is not None
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "1"}
    found = {each.get("name"): [child.tag for child in each][1:] for each in suite}
    assert found == {
        "polite": [],
        "late": [],
        "broken": ["failure"],
        "slow": ["error"],
        "unpaid": ["skipped"],
    }
    broken = suite.find("testcase[@name='broken']")
    assert broken is not None
    assert (broken.get("classname"), broken.get("file"), broken.get("line")) == (
        "support-replies",
        "golden/support.jsonl",
        "3",
    )


ATTRIBUTES = {
    "testsuites": "name tests failures errors skipped time",
    "testsuite": "name tests failures errors skipped time timestamp",
    "testcase": "classname name time file line",
    "property": "name value",
    "failure": "message type",
    "error": "message type",
    "skipped": "message",
    "properties": "",
}


def test_junit_uses_the_common_attributes_only() -> None:
    for element in ET.fromstring(render_junit(side_by_side())).iter():
        assert set(element.keys()) <= set(ATTRIBUTES[element.tag].split())
    times = [each.get("timestamp") for each in ET.fromstring(render_junit(sample()))]
    assert times == ["2026-11-22T17:15:00"]


# ---------------------------------------------------------------- csv, jsonl


def test_csv_has_a_row_for_each_case_and_numbers_stay_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(sample()), newline="")))
    assert [row["id"] for row in rows] == [found.case.id for found in sample().cases]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[2]["outcome"], rows[2]["check"], rows[2]["incurred_usd"]) == (
        "failed",
        "contains",
        "0.000125",
    )
    assert float(rows[2]["latency_seconds"]) == 0.25


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_holds_no_formula(first: str) -> None:
    page = render_csv(poisoned(f"{first}HYPERLINK()"))
    cells = [cell for row in csv.reader(io.StringIO(page, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(first)]


def test_jsonl_is_the_cases() -> None:
    lines = render_jsonl(sample()).splitlines()
    assert [json.loads(line) for line in lines] == json.loads(to_json(sample()))["cases"]


# ---------------------------------------------------------------- html


class Page(HTMLParser):
    """Elements, attributes and policy of a page, as a browser's parser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)


@pytest.mark.parametrize("payload", hostile.ALL)
def test_html_holds_no_markup_but_its_own(payload: str) -> None:
    page = render_html(poisoned(payload))
    seen, own = Page(page), Page(render_html(side_by_side()))
    assert hostile.MARK in page
    assert seen.elements <= own.elements
    assert seen.attributes <= own.attributes
    assert not {"script", "img", "a", "link", "iframe"} & own.elements
    assert not {"src", "href", "style", "onerror"} & own.attributes


def test_html_allows_its_own_style_and_nothing_else() -> None:
    page = render_html(sample())
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}';" in page


def test_html_shows_failures_first() -> None:
    page = render_html(sample())
    assert page.index("support-replies/broken") < page.index("support-replies/polite")


def untroubled() -> RunReport:
    good = tuple(case for case in sample().cases if case.outcome is Outcome.PASSED)[:1]
    info = replace(sample().run, exit_code=0)
    gates = tuple(replace(gate, detail="") for gate in sample().gates)
    warnings = ("mind the gap",)
    return replace(
        sample(), run=info, cases=good, gates=gates, failures=(), warnings=warnings, summary=None
    )


def test_the_plain_screen_is_the_drawn_one_without_its_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run in which nothing went wrong is shown without importing rich, in the very same lines."""
    plain = render_report(untroubled())
    assert "mind the gap" in plain
    monkeypatch.setattr(screen, "draw", None)
    assert render_report(untroubled()) == plain, "nothing was drawn"
    with pytest.raises(TypeError):
        render_report(untroubled(), color=True)
    with pytest.raises(TypeError):
        render_report(replace(untroubled(), warnings=("a line that does not fit " * 5,)))
    monkeypatch.undo()
    monkeypatch.setattr(terminal, "_plain", lambda *_: None)
    assert render_report(untroubled()) == plain
