"""``evalrunner run``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from evalrunner.cli.options import (
    Dollars,
    KeyValue,
    lowest_ceiling,
    output_option,
    project_options,
    suites_argument,
)


@click.command()
@suites_argument
@project_options
@output_option()
@click.option(
    "--json", "as_json", is_flag=True, help="The run document on stdout, all else on stderr."
)
@click.option(
    "--frozen",
    is_flag=True,
    envvar="EVALRUNNER_FROZEN",
    help="Ask nobody; what is not cached is not run (exit 7).",
)
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache.")
@click.option(
    "--recache",
    is_flag=True,
    help="Ask for every answer again and store the new ones. A text that came out the same is not "
    "judged again.",
)
@click.option("--rejudge", is_flag=True, help="Ask every judge again and store the new verdicts.")
@click.option(
    "--verify-sample",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Ask a share of the hits again (0 to 1) and say which answers differ; what is kept stands.",
)
@click.option(
    "-j",
    "--max-concurrency",
    type=click.IntRange(1, 4096),
    default=32,
    show_default=True,
    help="Calls in flight, all models together.",
)
@click.option(
    "--max-usd",
    type=Dollars(),
    callback=lowest_ceiling,
    help="The ceiling of this run; it is never passed. The lowest of this, EVALRUNNER_MAX_USD and the "
    "configuration's holds.",
)
@click.option("--repeat", type=click.IntRange(1, 1000), help="Draw every case so often.")
@click.option(
    "-k", "--filter", "pattern", metavar="PATTERN", help="Cases whose id or description matches."
)
@click.option(
    "--tag", "tags", type=KeyValue(), multiple=True, help="Cases with this tag. Repeatable."
)
@click.option("-n", "--limit", type=click.IntRange(1), help="The first N rows of each suite.")
@click.option("--only-failed", is_flag=True, help="The cases that did not pass in the last run.")
@click.option("--shard", metavar="I/N", help="Part I of N, by row.")
@click.option(
    "--baseline", metavar="RUN", help="A run document, a run id or 'last', for max_regressions."
)
@click.option(
    "--no-preflight", is_flag=True, help="Start although the expected cost passes a ceiling."
)
@click.option("--warn-only", is_flag=True, help="Exit codes 1, 3 and 4 become 0.")
@click.option(
    "--var",
    "variables",
    type=KeyValue(),
    multiple=True,
    help="A variable for every row. Repeatable.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Environment variables, KEY=VALUE a line.",
)
@click.option(
    "--safe", is_flag=True, help="Refuse user code, commands, and hosts that a suite names."
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration that rules, in a checkout of the base: models, cost, and each suite's "
    "targets and gate come from there; prompts, goldens and checks from here.",
)
@click.option("--no-progress", is_flag=True, help="No live display.")
@click.option("-q", "--quiet", is_flag=True, help="Only what failed.")
@click.option("-v", "--verbose", is_flag=True, help="Every case that did not pass.")
def run(suites: tuple[str, ...], **flags: Any) -> int:
    """Run SUITEs (files or folders; default: every suite below suites/)."""
    from evalrunner.wiring.command import Command
    from evalrunner.wiring.publish import progress_for, show, write_reports
    from evalrunner.wiring.session import run_command

    command = Command(suites=suites, argv=tuple(sys.argv[1:]), **flags)
    with progress_for(command) as progress:
        report = run_command(command, progress)
    show(report, as_json=command.as_json, quiet=command.quiet, verbose=command.verbose)
    write_reports(report, command.outputs)
    return report.run.exit_code
