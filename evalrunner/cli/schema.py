"""``evalrunner schema``: JSON Schemas for editors and other programs."""

from __future__ import annotations

import json

import click

from evalrunner.values.exit_code import ExitCode


@click.command()
@click.argument("name", type=click.Choice(["suite", "config", "run", "plan"]))
def schema(name: str) -> int:
    """Print the JSON Schema of a suite, of the configuration, of a run document, or of a plan."""
    from evalrunner.wiring.schemas import json_schema

    click.echo(json.dumps(json_schema(name), indent=2))
    return ExitCode.OK
