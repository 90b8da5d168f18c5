"""``run_suite`` and ``load_suite``: the public Python, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evalrunner import load_suite, run_suite
from evalrunner.errors import ConfigError, LoadError, UsageError
from evalrunner.testing import FakeProvider
from tests.cli.project import CliProject, echo, make_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[CliProject]:
    """A project in which nobody stands: it is found from the suite's path."""
    with FakeProvider(echo) as provider:
        yield make_project(tmp_path, provider)


def test_a_suite_by_path_folder_or_value(project: CliProject) -> None:
    path = project.root / "suites/greet.yaml"
    loaded = load_suite(path)
    assert loaded.suite.name == "greet"
    assert [row.id for row in loaded.goldens.rows()] == ["one", "two", "three"]
    for given in (path, str(path), path.parent, loaded):
        report = run_suite(given)
        assert report.summary is not None
        assert report.summary.total.passed == len(report.cases) == 3
        assert report.run.exit_code == 0
    assert project.provider.calls == {"fake": 3}
    assert (project.root / ".evalrunner/ledger.sqlite3").is_file()


def test_overrides_are_the_flags_in_pythons_types(project: CliProject) -> None:
    path = project.root / "suites/greet.yaml"
    for amount in (Decimal("0.0001"), "0.0001", 0.0001):
        assert run_suite(path, max_usd=amount).run.exit_code == 3
    assert run_suite(path, frozen=True).run.exit_code == 7
    report = run_suite(path, variables={"word": "x"}, limit=1, outputs=[project.root / "r.md"])
    assert [case.case.vars for case in report.cases] == [{"word": "x"}]
    assert (project.root / "r.md").is_file()
    assert not run_suite(path, tags={"kind": "none"}).cases


def test_it_runs_where_a_loop_runs(project: CliProject) -> None:
    """As in a notebook."""

    async def cell() -> int:
        return run_suite(project.root / "suites/greet.yaml").run.exit_code

    assert asyncio.run(cell()) == 0


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"max_usd": "much"}, UsageError),
        ({"max_usd": -1}, UsageError),
        ({"outputs": ["a.docx"]}, UsageError),
        ({"shard": "0/2"}, UsageError),
        ({"verbosity": 3}, TypeError),
    ],
)
def test_impossible_overrides(
    project: CliProject, overrides: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run_suite(project.root / "suites/greet.yaml", **overrides)
    assert project.provider.calls == {}


def test_what_cannot_be_loaded(project: CliProject) -> None:
    with pytest.raises(ConfigError, match="no suite"):
        load_suite(project.root / "gone.yaml")
    with pytest.raises(LoadError, match=r"bad\.yaml:1"):
        load_suite(project.write("suites/bad.yaml", "prompts: 7\n"))
