"""Rows that passed are taken over from the run before: the same document as if they were not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalrunner.testing import FakeProvider
from evalrunner.values.result import RunReport
from evalrunner.wiring.publish import FORMATS
from evalrunner.wiring.reuse import Reuse

from .workspace import RUBRIC, Workspace

Row = dict[str, Any]
ROWS = [{"q": f"number {n}", "word": "ok"} for n in range(6)]
ROWS[4]["word"] = "absent"  # the one row that fails
CHECKS = [
    {"type": "contains", "value": "{{word}}"},
    {"type": "llm-rubric", "value": f"{RUBRIC} to {{{{q}}}}", "threshold": 0.5},
]
GATE = {"min_pass_rate": 0.5}


def changed(row: int, **fields: object) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [*rows[:row], {**rows[row], **fields}, *rows[row + 1 :]]


def added(row: int, **fields: object) -> Callable[[list[Row]], list[Row]]:
    new = {"q": "something new", "word": "ok", **fields}
    return lambda rows: [*rows[:row], new, *rows[row:]]


def removed(row: int) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [*rows[:row], *rows[row + 1 :]]


EDITS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "one reworded": changed(2, q="another"),
    "added at the start": added(0),
    "added in the middle": added(3),
    "added at the end": added(6),
    "a passing row removed": removed(1),
    "the failing row removed": removed(4),
    "two swapped": lambda rows: [rows[1], rows[0], *rows[2:]],
    "all reversed": lambda rows: rows[::-1],
    "a failing row fixed": changed(4, word="ok"),
    "a passing row broken": changed(0, word="absent"),
    "a row with checks of its own": added(2, checks=[{"type": "contains", "value": "number"}]),
    "a row with an id, tags and a description": added(
        2, id="mine", tags={"a": "b"}, description="d"
    ),
    "a text with quotes and another script": changed(1, q='"row":7,"source" – ключ'),
    "only the description": changed(3, description='","row":1,"source":{'),
    "removed, reworded and added": lambda rows: added(1)(changed(3, q="x")(removed(0)(rows))),
}
SUITES: dict[str, dict[str, Any]] = {
    "one prompt": {},
    "two prompts": {"prompts": ["Question {{q}}", "Please, {{q}}"]},
    "two targets": {"target": ["small", "large"], "checks": CHECKS[:1]},
    "three draws": {"repeat": 3, "checks": CHECKS[:1]},
    "a proxy first": {"checks": CHECKS[:1]},
    "no judge asked": {"checks": CHECKS[:1], "gate": {"min_pass_rate": 0.99}},
}


class Twin:
    """One project, and what each of the two ways makes of the same edit."""

    def __init__(self, workspace: Workspace, provider: FakeProvider, seen: list[bool]) -> None:
        self.workspace = workspace
        self.provider = provider
        self.seen = seen
        self.texts: dict[str, str] = {}

    def cold(self, suite: dict[str, Any], rows: list[Row]) -> None:
        self.workspace.suite(**{"checks": CHECKS, "gate": GATE, **suite})
        self.write(rows)
        self.run()

    def write(self, rows: list[Row], end: str = "\n") -> None:
        path = self.workspace.root / "golden" / "s.jsonl"
        path.write_bytes("".join(json.dumps(row) + end for row in rows).encode())

    def run(self, **flags: Any) -> dict[str, Any]:
        """The document of a run, without what differs between any two."""
        report = self.workspace.run(argv=("run",), as_json=True, **flags)
        self.texts = written(report)
        path = self.workspace.state / "runs" / f"{report.run.id}.json"
        assert self.texts[".json"] == path.read_text()
        return scrubbed(json.loads(path.read_bytes()))

    def both(self, **flags: Any) -> tuple[dict[str, Any], dict[str, Any], bool]:
        """The documents of the two ways, and whether the first took rows over."""
        before = self.workspace.root.parent / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(self.workspace.state, before)
        self.seen.clear()
        taken = self.run(**flags)
        used = any(self.seen)
        shutil.rmtree(self.workspace.state)
        shutil.copytree(before, self.workspace.state)
        for record in (self.workspace.state / "cache" / "unchanged").glob("*.rows"):
            record.unlink()
        self.seen.clear()
        whole = self.run(**flags)
        assert not any(self.seen)
        return taken, whole, used


@pytest.fixture
def twin(workspace: Workspace, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Twin:
    seen: list[bool] = []
    original = Reuse.document

    def document(self: Reuse, *arguments: Any) -> bytes:
        seen.append(True)
        return original(self, *arguments)

    monkeypatch.setattr(Reuse, "document", document)
    return Twin(workspace, provider, seen)


def written(report: RunReport) -> dict[str, str]:
    """The report in every format."""
    found = {ending: render(report) for ending, render in FORMATS.items()}
    return {name: text if isinstance(text, str) else text.decode() for name, text in found.items()}


def steady(text: str) -> str:
    """The text without ids of runs, times and what a clock measured."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z?)?", "TIME", text)
    text = re.sub(r'"(seed|latency_seconds)":"?[\d.e-]+"?', "", text)
    return re.sub(r'time="[\d.]+"|\b[\d.]+ m?s\b|(?<=,)\d+\.\d{3,}(?=,)', "", text)


