"""``evalrunner plan``: what a run would do, without asking anybody."""

from __future__ import annotations

import sys
from typing import Any

import click

from evalrunner.cli.options import project_options, run_options, suites_argument


@click.command()
@suites_argument
@project_options
@click.option("--json", "as_json", is_flag=True, help="The plan document instead of the screen.")
@run_options
def plan(suites: tuple[str, ...], **flags: Any) -> int:
    """Say what a run of SUITEs would find in the cache, ask and cost, and whether it may begin.

    No model is asked, no user code is imported, nothing is written. It ends as the run's pre-flight gates
    would: 0, or 3 and 4 where these refuse it.
    """
    from evalrunner.wiring.command import Command
    from evalrunner.wiring.planning import plan_command

    command = Command(suites=suites, argv=tuple(sys.argv[1:]), **flags)
    found = plan_command(command)
    if command.as_json:
        from evalrunner.reports.plan_document import plan_to_json

        click.echo(plan_to_json(found), nl=False)
    else:
        from evalrunner.reports.plan_page import print_plan

        print_plan(found, sys.stdout)
    return found.run.exit_code
