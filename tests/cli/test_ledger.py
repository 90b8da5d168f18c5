"""``ledger`` and ``prices`` on a command line: what was paid, by what, as text, JSON, files and bars."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evalrunner.adapters.ledger_sqlite import SqliteLedger
from evalrunner.cli.app import entry
from evalrunner.engine.ports import Attempt, RunRow, Settlement
from evalrunner.values.exchange import Tier, Usage
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import PICO_PER_USD, Picodollars

NOW = time.time()
CONFIG = """
models:
  small: {model: openai/x, base_url: "http://127.0.0.1:1/v1", price: {input_per_mtok: 1, output_per_mtok: 2}}
  own: {model: openai/y, base_url: "http://127.0.0.1:1/v1", price: {usd_per_hour: 3.6}}
  odd: {model: openai/z, base_url: "http://127.0.0.1:1/v1"}
"""


def call(
    run: str, number: int, *, suite: str = "s", case: str = "s/1", tier: Tier = Tier.FRONTIER
) -> Attempt:
    return Attempt(
        id=f"{run}/{number}/1",
        at=NOW,
        suite=suite,
        case_id=case,
        check=None,
        role="subject",
        tier=tier,
        provider="openai",
        model="gpt-5" if tier is Tier.FRONTIER else "mini",
        endpoint="large",
        fingerprint=Fingerprint("0"),
        worst_case=Picodollars(PICO_PER_USD),
        price_source="list@1",
    )


def paid(attempt: Attempt, cents: int | None, **more: Any) -> Settlement:
    cost = None if cents is None else Picodollars(cents * PICO_PER_USD // 100)
    usage = Usage(input_tokens=900_000, output_tokens=100_000)
    return replace(Settlement(id=attempt.id, at=NOW, status="ok", usage=usage, cost=cost), **more)


def row(run: str, suite: str, cases: int, cents: int, nominal: int, tags: dict[str, str]) -> RunRow:
    return RunRow(
        run_id=run,
        at=NOW,
        suite=suite,
        cases=cases,
        passed=cases - 1,
        calls=2,
        hits=7,
        incurred=Picodollars(cents * PICO_PER_USD // 100),
        nominal=Picodollars(nominal * PICO_PER_USD // 100),
        tags=tags,
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs: one of pull request 7 with two suites, one of main whose second call was cut off."""
    (tmp_path / "evalrunner.yaml").write_text(CONFIG)
    (tmp_path / ".evalrunner").mkdir(mode=0o700)
    path = tmp_path / ".evalrunner" / "ledger.sqlite3"
    first = SqliteLedger(path, run_id="r1", tags={"pr": "7"})
    calls = [call("r1", 1), call("r1", 2, suite="t", case="t/1", tier=Tier.PROXY), call("r1", 3)]
    first.reserve(calls)
    first.settle([paid(calls[0], 50), paid(calls[1], 20), paid(calls[2], 30, calls=4)])
    first.record_run(
        [row("r1", "s", 4, 80, 180, {"pr": "7"}), row("r1", "t", 2, 20, 20, {"pr": "7"})]
    )
    first.close()
    second = SqliteLedger(path, run_id="r2")
    calls = [call("r2", 1), call("r2", 2)]
    second.reserve(calls)
    second.settle([paid(calls[0], 10)])
    second.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert entry(words) == code
    return capsys.readouterr().out


def lines(capsys: pytest.CaptureFixture[str], by: str) -> dict[str | None, dict[str, Any]]:
    document = json.loads(shown(capsys, "ledger", "show", "--by", by, "--json"))
    return {
        line["key"]: line for line in [*document["lines"], document["total"] | {"key": "total"}]
    }


@pytest.mark.parametrize(
    ("by", "settled"),
    [
        ("suite", {"s": "0.9", "t": "0.2"}),
        ("tier", {"frontier": "0.9", "proxy": "0.2"}),
        ("model", {"gpt-5": "0.9", "mini": "0.2"}),
        ("day", {time.strftime("%Y-%m-%d", time.gmtime(NOW)): "1.1"}),
        ("pr", {"7": "1", None: "0.1"}),
        ("run", {"r1": "1", "r2": "0.1"}),
        ("case", {"s/1": "0.9", "t/1": "0.2"}),
    ],
)
def test_spend_is_shown_by_what_is_asked(
    project: Path, capsys: pytest.CaptureFixture[str], by: str, settled: dict[str | None, str]
) -> None:
    found = lines(capsys, by)
    total = found.pop("total")
    assert {key: line["settled_usd"] for key, line in found.items()} == settled
    assert (total["settled_usd"], total["possibly_paid_usd"], total["calls"]) == ("1.1", "1", 5)
    assert not total["exact"]


