"""Spend in files: FOCUS of every version, CSV, gzip, Parquet; what is counted, and what never is."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.adapters.spend_csv import CsvSpend
from evalrunner.adapters.spend_fixed import FixedSpend
from evalrunner.adapters.spend_focus import FocusSpend
from evalrunner.adapters.spend_python import PythonSpend
from evalrunner.adapters.spend_snapshots import SpendSnapshots
from evalrunner.errors import ConfigError, SpendError
from evalrunner.values.spend import RowFilter, SpendPart, SpendRead, SpendSpec, exact_usd

SINCE, UNTIL = "2026-10-01", "2026-11-20"
NOW = 1_795_300_000.0
SAMPLE = Path(__file__).with_name("focus_sample.csv")
PUBLIC_SAMPLE = os.environ.get("FOCUS_SAMPLE", "")
AI = {"ServiceCategory": ["AI and Machine Learning"]}

BASE = {
    "BilledCost": "0",
    "BillingCurrency": "USD",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-11-02T00:00:00Z",
    "ChargePeriodEnd": "2026-11-03T00:00:00Z",
    "EffectiveCost": "1.50",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Model API",
}


def write(path: Path, rows: Iterable[Mapping[str, str]], *, packed: bool = False) -> None:
    found = list(rows)
    columns = list(dict.fromkeys(name for row in found for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(found)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if packed else content)


def focus(root: Path, rows: RowFilter | None = None, **further: Any) -> SpendRead:
    options = {"path": further.pop("path", "*.csv")}
    for name in ("cost", "charges"):
        if name in further:
            options[name] = further.pop(name)
    spec = SpendSpec(
        source="focus", name="focus", filter=rows or RowFilter(), options=options, **further
    )
    return FocusSpend(spec, root=root, now=lambda: NOW).fetch(SINCE, UNTIL)


def total(read: SpendRead) -> Fraction:
    parts = [part.usd for part in read.parts if part.left_out is None and part.usd is not None]
    return sum(parts, Fraction(0))


def left_out(read: SpendRead) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for part in read.parts:
        if part.left_out is not None:
            found[part.left_out] = found.get(part.left_out, Fraction(0)) + (part.usd or 0)
    return found


# ---------------------------------------------------------------- the samples


def independent_sum(path: Path, category: str) -> Fraction:
    """The same by other means: the csv module, Decimal, and nothing of ours."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        found = [
            Decimal(row["EffectiveCost"])
            for row in csv.DictReader(stream)
            if row["ServiceCategory"] == category and row["ChargeCategory"] == "Usage"
        ]
    return sum(map(Fraction, found), Fraction(0))


def test_the_sample_comes_to_an_independent_sum() -> None:
    read = focus(SAMPLE.parent, RowFilter(where=AI), path=SAMPLE.name)
    assert total(read) == independent_sum(SAMPLE, AI["ServiceCategory"][0]) == Fraction("41.6534")
    assert left_out(read)["tax"] == Fraction("3.21")


@pytest.mark.skipif(not PUBLIC_SAMPLE, reason="FOCUS_SAMPLE names no copy of the public sample")
def test_the_public_sample_comes_to_an_independent_sum() -> None:
    path = Path(PUBLIC_SAMPLE)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        categories = {row["ServiceCategory"] for row in csv.DictReader(stream)}
    for category in categories:
        spec = SpendSpec(
            source="focus",
            name="focus",
            filter=RowFilter(where={"ServiceCategory": [category]}),
            options={"path": path.name},
        )
        read = FocusSpend(spec, root=path.parent, now=lambda: NOW).fetch("2020-01-01", "2030-01-01")
        assert total(read) == independent_sum(path, category), category


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_every_form_of_a_file_says_the_same(form: str, tmp_path: Path) -> None:
    rows = [BASE, {**BASE, "EffectiveCost": "0.0000000001"}]
    if form == "parquet":
        arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
        columns = {name: [row[name] for row in rows] for name in BASE}
        columns["EffectiveCost"] = [Decimal(text) for text in columns["EffectiveCost"]]
        parquet.write_table(arrow.table(columns), tmp_path / f"a.{form}")
    else:
        write(tmp_path / f"a.{form}", rows, packed=form.endswith("gz"))
    assert total(focus(tmp_path, path=f"a.{form}")) == Fraction("1.5000000001")


