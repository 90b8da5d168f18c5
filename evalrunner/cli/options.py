"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from evalrunner.values.money import Picodollars, from_usd

F = TypeVar("F", bound=Callable[..., Any])

ENDINGS: Final = (".json", ".jsonl", ".junit.xml", ".md", ".html", ".csv")


class KeyValue(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """``K=V``, as a pair."""

    name = "K=V"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The pair; a missing ``=`` is a usage error."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not (key and equals):
            self.fail(f"{value!r} has no '='; write KEY=VALUE", param, ctx)
        return key, text


class Dollars(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """An amount of US dollars, exact."""

    name = "USD"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Picodollars:
        """The amount in picodollars; negative, endless and unreadable amounts are usage errors."""
        if isinstance(value, int):
            return Picodollars(value)
        try:
            amount = from_usd(Decimal(str(value)))
        except (ValueError, ArithmeticError):
            amount = Picodollars(-1)
        if amount < 0:
            self.fail(f"{value!r} is not an amount of dollars; write it like 0.50", param, ctx)
        return amount


class OutputPath(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A path whose ending names a format."""

    name = "PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; an unknown ending is a usage error that lists the known ones."""
        path = Path(value)
        if not path.name.endswith(ENDINGS):
            self.fail(f"{value!r} ends in no known format; known: {' '.join(ENDINGS)}", param, ctx)
        return path


def project_options(function: F) -> F:
    """``--config`` and ``--state-dir``."""
    for option in (
        click.option(
            "--state-dir",
            type=click.Path(path_type=Path, file_okay=False),
            envvar="EVALRUNNER_STATE_DIR",
            help="Where cache, ledger and runs are kept (default: .evalrunner).",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="EVALRUNNER_CONFIG",
            help="The configuration (default: the nearest evalrunner.yaml).",
        ),
    ):
        function = option(function)
    return function


MAX_USD_VARIABLE: Final = "EVALRUNNER_MAX_USD"


def lowest_ceiling(
    ctx: click.Context, param: click.Parameter, value: Picodollars | None
) -> Picodollars | None:
    """The flag's ceiling or the environment's, whichever is lower."""
    text = os.environ.get(MAX_USD_VARIABLE, "").strip()
    if not text:
        return value
    try:
        other = Dollars().convert(text, param, ctx)
    except click.BadParameter as error:
        raise click.UsageError(f"{MAX_USD_VARIABLE}: {error.message}", ctx) from None
    return other if value is None else min(value, other)


suites_argument = click.argument("suites", nargs=-1, metavar="[SUITE]...")


def output_option(*, required: bool = False) -> Callable[[F], F]:
    """``-o/--output``, repeatable."""
    return click.option(
        "-o",
        "--output",
        "outputs",
        type=OutputPath(),
        multiple=True,
        required=required,
        help=f"Write a report; the ending names the format: {' '.join(ENDINGS)}. Repeatable.",
    )


def run_options(function: F) -> F:
    """What ``run`` and ``plan`` have in common: which cases, what may be asked and what that may cost."""
    for option in (
        click.option(
            "--policy",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The configuration that rules, in a checkout of the base: models, cost, and each suite's "
            "targets and gate come from there; prompts, goldens and checks from here.",
        ),
        click.option(
            "--safe", is_flag=True, help="Refuse user code, commands, and hosts that a suite names."
        ),
        click.option(
            "--env-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Environment variables, KEY=VALUE a line.",
        ),
        click.option(
            "--var",
            "variables",
            type=KeyValue(),
            multiple=True,
            help="A variable for every row. Repeatable.",
        ),
        click.option("--warn-only", is_flag=True, help="Exit codes 1, 3 and 4 become 0."),
        click.option(
            "--no-preflight",
            is_flag=True,
            help="Start although the expected cost passes a ceiling.",
        ),
        click.option("--shard", metavar="I/N", help="Part I of N, by row."),
        click.option(
            "--only-failed", is_flag=True, help="The cases that did not pass in the last run."
        ),
        click.option(
            "-n", "--limit", type=click.IntRange(1), help="The first N rows of each suite."
        ),
        click.option(
            "--tag", "tags", type=KeyValue(), multiple=True, help="Cases with this tag. Repeatable."
        ),
        click.option(
            "-k",
            "--filter",
            "pattern",
            metavar="PATTERN",
            help="Cases whose id or description matches.",
        ),
        click.option("--repeat", type=click.IntRange(1, 1000), help="Draw every case so often."),
        click.option(
            "--max-usd",
            type=Dollars(),
            callback=lowest_ceiling,
            help="The ceiling of this run; it is never passed. The lowest of this, EVALRUNNER_MAX_USD and "
            "the configuration's holds.",
        ),
        click.option(
            "-j",
            "--max-concurrency",
            type=click.IntRange(1, 4096),
            default=32,
            show_default=True,
            help="Calls in flight, all models together.",
        ),
        click.option(
            "--rejudge", is_flag=True, help="Ask every judge again and store the new verdicts."
        ),
        click.option(
            "--recache",
            is_flag=True,
            help="Ask for every answer again and store the new ones. A text that came out the same is not "
            "judged again.",
        ),
        click.option("--no-cache", is_flag=True, help="Neither read nor write the cache."),
        click.option(
            "--frozen",
            is_flag=True,
            envvar="EVALRUNNER_FROZEN",
            help="Ask nobody; what is not cached is not run (exit 7).",
        ),
    ):
        function = option(function)
    return function
