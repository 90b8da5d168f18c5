"""What evals have cost, as rows of FOCUS 1.2: the form in which finance teams read every bill."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from evalrunner.reports.safe_text import for_csv_cell
from evalrunner.values.money import usd_text
from evalrunner.values.spending import SpendCell

BY: Final = ("day", "run_id", "suite", "tier", "role", "provider", "model", "processing")
"""What one row of the export is about."""

COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "Tags",
    "x_CachedInputTokens",
    "x_Calls",
    "x_CostBasis",
    "x_InputTokens",
    "x_OutputTokens",
    "x_PossiblyPaidCost",
    "x_Processing",
    "x_UnmeteredCalls",
    "x_UnpricedCalls",
)


def focus_rows(
    cells: Iterable[SpendCell], tags: Mapping[str, Mapping[str, str]], *, account: str
) -> Iterable[dict[str, str | None]]:
    """A row for each cell that is summed by :data:`BY`; ``None`` is null.

    A cell's cost is what is known to have been paid. What may have been paid on top of it, and how many
    calls have no known cost, stand in columns of our own, since FOCUS has none for either.

    Args:
        cells: The sums.
        tags: Where each run came from.
        account: Whose spend this is: the ledger's namespace.
    """
    for cell in cells:
        yield _row(cell, tags, account)


def _row(
    cell: SpendCell, tags: Mapping[str, Mapping[str, str]], account: str
) -> dict[str, str | None]:
    day, run_id, suite, tier, role, provider, model, processing = (str(part) for part in cell.key)
    start = date.fromisoformat(day)
    month = start.replace(day=1)
    cost = _decimal(usd_text(cell.settled) or "0")
    tokens = cell.input_tokens + cell.output_tokens
    counted, unit = (tokens, "Tokens") if tokens else (cell.calls, "Requests")
    quantity = _decimal(str(counted))
    labels = {"workload": "eval", "suite": suite, "tier": tier, "role": role, "run_id": run_id}
    return {
        "BilledCost": cost,
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingCurrency": "USD",
        "BillingPeriodStart": _stamp(month),
        "BillingPeriodEnd": _stamp((month + timedelta(days=32)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"Evals of {suite}: {role} calls to {provider}/{model}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _stamp(start),
        "ChargePeriodEnd": _stamp(start + timedelta(days=1)),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceId": None,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} inference",
        "ServiceSubcategory": "Generative AI",
        "SkuId": f"{provider}/{model}",
        "SkuMeter": unit,
        "Tags": json.dumps(labels | dict(tags.get(run_id, {})), sort_keys=True),
        "x_CachedInputTokens": str(cell.cached_input_tokens),
        "x_Calls": str(cell.calls),
        "x_CostBasis": "computed",
        "x_InputTokens": str(cell.input_tokens),
        "x_OutputTokens": str(cell.output_tokens),
        "x_PossiblyPaidCost": usd_text(cell.possibly_paid),
        "x_Processing": processing,
        "x_UnmeteredCalls": str(cell.unmetered),
        "x_UnpricedCalls": str(cell.unpriced),
    }


def as_csv(rows: Iterable[Mapping[str, str | None]]) -> str:
    """The rows as CSV: null is an empty cell, and no cell runs anything in a spreadsheet."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row[name] for name in COLUMNS)
        writer.writerow(["" if cell is None else for_csv_cell(cell) for cell in cells])
    return page.getvalue()


def _decimal(number: str) -> str:
    """A number as FOCUS types it: a column of whole ones would be read as integers."""
    return number if "." in number else f"{number}.0"


def _stamp(day: date) -> str:
    return f"{datetime(day.year, day.month, day.day, tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"
