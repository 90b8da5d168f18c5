"""``evalrunner gate``: testing against production, without a run."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options


@click.command()
@project_options
@click.option(
    "--branch",
    help="The branch whose policy counts (default: that of the checkout or the CI job).",
)
@click.option("--frozen", is_flag=True, envvar="EVALRUNNER_FROZEN", help="Ask no source of spend.")
@click.option("--warn-only", is_flag=True, help="Exit codes 3 and 4 become 0.")
@click.option("--json", "as_json", is_flag=True, help="The decision as JSON.")
def gate(
    config: Path | None,
    state_dir: Path | None,
    branch: str | None,
    *,
    frozen: bool,
    warn_only: bool,
    as_json: bool,
) -> int:
    """Judge what testing has cost beside production: exit 0, 3 (too much) or 4 (not known)."""
    from evalrunner.reports.spend_pages import gate_json, gate_text
    from evalrunner.wiring.gating import Place, gate_alone
    from evalrunner.wiring.publish import stdout_kept

    place = Place(config=config, state_dir=state_dir)
    with stdout_kept(when=as_json):  # a source of spend may be the user's own function
        found = gate_alone(place, branch=branch, offline=frozen, warn_only=warn_only)
    render = gate_json if as_json else gate_text
    ruling = found.ruling
    click.echo(render(ruling.gate, ruling.ratio, found.failures, found.exit_code), nl=False)
    return found.exit_code
