"""``evalrunner init``: a starter project that validates, and never overwrites."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

import click

STARTER: Final = {
    "evalrunner.yaml": "evalrunner.yaml",
    "suites/support.yaml": "suite.yaml",
    "prompts/support.j2": "prompt.j2",
    "golden/support.jsonl": "golden.jsonl",
    ".github/workflows/evals.yml": "workflow.yml",
}


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> int:
    """Write a starter configuration, suite, golden file and GitHub workflow into FOLDER.

    What is there already is left as it is.
    """
    for name, template in STARTER.items():
        path = folder / name
        written = _write_new(path, files("evalrunner.cli.starter").joinpath(template).read_bytes())
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    click.echo("next: evalrunner validate, then evalrunner run")
    return 0


def _write_new(path: Path, content: bytes) -> bool:
    """Whether the file was written; exclusive creation, so that a race never overwrites either."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True