@pytest.mark.parametrize(
    ("row", "where", "found"),
    [
        ({"Tags": '{"workload": "prod"}'}, {"Tags.workload": ["prod"]}, True),
        ({"Tags": '{"workload": "eval"}'}, {"Tags.workload": ["prod"]}, False),
        ({"ProviderName": "AWS"}, {"ServiceProviderName": ["AWS"]}, True),
        ({"ServiceProviderName": "AWS"}, {"ProviderName": ["AWS"]}, True),
        ({"SkuPriceDetails": '{"ModelId": "m-1"}'}, {"SkuPriceDetails.ModelId": ["m-*"]}, True),
        ({"SkuPriceDetails": '{"CacheAction": "Read"}'}, {"TokenCacheAction": ["Read"]}, True),
        ({"SkuPriceDetails": '{"TokenCacheAction": "Read"}'}, {"CacheAction": ["Read"]}, True),
        ({"CredentialId": "key_1"}, {"Credential.Name": ["key_1"]}, True),
        (
            {"RequesterDetails": '[{"key": "Credential", "value": {"Name": "prod-key"}}]'},
            {"Credential.Name": ["prod-*"]},
            True,
        ),
        ({"SubAccountName": "prod"}, {"SubAccountName": ["prod", "live"]}, True),
    ],
)
def test_filters_find_columns_tags_and_details_of_every_version(
    row: Mapping[str, str], where: Mapping[str, list[str]], found: bool, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", [{**BASE, **row}])
    read = focus(tmp_path, RowFilter(where=where))
    assert total(read) == (Fraction("1.5") if found else 0)


def test_only_usage_counts_corrections_among_it(tmp_path: Path) -> None:
    rows = [
        BASE,
        {**BASE, "ChargeClass": "Correction", "EffectiveCost": "-0.50"},
        *({**BASE, "ChargeCategory": kind} for kind in ("Tax", "Credit", "Purchase")),
    ]
    write(tmp_path / "a.csv", rows)
    assert total(focus(tmp_path)) == 1
    assert set(left_out(focus(tmp_path))) == {"tax", "credit", "purchase"}
    assert total(focus(tmp_path, charges=["Usage", "Credit"])) == Fraction("2.5")
    assert total(focus(tmp_path, cost="BilledCost")) == 0


def test_a_charge_for_a_month_is_spread_over_its_days(tmp_path: Path) -> None:
    month = {"ChargePeriodStart": "2026-10-01T00:00:00Z", "ChargePeriodEnd": "2026-11-01T00:00:00Z"}
    write(tmp_path / "a.csv", [{**BASE, **month, "EffectiveCost": "31"}])
    read = focus(tmp_path)
    assert {part.usd for part in read.parts} == {Fraction(1)}
    assert len(read.parts) == 31
    assert (read.since, read.through) == ("2026-10-01", "2026-10-31")


@pytest.mark.parametrize("cost", ["", "NULL", "NaN", "inf", "-Infinity", "much", "1e300"])
def test_a_cost_that_is_no_number_is_unknown(cost: str, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [BASE, {**BASE, "EffectiveCost": cost}])
    read = focus(tmp_path)
    assert total(read) == Fraction("1.5")
    assert sum(part.rows for part in read.parts if part.usd is None) == 1


def test_currencies_need_a_rate_unless_the_row_says_dollars_too(tmp_path: Path) -> None:
    euro = {**BASE, "BillingCurrency": "EUR"}
    write(tmp_path / "a.csv", [euro])
    with pytest.raises(ConfigError, match="'EUR'"):
        focus(tmp_path)
    assert total(focus(tmp_path, fx={"EUR": Fraction(2)})) == 3
    both = {"PricingCurrency": "USD", "PricingCurrencyEffectiveCost": "1.75"}
    write(tmp_path / "a.csv", [{**euro, **both}])
    assert total(focus(tmp_path)) == Fraction("1.75")


def test_what_is_there_twice_is_counted_once(tmp_path: Path) -> None:
    other = {**BASE, "EffectiveCost": "2"}
    write(tmp_path / "a.csv", [BASE, BASE])
    write(tmp_path / "copy.csv", [BASE, BASE])
    assert total(focus(tmp_path)) == 3
    write(tmp_path / "month-to-date.csv", [BASE, other])
    read = focus(tmp_path)
    assert total(read) == 5, "two equal rows of one file are two, a row of another file is none"
    assert len(read.notes) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no column|no rows"),
        (b"a,b\n1,2\n", "no column 'ChargePeriodStart'"),
        (b"ChargePeriodStart,EffectiveCost\n2026-11-02,1,2\n", "a.csv:2: 3 cells below 2 columns"),
        (b'ChargePeriodStart,EffectiveCost\n"2026-11-02,1\n', "is no CSV"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b"a,a\n", "names a column twice"),
    ],
)
def test_a_damaged_file_is_an_error_and_never_a_smaller_sum(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SpendError, match=said):
        focus(tmp_path)


