"""How hard tests try: a quick look in the ordinary run, minutes in a campaign."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import Server, running

QUICK_EXAMPLES: Final = 50
CAMPAIGN_EXAMPLES: Final = 10_000


def _register(name: str, max_examples: int, *, derandomize: bool = False) -> None:
    settings.register_profile(
        name,
        max_examples=max_examples,
        derandomize=derandomize,
        deadline=None,  # a shared machine is slow at times
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


_register("dev", QUICK_EXAMPLES)
# A property that depended on luck would fail for whoever comes next: CI draws the same examples
# each time, developers draw new ones.
_register("ci", QUICK_EXAMPLES, derandomize=True)
_register("campaign", CAMPAIGN_EXAMPLES)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--campaign``."""
    parser.addoption(
        "--campaign",
        action="store_true",
        help="Try properties with 10,000 examples, and damage and kill tests many more times.",
    )
    parser.addoption(
        "--plugin-python",
        metavar="PATH",
        default=sys.executable,
        help="The Python whose pytest the tests of our plugin start (see `make versions`).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Chooses how many examples a property is tried with."""
    if config.getoption("--campaign"):
        settings.load_profile("campaign")
    elif not config.getoption("--hypothesis-profile", default=None):
        settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``rounds(quick, campaign)``: how often a damage or kill test should try."""
    in_campaign = bool(request.config.getoption("--campaign"))
    return lambda quick, campaign: campaign if in_campaign else quick


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a process that do it no harm."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """That server, emptied."""
    shared_server.command("FLUSHALL")
    return shared_server
