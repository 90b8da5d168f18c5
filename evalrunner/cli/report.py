"""``evalrunner report``: a run document again, in any format."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import output_option, project_options


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@project_options
@output_option()
@click.option("--json", "as_json", is_flag=True, help="The run document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Only the verdict and its reasons.")
@click.option("-v", "--verbose", is_flag=True, help="Every case that did not pass.")
def report(
    runs: tuple[str, ...],
    config: Path | None,
    state_dir: Path | None,
    outputs: tuple[Path, ...],
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Render RUN (a path, a run id or 'last') again; several RUNs are the shards of one run.

    Without -o the report goes to the terminal; with it, stderr gets the verdict where something
    failed. The exit code is that of the run, or of the merged shards' one verdict.
    """
    from evalrunner.wiring.past_runs import load_runs
    from evalrunner.wiring.publish import show, write_reports

    merged = load_runs(runs, config=config, state_dir=state_dir)
    write_reports(merged, outputs)
    if as_json or not outputs:
        show(merged, as_json=as_json, quiet=quiet, verbose=verbose)
    elif merged.run.exit_code:
        show(merged, aside=True, quiet=True)
    return merged.run.exit_code
