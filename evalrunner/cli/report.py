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
def report(
    runs: tuple[str, ...],
    config: Path | None,
    state_dir: Path | None,
    outputs: tuple[Path, ...],
    *,
    as_json: bool,
) -> int:
    """Render RUN (a path, a run id or 'last') again; several RUNs are the shards of one run.

    Without -o the report goes to the terminal. The exit code is that of the run, or of the merged
    shards' one verdict.
    """
    from evalrunner.wiring import load_runs, publish

    merged = load_runs(runs, config=config, state_dir=state_dir)
    publish(merged, outputs, as_json=as_json)
    return merged.run.exit_code