def test_unit_costs_are_exact(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = lines(capsys, "pr")["7"]
    assert (line["cases"], line["passed"], line["hits"], line["avoided_usd"]) == (6, 4, 14, "1")
    assert line["unit_costs_usd"] == {
        "call": "0.333333333333",
        "case": "0.166666666667",
        "passed_case": "0.25",
        "million_tokens": "0.333333333333",
    }


def test_the_calls_of_an_agentic_case_are_counted_and_priced_together(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = lines(capsys, "case")["s/1"]
    assert (case["calls"], case["inner_calls"], case["settled_usd"]) == (4, 4, "0.9")


def test_the_table_says_what_is_not_known(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "ledger", "show")
    assert "$0.9 to $1.9" in text
    assert "1 call may have been paid: $1 at most" in text
    assert "at least $0.275 a call" in text
    assert "$0.275 a call" in text
    assert text.index("\ns ") < text.index("\nt ") < text.index("\ntotal")


def test_bars_show_each_day(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "ledger", "show", "--chart")
    assert text.count("█") == 20
    assert text.count("░") == 20
    assert "$1.10 to $2.10" in text
    assert "add cost.production" in text


def test_bars_are_beside_production_where_that_is_known(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(NOW - 2 * 86_400))
    document = json.loads(shown(capsys, "ledger", "export"))
    for row in document["attempts"]:
        row["id"], row["run_id"], row["at"] = f"old/{row['id']}", "old", NOW - 2 * 86_400
        if row["end"]:
            row["end"]["at"] = row["at"]
    (project / "old.json").write_text(json.dumps(document | {"runs": [], "origins": []}))
    shown(capsys, "ledger", "import", "old.json")
    production = "cost: {production: [{source: fixed, usd_per_day: 9.9}]}\n"
    (project / "evalrunner.yaml").write_text(CONFIG + production)
    text = shown(capsys, "ledger", "show", "--chart")
    (line,) = [line for line in text.splitlines() if line.startswith(day)]
    assert line.endswith("≤ 17.5 % warning")  # 1.1 paid and 1 possibly paid, beside 9.9


@pytest.mark.parametrize(("name", "head"), [("x.svg", b"<?xml"), ("x.png", b"\x89PNG")])
def test_a_picture_is_drawn(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, head: bytes
) -> None:
    pytest.importorskip("matplotlib")
    shown(capsys, "ledger", "show", "--chart", name)
    first = (project / name).read_bytes()
    assert first.startswith(head)
    shown(capsys, "ledger", "show", "--chart", name)
    assert (project / name).read_bytes() == first


@pytest.mark.parametrize(
    "words",
    [
        ("--since", "yesterday"),
        ("--since", "2026-13-01"),
        ("--since", "2999-01-01"),
        ("--until", "²d"),
        ("--chart", "x.gif"),
        ("--chart", "missing/x.svg"),
        ("--by", "weather"),
        ("--limit", "0"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    shown(capsys, "ledger", "show", *words, code=2)


def test_an_empty_ledger_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "evalrunner.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    assert "nothing was run" in shown(capsys, "ledger", "show")
    assert "nothing was paid" in shown(capsys, "ledger", "show", "--chart")


def test_every_attempt_is_exported(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(capsys, "ledger", "export", "--format", "csv"))))
    assert [(r["id"], r["cost_usd"], r["status"]) for r in rows[-2:]] == [
        ("r2/1/1", "0.1", "ok"),
        ("r2/2/1", "", ""),
    ]
    focus = csv.DictReader(io.StringIO(shown(capsys, "ledger", "export", "--format", "focus")))
    assert sum(float(r["BilledCost"]) for r in focus) == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("include", "error"),
    [
        ("outputs", "RequestRejected: the provider answered 400: no: 'hello'"),
        ("redacted", "RequestRejected"),
        ("none", "RequestRejected"),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_a_provider_said_leaves_only_where_contents_may(
    project: Path, capsys: pytest.CaptureFixture[str], include: str, error: str, form: str
) -> None:
    (project / "evalrunner.yaml").write_text(f"{CONFIG}report: {{include: {include}}}\n")
    said = "RequestRejected: the provider answered 400: no: 'hello'"
    ledger = SqliteLedger(project / ".evalrunner" / "ledger.sqlite3", run_id="r3")
    ledger.reserve([call("r3", 1)])
    ledger.settle([paid(call("r3", 1), 0, status="error", error=said)])
    ledger.close()
    text = shown(capsys, "ledger", "export", "--format", form)
    if form == "json":
        assert json.loads(text)["attempts"][-1]["end"]["error"] == error
    else:
        assert list(csv.DictReader(io.StringIO(text)))[-1]["error"] == error


def test_runners_are_merged_and_twice_is_once(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: Any, monkeypatch: Any
) -> None:
    shown(capsys, "ledger", "export", "-o", "all.json")
    other = tmp_path_factory.mktemp("other")
    (other / "evalrunner.yaml").write_text(CONFIG)
    monkeypatch.chdir(other)
    exported = str(project / "all.json")
    assert "11 new rows" in shown(capsys, "ledger", "import", exported)
    assert "0 new rows" in shown(capsys, "ledger", "import", exported, exported)
    assert lines(capsys, "pr")["7"]["settled_usd"] == "1"
    shown(capsys, "ledger", "export", "-o", "again.json")
    assert (other / "again.json").read_bytes() == (project / "all.json").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "{}",
        '{"schema": "evalrunner.ledger/1", "attempts": [7]}',
        '{"schema": "evalrunner.ledger/1", "runs": [{"run_id": "x", "at": -1}]}',
        '{"schema": "evalrunner.ledger/1", "origins": [{"run_id": "x", "at": NaN, "tags": {}}]}',
    ],
)
def test_a_file_that_is_no_export_is_refused_whole(project: Path, capsys: Any, text: str) -> None:
    (project / "bad.json").write_text(text)
    before = shown(capsys, "ledger", "export")
    shown(capsys, "ledger", "import", "bad.json", code=2)
    shown(capsys, "ledger", "import", "missing.json", code=2)
    assert shown(capsys, "ledger", "export") == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worst_case_usd", "-1"),
        ("worst_case_usd", "NaN"),
        ("tier", "gold"),
        ("at", "1e9"),
        ("id", None),
    ],
)
def test_a_row_that_cannot_be_true_is_refused(
    project: Path, capsys: Any, field: str, value: Any
) -> None:
    document = json.loads(shown(capsys, "ledger", "export"))
    document["attempts"][0][field] = value
    (project / "bad.json").write_text(json.dumps(document))
    shown(capsys, "ledger", "import", "bad.json", code=2)