def test_no_file_is_no_spend_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(SpendError, match="no file matches"):
        focus(tmp_path)


# ---------------------------------------------------------------- csv, fixed, python


def test_any_csv_with_a_day_and_an_amount(tmp_path: Path) -> None:
    rows = [
        {"when": "2026-11-02", "cost": "1.10", "team": "search"},
        {"when": "2026-11-02T10:00:00", "cost": "2", "team": "evals"},
        {"when": "2026-11-03", "cost": "", "team": "search"},
    ]
    write(tmp_path / "a.csv", rows)
    spec = SpendSpec(
        source="csv",
        name="csv",
        filter=RowFilter(exclude={"team": ["evals"]}),
        settle_days=0,
        options={"path": "a.csv", "day": "when", "usd": "cost", "label": "team"},
    )
    read = CsvSpend(spec, root=tmp_path, now=lambda: NOW).fetch(SINCE, UNTIL)
    assert total(read) == Fraction("1.1")
    assert left_out(read) == {"evals": 2}
    assert (read.since, read.through) == ("2026-11-02", "2026-11-03")
    assert sum(part.rows for part in read.parts if part.usd is None) == 1


def test_a_fixed_month_has_30_4_days() -> None:
    spec = SpendSpec(source="fixed", name="fixed", settle_days=0, options={"usd_per_month": "304"})
    read = FixedSpend(spec, now=lambda: NOW).fetch("2026-11-01", "2026-11-10")
    assert total(read) == 100
    assert read.through == "2026-11-10"


@pytest.mark.parametrize(
    ("rows", "usd", "unknown"),
    [
        ([{"day": "2026-11-02", "usd": "1.5"}, {"day": "2026-11-03", "usd": 2}], "3.5", 0),
        ([{"day": "2026-11-02", "usd": 0.1}], "0.1", 0),
        ([{"day": "2026-11-02", "usd": None}, {"day": "2026-11-02", "usd": float("nan")}], "0", 2),
    ],
)
def test_a_function_of_the_users(rows: Any, usd: str, unknown: int) -> None:
    spec = SpendSpec(source="python", name="own", options={"python": "m:f"})
    source = PythonSpend(spec, load=lambda _: lambda since, until: rows, now=lambda: NOW)
    read = source.fetch(SINCE, UNTIL)
    assert total(read) == Fraction(usd)
    assert sum(part.rows for part in read.parts if part.usd is None) == unknown


@pytest.mark.parametrize("result", [None, 5, [{"usd": 1}], ["text"], RuntimeError("no")])
def test_a_function_that_fails_is_an_error_of_ours(result: Any) -> None:
    def spend(since: object, until: object) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    spec = SpendSpec(source="python", name="own", options={"python": "m:f"})
    with pytest.raises(SpendError, match="own"):
        PythonSpend(spec, load=lambda _: spend, now=lambda: NOW).fetch(SINCE, UNTIL)


# ---------------------------------------------------------------- snapshots

READ = SpendRead(
    parts=(
        SpendPart(day="2026-11-02", usd=Fraction(1, 3), rows=2, label="m"),
        SpendPart(day="2026-11-02", usd=None, left_out="evals"),
    ),
    since=SINCE,
    through=UNTIL,
    fetched_at=NOW,
    notes=("a note",),
)
SPEC = SpendSpec(source="openai", name="open/ai", fx={"EUR": Fraction(1, 3)})


def test_a_snapshot_is_what_was_said_exactly(tmp_path: Path) -> None:
    kept = SpendSnapshots(tmp_path)
    assert kept.last(SPEC, now=NOW) is None
    kept.keep(SPEC, READ)
    assert kept.last(SPEC, now=NOW) == READ
    other = SpendSpec(source="openai", name="open/ai", filter=RowFilter(where={"x": ["y"]}))
    assert kept.last(other, now=NOW) is None, "another filter is another source"


def test_a_snapshot_from_the_future_is_none(tmp_path: Path) -> None:
    kept = SpendSnapshots(tmp_path)
    kept.keep(SPEC, READ)
    assert kept.last(SPEC, now=NOW - 3 * 86_400) is None


@given(damage=st.binary(max_size=40), place=st.integers(0, 600))
def test_a_damaged_snapshot_raises_nothing(
    damage: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    kept = SpendSnapshots(folder)
    kept.keep(SPEC, READ)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + damage + whole[place + len(damage) :])
    found = kept.last(SPEC, now=NOW)
    assert found is None or isinstance(found, SpendRead)


