"""``evalrunner explain``: why a case was asked again, or was not."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options


@click.command()
@click.argument("name", required=False, metavar="[CASE_ID | RUN]")
@click.option("--misses", is_flag=True, help="Every miss of RUN (default: the last run).")
@click.option(
    "--run", "run", default="last", show_default=True, metavar="RUN", help="The run of CASE_ID."
)
@project_options
@click.option("--json", "as_json", is_flag=True, help="The explanation as JSON on stdout.")
@click.option("-v", "--verbose", is_flag=True, help="Every case, not the first 20.")
def explain(
    name: str | None,
    run: str,
    config: Path | None,
    state_dir: Path | None,
    *,
    misses: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Say why CASE_ID was a hit or a miss in a run: what changed, from what to what, since when.

    With --misses the argument is a RUN (a path, a run id or 'last'), and every miss of it is told.
    Nobody is asked and nothing is changed.
    """
    from evalrunner.reports.explain import explanation_json, render_explanation
    from evalrunner.wiring.explaining import explain_run

    if name is None and not misses:
        raise click.UsageError("name a CASE_ID, or ask for --misses of the last run")
    explanation = explain_run(
        None if misses else name,
        (name or run) if misses else run,
        config=config,
        state_dir=state_dir,
    )
    if as_json:
        click.echo(explanation_json(explanation), nl=False)
        return 0
    click.echo(render_explanation(explanation, verbose=verbose), nl=False)
    if not explanation.cases:
        click.echo("no misses: every request was answered from the cache")
    return 0