def test_prices_say_where_they_come_from(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "prices", "show", "small", "own", "openai/gpt-4o")
    assert "small: $1 input, $2 output a million tokens (override)" in text
    assert "own: $3.6 an hour (override)" in text
    assert (
        "openai/gpt-4o: $2.5 input, $10 output, $1.25 cached input a million tokens (genai-" in text
    )
    assert "odd: unknown: " in shown(capsys, "prices", "show", code=4)
    shown(capsys, "prices", "show", "nothing", code=2)


@pytest.mark.skipif(find_spec("litellm") is None, reason="needs litellm's file")
def test_disagreeing_sources_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "agreed by 2 sources" in shown(capsys, "prices", "check", "openai/gpt-4o")
    config = (
        CONFIG + "  gpt: {model: openai/gpt-4o, price: {input_per_mtok: 9, output_per_mtok: 9}}\n"
    )
    (project / "evalrunner.yaml").write_text(config)
    text = shown(capsys, "prices", "check", "gpt")
    assert "disagree: $9 input, $9 output a million tokens (override); $2.5 input" in text
    assert "odd: unknown" in shown(capsys, "prices", "check", "odd", code=4)


def test_the_dearest_days_are_shown_in_their_order(project: Path, capsys: Any) -> None:
    document = json.loads(shown(capsys, "ledger", "export"))
    (first,) = [row for row in document["attempts"] if row["id"] == "r1/1/1"]
    for ago, cents in ((1, "1"), (2, "900"), (3, "2"), (4, "800")):
        end = first["end"] | {"id": f"x/{ago}/1", "cost_usd": cents, "at": NOW - ago * 86_400}
        document["attempts"].append(
            first | {"id": f"x/{ago}/1", "run_id": "x", "at": NOW - ago * 86_400, "end": end}
        )
    (project / "more.json").write_text(json.dumps(document))
    shown(capsys, "ledger", "import", "more.json")
    text = shown(capsys, "ledger", "show", "--by", "day", "-n", "2")
    assert [line.split()[1] for line in text.splitlines()[2:4]] == ["$800", "$900"]
    assert "$1,704.1" in text


def test_an_hour_costs_what_was_written(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    own = 'models: {own: {model: openai/y, base_url: "http://127.0.0.1:1/v1", price: {usd_per_hour: 2.5}}}'
    (tmp_path / "evalrunner.yaml").write_text(own)
    monkeypatch.chdir(tmp_path)
    assert "own: $2.5 an hour" in shown(capsys, "prices", "show")


def test_prices_are_checked_for_the_way_in_which_a_model_is_called(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is checked is what is billed: flex at the price of flex."""
    (project / "evalrunner.yaml").write_text(
        "models: {flex: {model: openai/gpt-5.1, params: {service_tier: flex}}}\n"
    )
    billed = shown(capsys, "prices", "show").removeprefix("flex: ").split(" (")[0]
    assert billed.startswith("$0.625 input")
    assert shown(capsys, "prices", "check").count(billed) == 2
