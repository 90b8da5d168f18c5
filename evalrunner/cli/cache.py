"""``evalrunner cache``: how much is kept, whether it is sound, what may go, and how it travels."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from evalrunner.cli.options import project_options, suites_argument
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.money import usd_text
from evalrunner.values.quantity import bytes_of, seconds_of


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A time such as ``12h``, in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; anything else is a usage error."""
        seconds = value if isinstance(value, float) else seconds_of(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no duration; write it like 12h or 30d", param, ctx)
        return seconds


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A size such as ``500MB``, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes; anything else is a usage error."""
        size = value if isinstance(value, int) else bytes_of(str(value))
        if size is None:
            self.fail(f"{value!r} is no size; write it like 500MB or 2GiB", param, ctx)
        return size


json_option = click.option("--json", "as_json", is_flag=True, help="The same as JSON on stdout.")


@click.group()
def cache() -> None:
    """Look after the cache: the stores that evalrunner.yaml names, this project's entries alone."""


@cache.command()
@project_options
@click.option(
    "--since",
    type=Duration(),
    default="30d",
    show_default=True,
    help="How far back hit rates are told.",
)
@json_option
def stats(config: Path | None, state_dir: Path | None, since: float, *, as_json: bool) -> int:
    """Tell entries, bytes and age by store and suite, and hit rates by day."""
    from evalrunner.cli.cache_lines import stats_lines
    from evalrunner.wiring.cache_stats import figures
    from evalrunner.wiring.shelves import open_shelves

    now = time.time()
    with open_shelves(config=config, state_dir=state_dir) as shelves:
        found = figures(shelves, since=now - since)
    if as_json:
        days = [{**asdict(day), "hit_rate": day.hit_rate} for day in found.days]
        _print_json({**asdict(found), "days": days})
    else:
        _print(stats_lines(found, now=now))
    return ExitCode.OK


@cache.command()
@project_options
@json_option
def verify(config: Path | None, state_dir: Path | None, *, as_json: bool) -> int:
    """Open every entry and list what is not believed.

    Exit 1 where an entry is damaged or not signed as it must be, 6 where a store cannot be read.
    """
    from evalrunner.cli.cache_lines import verify_lines
    from evalrunner.wiring.cache_verify import verify as verify_all
    from evalrunner.wiring.shelves import open_shelves

    with open_shelves(config=config, state_dir=state_dir) as shelves:
        found = verify_all(shelves)
    if as_json:
        _print_json({"sound": all(one.sound for one in found), "stores": list(map(asdict, found))})
    else:
        _print(verify_lines(found))
    if any(one.trouble for one in found):
        return ExitCode.INFRASTRUCTURE
    return ExitCode.OK if all(one.sound for one in found) else ExitCode.QUALITY


@cache.command()
@suites_argument
@project_options
@click.option("--older-than", type=Duration(), help="Stored longer ago than that.")
@click.option(
    "--unused-for",
    type=Duration(),
    help="Not used for so long by a run of this machine; entries on a server stay.",
)
@click.option(
    "--max-size",
    type=Size(),
    help="More than that in one store: those go whose last use is longest ago.",
)
@click.option(
    "--unreachable",
    is_flag=True,
    help="What a run of SUITEs (default: all) would not be answered with.",
)
@click.option("--damaged", is_flag=True, help="What is not believed.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def prune(
    suites: tuple[str, ...],
    *,
    config: Path | None,
    state_dir: Path | None,
    older_than: float | None,
    unused_for: float | None,
    max_size: int | None,
    unreachable: bool,
    damaged: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove the entries that any of the rules names; give one rule at least.

    Stores with mode: read are left alone. Exit 6 where a store did not let them go.
    """
    from evalrunner.cli.cache_lines import prune_lines
    from evalrunner.wiring.cache_known import reachable, suites_of, uses_of
    from evalrunner.wiring.cache_prune import Rules
    from evalrunner.wiring.cache_prune import prune as prune_all
    from evalrunner.wiring.shelves import open_shelves

    if suites and not unreachable:
        raise click.UsageError("SUITEs are for --unreachable")
    if not (unreachable or damaged or {older_than, unused_for, max_size} - {None}):
        raise click.UsageError("say what goes: --older-than 30d, --unreachable, or another rule")
    with open_shelves(config=config, state_dir=state_dir) as shelves:
        reached = None
        if unreachable:
            reached = reachable(shelves, suites, config=config, state_dir=state_dir)
        rules = Rules(
            older_than=older_than,
            unused_for=unused_for,
            max_bytes=max_size,
            reached=reached,
            damaged=damaged,
        )
        found = prune_all(
            shelves,
            rules,
            uses=uses_of(shelves.state),
            suites=suites_of(shelves),
            now=time.time(),
            dry_run=dry_run,
        )
    if as_json:
        _print_json({"dry_run": dry_run, "stores": list(map(asdict, found))})
    else:
        _print(prune_lines(found, dry_run=dry_run))
    return ExitCode.INFRASTRUCTURE if any(one.trouble for one in found) else ExitCode.OK


@cache.command()
@project_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(config: Path | None, state_dir: Path | None, *, yes: bool) -> int:
    """Remove all of this project's entries from the stores that it writes."""
    from evalrunner.wiring.cache_prune import clear as clear_all
    from evalrunner.wiring.shelves import open_shelves

    with open_shelves(config=config, state_dir=state_dir) as shelves:
        names = ", ".join(shelf.name for shelf in shelves.kept)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("nobody can be asked here; say --yes")
            click.confirm(f"Forget all answers in {names}?", abort=True, err=True)
        removed = clear_all(shelves)
    _print(f"{name}: {count:,} entries removed" for name, count in removed.items())
    return ExitCode.OK


@cache.command("export")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@project_options
@click.option("--run", "runs", metavar="RUN", multiple=True, help="Only what RUN used. Repeatable.")
@click.option(
    "--since", metavar="WHEN", help="Only what was stored since: 7d, or the start of a run."
)
@json_option
def export_entries(
    path: Path,
    *,
    config: Path | None,
    state_dir: Path | None,
    runs: tuple[str, ...],
    since: str | None,
    as_json: bool,
) -> int:
    """Write entries into one compressed file; the same entries are the same bytes."""
    from evalrunner.cli.cache_lines import export_lines
    from evalrunner.wiring.cache_carry import export
    from evalrunner.wiring.shelves import open_shelves

    with open_shelves(config=config, state_dir=state_dir) as shelves:
        found = export(shelves, path, runs=runs, since=since)
    if as_json:
        _print_json(asdict(found))
    else:
        _print(export_lines(found))
    return ExitCode.OK


@cache.command("import")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@project_options
@json_option
def import_entries(
    path: Path, *, config: Path | None, state_dir: Path | None, as_json: bool
) -> int:
    """Take in the entries of an exported file, each only if it is believed here.

    Exit 1 where some were refused, 6 where they could not be stored, 2 where the file is none.
    """
    from evalrunner.cli.cache_lines import import_lines
    from evalrunner.wiring.cache_carry import import_
    from evalrunner.wiring.shelves import open_shelves

    with open_shelves(config=config, state_dir=state_dir) as shelves:
        found = import_(shelves, path)
    if as_json:
        _print_json(asdict(found))
    else:
        _print(import_lines(found))
    if found.trouble:
        return ExitCode.INFRASTRUCTURE
    return ExitCode.OK if found.sound else ExitCode.QUALITY


@cache.command()
@suites_argument
@project_options
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="The least part that two rows have in common (Jaccard index).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the rows without the similar ones: a .jsonl file, or a folder for several suites.",
)
@json_option
def similar(
    suites: tuple[str, ...],
    *,
    config: Path | None,
    state_dir: Path | None,
    threshold: float,
    output: Path | None,
    as_json: bool,
) -> int:
    """Find golden rows of SUITEs that ask nearly the same, and what they cost. Nothing is changed."""
    from evalrunner.cli.cache_lines import similar_lines
    from evalrunner.wiring.cache_similar import similar as find_similar
    from evalrunner.wiring.shelves import open_shelves

    with open_shelves(config=config, state_dir=state_dir) as shelves:
        found = find_similar(
            shelves,
            suites,
            threshold=threshold,
            output=output,
            config=config,
            state_dir=state_dir,
        )
    if as_json:
        usd = [None if one.usd is None else usd_text(one.usd) for one in found]
        pairs = zip(found, usd, strict=True)
        _print_json({"suites": [{**asdict(one), "usd": amount} for one, amount in pairs]})
    else:
        _print(similar_lines(found, output=output))
    return ExitCode.OK


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=True, indent=1, allow_nan=False))


def _print(lines: Iterable[str]) -> None:
    from evalrunner.reports.safe_text import for_log

    for line in lines:
        click.echo(for_log(line))
