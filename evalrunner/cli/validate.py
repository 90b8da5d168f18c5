"""``evalrunner validate``: every problem of every file, and not one call."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options, suites_argument


@click.command()
@suites_argument
@project_options
def validate(suites: tuple[str, ...], config: Path | None, state_dir: Path | None) -> int:
    """Load SUITEs (default: all), call nothing, import no user code, and list every problem."""
    del state_dir  # accepted, so that the options of run can be given as they are
    from evalrunner.wiring import check_everything

    checked = check_everything(suites, config=config)
    for warning in checked.warnings:
        click.echo(f"warning: {warning}", err=True)
    for suite in checked.suites:
        click.echo(
            f"ok {suite.path}: {suite.rows} rows, {suite.cases} cases, {suite.checks} checks"
        )
    if not checked.suites:
        click.echo("no suite found; put one below suites/, or type: evalrunner init", err=True)
        return 5
    return 0
