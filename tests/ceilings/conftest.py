"""Adds up, at the end, what all parts of the campaign have seen, in whichever process they ran."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import pytest

from tests.ceilings.books import Figures


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the figures of a campaign."""
    if not config.getoption("--campaign"):
        return
    sums: defaultdict[str, Figures] = defaultdict(Figures)
    for report in terminalreporter.stats.get("passed", []):
        for layer, figures in report.user_properties:
            sums[layer].add(figures)
    for layer, figures in sums.items():
        terminalreporter.section(f"ceilings, {layer}")
        for name, value in asdict(figures).items():
            terminalreporter.line(f"{name.replace('_', ' '):<16} {value:,}")
