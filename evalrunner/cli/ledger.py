"""``evalrunner ledger``: what evals have cost, shown, exported and merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from evalrunner.cli.options import project_options
from evalrunner.values.exit_code import ExitCode

F = TypeVar("F", bound=Callable[..., Any])

BY: Final = (
    "suite tier model day pr run case endpoint role check branch sha ci_run event repo".split()
)
IN_TERMINAL: Final = "-"


@click.group()
def ledger() -> None:
    """Show, export and merge what evals have cost."""


def _span_options(function: F) -> F:
    for option in (
        click.option("--until", metavar="DAY", help="The last day (default: today)."),
        click.option(
            "--since", metavar="DAY", help="The first day, or how many, like 28d (the default)."
        ),
    ):
        function = option(function)
    return function


@ledger.command()
@click.option("--by", type=click.Choice(BY), default="suite", show_default=True)
@_span_options
@click.option("-n", "--limit", type=click.IntRange(1), help="Show the N dearest lines only.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON on stdout.")
@click.option(
    "--chart",
    is_flag=False,
    flag_value=IN_TERMINAL,
    metavar="[PATH]",
    help="Draw cost and ratio over time: as bars here, or as the picture PATH.svg or PATH.png.",
)
@project_options
def show(
    *,
    by: str,
    since: str | None,
    until: str | None,
    limit: int | None,
    as_json: bool,
    chart: str | None,
    config: Path | None,
    state_dir: Path | None,
) -> int:
    """Say what evals have cost, by suite, model, tier, day, pull request and more."""
    from evalrunner.engine.spend_lines import dearest, spend_lines
    from evalrunner.reports import ledger_table
    from evalrunner.wiring.ledger_view import days_between, opened_ledger, span

    first, end = span(since, until)
    if chart is not None:
        return _chart(chart, first, end, config=config, state_dir=state_dir)
    with opened_ledger(config=config, state_dir=state_dir) as (_, book):
        lines, total = spend_lines(book, first, end, by=by)
    days = days_between(first, end)
    shown = dearest(lines, limit)
    if as_json:
        text = ledger_table.as_json(shown, total, by=by, since=days[0], until=days[1])
    elif not lines:
        text = f"nothing was run from {days[0]} to {days[1]}\n"
    else:
        text = f"from {days[0]} to {days[1]}\n" + ledger_table.table(shown, total, by=by)
    click.echo(text, nl=False)
    return ExitCode.OK


def _chart(
    chart: str, first: float, end: float, *, config: Path | None, state_dir: Path | None
) -> int:
    from evalrunner.reports import ledger_bars, ledger_chart
    from evalrunner.wiring.ledger_view import (
        history_of,
        opened_ledger,
        policy_of,
        require_picture,
    )

    if chart != IN_TERMINAL:
        require_picture(Path(chart))
    with opened_ledger(config=config, state_dir=state_dir) as (project, book):
        history, policy = (
            history_of(project, book, first, end, state_dir=state_dir),
            policy_of(project),
        )
    if chart == IN_TERMINAL:
        click.echo(ledger_bars.bars(history, policy), nl=False)
        return ExitCode.OK
    ledger_chart.draw(history, policy, Path(chart))
    click.echo(f"drew {chart}", err=True)
    return ExitCode.OK


@ledger.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json", "focus"]),
    default="json",
    show_default=True,
    help="json is what 'ledger import' takes; focus is CSV in the columns of FOCUS 1.2.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout."
)
@_span_options
@project_options
def export(
    *,
    kind: str,
    output: Path | None,
    since: str | None,
    until: str | None,
    config: Path | None,
    state_dir: Path | None,
) -> int:
    """Write the ledger's rows: every attempt as CSV or JSON, or sums as FOCUS rows."""
    from evalrunner.errors import UsageError
    from evalrunner.wiring.ledger_view import exported, opened_ledger, span

    first, end = span(since, until)
    with opened_ledger(config=config, state_dir=state_dir) as (project, book):
        pieces = exported(project, book, kind, first, end)
        if output is None:
            for piece in pieces:
                click.echo(piece, nl=False)
            return ExitCode.OK
        try:
            with output.open("w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
        except OSError as error:
            raise UsageError(f"{str(output)!r} cannot be written: {error.strerror}") from None
    return ExitCode.OK


@ledger.command(name="import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@project_options
def import_(files: tuple[Path, ...], *, config: Path | None, state_dir: Path | None) -> int:
    """Take in the rows of FILEs, which 'ledger export --format json' wrote on other machines.

    Rows that are here already stay as they are, so that a file may be taken in twice.
    """
    from evalrunner.reports.safe_text import one_line
    from evalrunner.wiring.ledger_view import opened_ledger, take_in

    with opened_ledger(config=config, state_dir=state_dir) as (_, book):
        for path in files:
            new = take_in(book, path)
            click.echo(f"{one_line(str(path), 200)}: {new:,} new rows")
    return ExitCode.OK
