"""``evalrunner run``: the main job."""

from __future__ import annotations

import sys
from typing import Any

import click

from evalrunner.cli.options import (
    output_option,
    project_options,
    run_options,
    suites_argument,
)


@click.command()
@suites_argument
@project_options
@output_option()
@click.option(
    "--json", "as_json", is_flag=True, help="The run document on stdout, all else on stderr."
)
@run_options
@click.option(
    "--verify-sample",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Ask a share of the hits again (0 to 1) and say which answers differ; what is kept stands.",
)
@click.option(
    "--baseline", metavar="RUN", help="A run document, a run id or 'last', for max_regressions."
)
@click.option("--no-progress", is_flag=True, help="No live display.")
@click.option("-q", "--quiet", is_flag=True, help="Only the verdict and its reasons.")
@click.option("-v", "--verbose", is_flag=True, help="Every case that did not pass.")
def run(suites: tuple[str, ...], **flags: Any) -> int:
    """Run SUITEs (files or folders; default: every suite below suites/)."""
    from evalrunner.wiring.command import Command
    from evalrunner.wiring.publish import progress_for, show, stdout_kept, write_reports
    from evalrunner.wiring.session import run_command

    command = Command(suites=suites, argv=tuple(sys.argv[1:]), **flags)
    with stdout_kept(when=command.as_json), progress_for(command) as progress:
        report = run_command(command, progress)
    show(report, as_json=command.as_json, quiet=command.quiet, verbose=command.verbose)
    write_reports(report, command.outputs)
    return report.run.exit_code
