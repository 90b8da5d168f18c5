"""``evalrunner prices``: what a model costs, who says so, and where lists disagree."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options
from evalrunner.values.exit_code import ExitCode


@click.group()
def prices() -> None:
    """Show what models cost and where that is known from."""


@prices.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@project_options
def show(models: tuple[str, ...], *, config: Path | None, state_dir: Path | None) -> int:
    """Say what each MODEL costs: a name in evalrunner.yaml, or an id (default: all that are named).

    Exit 4 where a price is unknown.
    """
    del state_dir  # accepted, so that the options of run can be given as they are
    from evalrunner.reports.safe_text import for_log
    from evalrunner.wiring.price_view import price_lines

    unknown = False
    for line in price_lines(models, config=config):
        unknown = unknown or not line.known
        click.echo(for_log(line.text))
    return ExitCode.INCONCLUSIVE if unknown else ExitCode.OK


@prices.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@project_options
def check(models: tuple[str, ...], *, config: Path | None, state_dir: Path | None) -> int:
    """List where the sources of prices disagree about a MODEL, or none of them knows it.

    Exit 4 where one is unknown; a disagreement is told, and fails nothing.
    """
    del state_dir
    from evalrunner.reports.safe_text import for_log
    from evalrunner.wiring.price_view import disagreements

    unknown = False
    for line in disagreements(models, config=config):
        unknown = unknown or not line.known
        click.echo(for_log(line.text))
    return ExitCode.INCONCLUSIVE if unknown else ExitCode.OK
