"""``evalrunner compare``: two runs, paired by case."""

from __future__ import annotations

from pathlib import Path

import click

from evalrunner.cli.options import project_options


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@project_options
@click.option(
    "--history",
    metavar="RUN",
    multiple=True,
    help="A further run of the base, to know flaky cases by. Repeatable.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="How often two equal runs may be called different.",
)
@click.option(
    "--max-regressions",
    type=click.IntRange(0),
    metavar="N",
    help="Exit 1 above N regressions that are not flaky, whatever chance says.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Write the comparison as .json or .md. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON on stdout.")
@click.option("-v", "--verbose", is_flag=True, help="Name every case that changed.")
def compare(
    base: str,
    head: str,
    *,
    config: Path | None,
    state_dir: Path | None,
    history: tuple[str, ...],
    alpha: float,
    max_regressions: int | None,
    outputs: tuple[Path, ...],
    as_json: bool,
    verbose: bool,
) -> int:
    """Say what regressed and what improved from BASE to HEAD, and whether chance explains it.

    Each is a path, a run id or 'last'. Exit 1 where HEAD is significantly worse.
    """
    from evalrunner.wiring.comparing import compare_documents

    found = compare_documents(
        base, head, history=history, alpha=alpha, config=config, state_dir=state_dir
    )
    for path in outputs:
        found.write(path)
    click.echo(found.json() if as_json else found.text(verbose=verbose), nl=False)
    return found.exit_code(max_regressions)
