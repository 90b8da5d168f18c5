"""Adds up, at the end, what all parts of the campaign have seen, in whichever process they ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.ceilings.books import Figures
from tests.servers import Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A campaign has as many parts as its module says, which workers share."""
    if "part" in metafunc.fixturenames:
        campaign = metafunc.config.getoption("--campaign")
        metafunc.parametrize("part", range(metafunc.module.CAMPAIGN_PARTS if campaign else 1))


@pytest.fixture(params=["file", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Callable[[int], str]:
    """Where the ledger of a seed's schedule lies."""
    if request.param == "server":
        return lambda seed: f"{server.url}#{seed}"
    return lambda seed: str(tmp_path / f"{seed}.sqlite3")


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