@given(
    value=st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.binary(), st.integers())
)
def test_only_a_finite_decimal_is_an_amount(value: object) -> None:
    found = exact_usd(value)
    if found is not None:
        assert isinstance(value, int | str)
        assert Fraction(Decimal(value)) == found


def test_amounts_of_json_are_never_floats() -> None:
    assert exact_usd(json.loads("0.1", parse_float=Decimal)) == Fraction(1, 10)


# ---------------------------------------------------------------- what would go unnoticed


@pytest.mark.parametrize(
    "rows",
    [
        RowFilter(exclude={"SubAccountIdd": ["evals"]}),
        RowFilter(where={"ServiceCategry": ["AI*"]}),
        RowFilter(exclude={"Credential.Name": ["eval-*"]}),
        RowFilter(exclude={"TokenDirection": ["Input"]}),
        RowFilter(exclude={"Tags.workload": ["eval"]}),
    ],
)
def test_a_filter_on_a_column_that_no_file_has_is_an_error(tmp_path: Path, rows: RowFilter) -> None:
    write(tmp_path / "a.csv", [BASE])
    with pytest.raises(SpendError, match="no file has the column"):
        focus(tmp_path, rows)


def test_one_file_with_the_column_is_enough(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [BASE])
    write(tmp_path / "b.csv", [{**BASE, "EffectiveCost": "2", "SubAccountId": "evals"}])
    read = focus(tmp_path, RowFilter(exclude={"SubAccountId": ["evals"]}))
    assert (total(read), left_out(read)) == (Fraction(3, 2), {"evals": 2})


def test_tags_that_cannot_be_read_do_not_count_as_no_tags(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [{**BASE, "Tags": tags} for tags in ("", '{"workload": "x"}')])
    rows = RowFilter(exclude={"Tags.workload": ["eval"]})
    assert total(focus(tmp_path, rows)) == 3
    for strange in ("{workload: eval", '"eval"', "7"):
        write(tmp_path / "a.csv", [BASE | {"Tags": "{}"}, BASE | {"Tags": strange}])
        with pytest.raises(SpendError, match="something else than a JSON object"):
            focus(tmp_path, rows)
        assert total(focus(tmp_path)) == 3, "nobody has asked for tags here"


@pytest.mark.parametrize("null", ["NULL", "null", ""])
def test_tags_that_are_null_are_no_tags(null: str, tmp_path: Path) -> None:
    """The public sample writes NULL where a row has no tags."""
    write(tmp_path / "a.csv", [BASE | {"Tags": null}, BASE | {"Tags": '{"workload": "eval"}'}])
    read = focus(tmp_path, RowFilter(exclude={"Tags.workload": ["eval"]}))
    assert (total(read), left_out(read)) == (Fraction(3, 2), {"evals": Fraction(3, 2)})


def test_a_row_without_a_period_leaves_every_window_open(tmp_path: Path) -> None:
    undated = BASE | {"ChargePeriodStart": "yesterday"}
    for row, opened in ((undated, 1), (undated | {"ChargeCategory": "Tax"}, 0)):
        write(tmp_path / "a.csv", [BASE, row])
        read = focus(tmp_path, settle_days=1)
        found = [part for part in read.parts if part.usd is None and part.left_out is None]
        assert sum(part.rows for part in found) == opened
        assert all(read.since <= part.day <= read.through for part in found)


def test_a_csv_filter_names_a_column_that_is_there(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [{"date": "2026-11-02", "usd": "1", "team": "evals"}])
    rows = RowFilter(exclude={"taem": ["evals"]})
    spec = SpendSpec(source="csv", name="csv", filter=rows, options={"path": "*.csv"})
    with pytest.raises(SpendError) as caught:
        CsvSpend(spec, root=tmp_path, now=lambda: NOW).fetch(SINCE, UNTIL)
    assert caught.value.hint == "did you mean 'team'?"


@pytest.mark.parametrize("name", ["currency", "label"])
def test_a_csv_column_that_is_named_has_to_be_there(tmp_path: Path, name: str) -> None:
    """Else euros would be taken for dollars."""
    write(tmp_path / "a.csv", [{"date": "2026-11-02", "usd": "1", "curr": "EUR"}])
    spec = SpendSpec(source="csv", name="csv", options={"path": "*.csv", name: "cur"})
    with pytest.raises(SpendError, match="no column 'cur'"):
        CsvSpend(spec, root=tmp_path, now=lambda: NOW).fetch(SINCE, UNTIL)
