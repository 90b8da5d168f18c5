"""Our export keeps the rules that FOCUS 1.2 sets for a Cost and Usage dataset, each by its name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.reports.ledger_focus import BY, COLUMNS, as_csv, focus_rows
from evalrunner.values.money import Picodollars
from evalrunner.values.spending import SpendCell

# The columns whose feature level is Mandatory in 1.2, and whether they allow nulls.
MANDATORY = {
    "BilledCost": False,
    "BillingAccountId": False,
    "BillingAccountName": True,
    "BillingCurrency": False,
    "BillingPeriodEnd": False,
    "BillingPeriodStart": False,
    "ChargeCategory": False,
    "ChargeClass": True,
    "ChargeDescription": True,
    "ChargePeriodEnd": False,
    "ChargePeriodStart": False,
    "ContractedCost": False,
    "EffectiveCost": False,
    "InvoiceIssuerName": False,
    "ListCost": False,
    "PricingQuantity": True,
    "PricingUnit": True,
    "ProviderName": False,
    "PublisherName": False,
    "ServiceCategory": False,
    "ServiceName": False,
}
# Columns beyond them that 1.2 knows and we write; all others are our own.
FURTHER = {
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "InvoiceId",
    "PricingCategory",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "Tags",
}
DECIMALS = {
    "BilledCost",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "PricingQuantity",
    "ConsumedQuantity",
}
MOMENTS = {"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {None, "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other", None},
}
Row = dict[str, "str | None"]

RULES: dict[str, Callable[[Row], bool]] = {
    "Mandatory columns MUST be present": lambda row: row.keys() >= MANDATORY.keys(),
    "Columns that allow no null MUST NOT be null": lambda row: all(
        row[name] is not None for name, nulls in MANDATORY.items() if not nulls
    ),
    "Custom columns MUST begin with x_": lambda row: all(
        name.startswith("x_") for name in row.keys() - MANDATORY.keys() - FURTHER
    ),
    "Cost and quantity columns MUST be of type Decimal": lambda row: all(
        "." in (row[name] or "") for name in DECIMALS
    ),
    "InvoiceId is RECOMMENDED, and null without an invoice": lambda row: (
        "InvoiceId" in row and row["InvoiceId"] is None
    ),
    "NumericFormat: decimals without symbols or separators": lambda row: all(
        re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", row[name] or "0") for name in DECIMALS
    ),
    "Date/TimeFormat: ISO 8601, UTC, with Z": lambda row: all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[name] or "") for name in MOMENTS
    ),
    "CurrencyFormat: BillingCurrency is an ISO 4217 code": lambda row: (
        row["BillingCurrency"] == "USD"
    ),
    "StringHandling: no empty text instead of null": lambda row: "" not in row.values(),
    "KeyValueFormat: Tags is one JSON object without nesting": lambda row: all(
        isinstance(value, str | int | float | bool) or value is None
        for value in json.loads(row["Tags"] or "{}").values()
    ),
    "Allowed values": lambda row: all(row[name] in values for name, values in ALLOWED.items()),
    "ServiceSubcategory has one parent ServiceCategory": lambda row: (
        (
            row["ServiceSubcategory"],
            row["ServiceCategory"],
        )
        == ("Generative AI", "AI and Machine Learning")
    ),
    "ChargeClass MUST be null where nothing is corrected": lambda row: row["ChargeClass"] is None,
    "ChargeFrequency MUST NOT be Usage-Based for a Purchase": lambda row: (
        row["ChargeCategory"] == "Usage"
    ),
    "PricingQuantity MUST NOT be null for Usage": lambda row: row["PricingQuantity"] is not None,
    "PricingUnit MUST be null exactly where PricingQuantity is": lambda row: (
        (row["PricingUnit"] is None) == (row["PricingQuantity"] is None)
    ),
    "ConsumedQuantity MUST NOT be null for Usage": lambda row: row["ConsumedQuantity"] is not None,
    "ConsumedUnit MUST be null exactly where ConsumedQuantity is": lambda row: (
        (row["ConsumedUnit"] is None) == (row["ConsumedQuantity"] is None)
    ),
    "SkuId MUST NOT be null for Usage": lambda row: row["SkuId"] is not None,
    "SkuMeter SHOULD NOT be null where SkuId is not": lambda row: row["SkuMeter"] is not None,
    "ChargePeriod: the start lies before the exclusive end": lambda row: (
        str(row["ChargePeriodStart"]) < str(row["ChargePeriodEnd"])
    ),
    "BillingPeriod holds the ChargePeriod": lambda row: (
        str(row["BillingPeriodStart"])
        <= str(row["ChargePeriodStart"])
        < str(row["ChargePeriodEnd"])
        <= str(row["BillingPeriodEnd"])
    ),
    "Without discounts all four costs are equal": lambda row: (
        len({row[name] for name in ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")})
        == 1
    ),
}


def cell(**figures: int) -> SpendCell:
    key = ("2026-12-31", "r1", "support", "frontier", "judge", "openai", "gpt-5", "standard")
    sums = {name: Picodollars(value) for name, value in figures.items()}
    return SpendCell(key=key, attempts=3, **{"calls": 3, **sums})


CELLS = [
    cell(settled=1_250_000_000, input_tokens=1000, output_tokens=50),
    cell(settled=1),
    cell(settled=0, possibly_paid=7, unpriced=1),
]


def rows(cells: list[SpendCell]) -> list[Row]:
    return list(focus_rows(cells, {"r1": {"pr": "7", "branch": "=x()"}}, account="default"))


@pytest.mark.parametrize("rule", RULES)
def test_every_row_keeps_the_rule(rule: str) -> None:
    assert all(RULES[rule](row) for row in rows(CELLS))


BREAKS: dict[str, Callable[[Row], object]] = {
    "Mandatory columns MUST be present": lambda row: row.pop("ListCost"),
    "NumericFormat: decimals without symbols or separators": lambda row: row.update(
        BilledCost="$1"
    ),
    "Date/TimeFormat: ISO 8601, UTC, with Z": lambda row: row.update(
        ChargePeriodStart="2026-12-31"
    ),
    "Allowed values": lambda row: row.update(ChargeCategory="Evals"),
    "Custom columns MUST begin with x_": lambda row: row.update(Evals="1"),
    "KeyValueFormat: Tags is one JSON object without nesting": lambda row: row.update(
        Tags='{"a": {}}'
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_rule_notices_a_row_that_breaks_it(rule: str) -> None:
    row = rows(CELLS)[0]
    BREAKS[rule](row)
    assert not RULES[rule](row)


def test_a_row_says_what_it_is_about() -> None:
    first, second, third = rows(CELLS)
    assert (first["BilledCost"], first["ConsumedQuantity"]) == ("0.00125", "1050.0")
    assert (second["BilledCost"], second["ConsumedUnit"]) == ("0.000000000001", "Requests")
    assert (third["x_PossiblyPaidCost"], third["x_UnpricedCalls"]) == ("0.000000000007", "1")
    assert first["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"
    assert json.loads(first["Tags"] or "")["pr"] == "7"
    assert len(BY) == len(CELLS[0].key)


@given(st.lists(st.integers(0, 2**62), max_size=5))
def test_the_costs_of_the_file_add_up_to_those_of_the_ledger(amounts: list[int]) -> None:
    text = as_csv(rows([cell(settled=amount) for amount in amounts]))
    read = list(csv.DictReader(io.StringIO(text)))
    assert all(set(row) == set(COLUMNS) for row in read)
    try:
        total = sum((Decimal(row["BilledCost"]) for row in read), Decimal(0))
    except InvalidOperation:
        pytest.fail(text)
    assert total * 10**12 == sum(amounts)


def test_no_cell_runs_anything_in_a_spreadsheet() -> None:
    key = ("2026-12-31", "r1", "=cmd()", "proxy", "subject", "+x", "-y", "standard")
    text = as_csv(rows([SpendCell(key=key, calls=1)]))
    for row in csv.reader(io.StringIO(text)):
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row)
