"""``evalrunner spend``: production spend, as the gate sees it."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options


@click.group()
def spend() -> None:
    """Say what production has cost, and where that is known from."""


@spend.command()
@project_options
@click.option("--frozen", is_flag=True, envvar="EVALRUNNER_FROZEN", help="Ask no source of spend.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(
    config: Path | None,
    state_dir: Path | None,
    *,
    frozen: bool,
    as_json: bool,
) -> int:
    """Print each source day by day: what is counted, what is left out and why."""
    from evalrunner.reports.spend_pages import spend_json, spend_text
    from evalrunner.wiring.gating import Place, look_at_spend
    from evalrunner.wiring.publish import stdout_kept

    place = Place(config=config, state_dir=state_dir)
    with stdout_kept(when=as_json):  # a source may be the user's own function
        seen, production = look_at_spend(place, ask=not frozen)
    click.echo((spend_json if as_json else spend_text)(seen, production), nl=False)
    return 0


@spend.command()
@project_options
def sync(config: Path | None, state_dir: Path | None) -> int:
    """Ask every source now, and keep what it says; exit 4 where one does not answer."""
    from evalrunner.reports.spend_pages import sync_text
    from evalrunner.wiring.gating import Place, look_at_spend, sync_code

    place = Place(config=config, state_dir=state_dir)
    seen, _ = look_at_spend(place, anew=True)
    click.echo(sync_text(seen), nl=False)
    return sync_code(seen)
