"""``evalrunner doctor``: what would be slow, unsafe or missing here."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options
from evalrunner.values.exit_code import ExitCode


@click.command()
@project_options
def doctor(config: Path | None, state_dir: Path | None) -> int:
    """Say what would be slow, unsafe or missing here; call nobody, import no user code.

    It ends with 2 only where the configuration cannot be used.
    """
    from evalrunner.reports.safe_text import one_line
    from evalrunner.wiring.doctor import Health, examine

    broken = False
    for finding in examine(config=config, state_dir=state_dir):
        broken = broken or finding.health is Health.ERROR
        text = one_line(finding.text, 400)
        click.echo(f"{finding.health.value:<8}{finding.subject:<14} {text}")
    return ExitCode.USAGE if broken else ExitCode.OK