def scrubbed(document: Any) -> Any:
    """Without ids of runs, times and what a clock measured."""
    if isinstance(document, dict):
        return {
            key: None
            if key in ("started_at", "finished_at", "latency_seconds", "seed")
            else scrubbed(value)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [scrubbed(item) for item in document]
    if isinstance(document, str) and re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", document):
        return "RUN"
    return document


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("edit", EDITS)
def test_both_ways_say_the_same(twin: Twin, suite: str, edit: str) -> None:
    twin.cold(SUITES[suite], ROWS)
    twin.write(EDITS[edit](ROWS))
    taken, whole, used = twin.both()
    assert used
    assert taken == whole
    assert list(map(list, taken["cases"])) == list(map(list, whole["cases"]))


@pytest.mark.parametrize("suite", ["one prompt", "two prompts"])
@pytest.mark.parametrize("edit", ["one reworded", "a passing row broken", "all reversed"])
def test_both_ways_write_the_same_reports(twin: Twin, suite: str, edit: str) -> None:
    twin.cold(SUITES[suite], ROWS)
    twin.write(EDITS[edit](ROWS))
    texts = []
    original = twin.run

    def run(**flags: Any) -> dict[str, Any]:
        document = original(**flags)
        texts.append({name: steady(text) for name, text in twin.texts.items()})
        return document

    twin.run = run  # type: ignore[method-assign]
    _, _, used = twin.both(outputs=tuple(map(Path, ("r.md", "r.junit.xml", "r.csv"))))
    assert used
    taken, whole = texts
    for ending in FORMATS:
        assert taken[ending] == whole[ending]


@pytest.mark.parametrize("suite", ["one prompt", "two prompts", "three draws"])
def test_edit_after_edit(twin: Twin, suite: str) -> None:
    twin.cold(SUITES[suite], ROWS)
    rows = ROWS
    for edit in EDITS.values():
        rows = edit(rows)
        twin.write(rows)
        if len({json.dumps(row) for row in rows}) < len(rows):
            break
        taken, whole, _ = twin.both()
        assert taken == whole
        twin.run()  # the first way's record has been replaced by that of the second


UNUSUAL: dict[str, Callable[[Twin], None]] = {
    "a row given twice": lambda twin: twin.write([*ROWS, ROWS[0]]),
    "the same variables in another order": lambda twin: twin.write(
        [*ROWS, dict(reversed(ROWS[0].items()))]
    ),
    "a question that was asked before": lambda twin: twin.write([*ROWS, {**ROWS[0], "x": 1}]),
    "most rows new": lambda twin: twin.write(
        [*ROWS[:1], *({"q": n, "word": "ok"} for n in range(9))]
    ),
    "another suite": lambda twin: edit_suite(twin, "Question {{q}}", "Quickly, {{q}}"),
}
QUIET: dict[str, Callable[[Twin], None]] = {
    "other line ends": lambda twin: twin.write([*ROWS, {"q": "new", "word": "ok"}], end="\r\n"),
    "blank lines": lambda twin: twin.write([*ROWS, {"q": "new", "word": "ok"}], end="\n\n"),
}


def edit_suite(twin: Twin, old: str, new: str) -> None:
    path = twin.workspace.root / "suites" / "s.yaml"
    path.write_text(path.read_text().replace(old, new))
    twin.write(changed(0, q="other")(ROWS))


def edit_documents(twin: Twin) -> None:
    for path in (twin.workspace.state / "runs").iterdir():
        path.write_text(path.read_text().replace("number 1", "numbers 1"))
    twin.write(changed(0, q="other")(ROWS))


UNUSUAL["an edited document"] = edit_documents


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_unusual_is_left_to_the_ordinary_run(twin: Twin, what: str) -> None:
    twin.cold({}, ROWS)
    UNUSUAL[what](twin)
    taken, whole, used = twin.both()
    assert not used
    assert taken == whole


@pytest.mark.parametrize("what", QUIET)
def test_ends_of_lines_change_no_row(twin: Twin, what: str) -> None:
    twin.cold({}, ROWS)
    QUIET[what](twin)
    taken, whole, used = twin.both()
    assert used
    assert taken == whole


@pytest.mark.parametrize(
    "flags",
    [{"limit": 4}, {"pattern": "s/"}, {"shard": "1/2"}, {"recache": True}, {"no_cache": True}],
)
def test_who_chooses_gets_an_ordinary_run(twin: Twin, flags: dict[str, Any]) -> None:
    twin.cold({}, ROWS)
    twin.write(changed(0, q="other")(ROWS))
    twin.run(**flags)
    assert not any(twin.seen)


def test_one_row_costs_one_request_and_one_judgement(twin: Twin) -> None:
    twin.cold({"checks": CHECKS}, ROWS)
    twin.provider.calls.clear()
    twin.write(changed(0, q="other")(ROWS))
    twin.run()
    assert any(twin.seen)
    assert sum(twin.provider.calls.values()) == 2
