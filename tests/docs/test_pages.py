"""The pages agree with the program, and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalrunner.checks.registry import names
from evalrunner.checks.table import KINDS
from evalrunner.cli.app import COMMANDS
from evalrunner.values.exit_code import RANK, ExitCode
from tests.docs.pages import PAGES, ROOT, links

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert missing == []


def test_the_readme_leads_to_every_page() -> None:
    linked = {target.removeprefix("docs/") for target in links(ROOT / "README.md")}
    assert {page.name for page in DOCS.glob("*.md")} <= linked


def test_every_exit_code_is_explained() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    told = [int(code) for row in rows for code in row.split(",")]
    assert sorted(told) == sorted(ExitCode)


def test_the_order_of_exit_codes_is_the_real_one() -> None:
    text = (DOCS / "exit-codes.md").read_text()
    told = re.search(r"first of (130 or [\d, ]+)", text)
    assert told is not None
    assert [int(code) for code in re.findall(r"\d+", told[1])] == [c for c in RANK if c]


def test_every_check_is_explained() -> None:
    told = set(re.findall(r"`([a-z0-9-]+)`", (DOCS / "checks.md").read_text()))
    assert set(KINDS) - told == set()
    assert names()


def test_the_readme_names_every_command() -> None:
    table = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`{name}`" not in table] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_installs_by_name_from_a_registry(page: Path) -> None:
    """The name is not published: whoever takes it first could serve anything under it."""
    text = page.read_text()
    assert not re.search(
        r"(pip|uv|pipx|uvx)\b[^\n]*\b(install|add|run|tool)\b[^\n]*\bevalrunner\b", text
    )
