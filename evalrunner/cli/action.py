"""``evalrunner action``: what ``action.yml`` calls; everything comes through the environment."""

from __future__ import annotations

import os

import click


@click.command()
@click.argument("part", type=click.Choice(["plan", "run", "comment"]), default="run")
def action(part: str) -> int:
    """Run as a step of a GitHub workflow (called by action.yml, not by people).

    'plan' says which cache to restore and whether it may be kept, 'run' runs the suites, 'comment' says
    in a comment what a fork's run found.
    """
    if part == "plan":
        from evalrunner.wiring.action_cache import plan_cache

        return plan_cache(os.environ)
    if part == "comment":
        from evalrunner.reports.workflow_commands import notice
        from evalrunner.wiring.action_comment import comment_on_fork

        problem = comment_on_fork(os.environ, token=os.environ.get("INPUT_GITHUB_TOKEN", ""))
        click.echo(notice(problem) if problem else "", nl=False)
        return 0
    from evalrunner.wiring.action import run_step

    return run_step(os.environ)
