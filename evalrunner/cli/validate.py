"""``evalrunner validate``: every problem of every file, and not one call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalrunner.cli.options import project_options, suites_argument
from evalrunner.errors import LoadError
from evalrunner.values.exit_code import ExitCode

if TYPE_CHECKING:
    from evalrunner.wiring.checkup import CheckedSuite


@click.command()
@suites_argument
@project_options
def validate(suites: tuple[str, ...], config: Path | None, state_dir: Path | None) -> int:
    """Load SUITEs (default: all), call nothing, import no user code, and list every problem."""
    del state_dir  # accepted, so that the options of run can be given as they are
    from evalrunner.reports.safe_text import for_log
    from evalrunner.wiring.checkup import check_everything

    checked = check_everything(suites, config=config)
    for suite in checked.suites:
        click.echo(for_log(_line(suite)))
    for warning in checked.warnings:
        click.echo(for_log(f"warning: {warning}"), err=True)
    if checked.problems:
        raise LoadError(checked.problems)
    if not checked.suites:
        click.echo("no suite found; put one below suites/, or type: evalrunner init", err=True)
        return ExitCode.NOTHING_SELECTED
    return ExitCode.OK


def _line(suite: CheckedSuite) -> str:
    from evalrunner.reports.phrases import counted

    checks = counted(suite.checks, "check")
    if suite.rows is None or suite.cases is None:
        return f"ok {suite.path}: {checks}; its rows come over the network and were not read"
    return (
        f"ok {suite.path}: {counted(suite.rows, 'row')}, {counted(suite.cases, 'case')}, {checks}"
    )
