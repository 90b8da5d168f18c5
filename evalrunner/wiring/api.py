"""What a notebook or a test calls: suites loaded and run from Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypedDict, Unpack

from evalrunner.errors import ConfigError, UsageError
from evalrunner.suite.config import load_project
from evalrunner.suite.discover import find_suites
from evalrunner.suite.load import load_suites
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.values.money import Picodollars, from_usd
from evalrunner.values.result import RunReport
from evalrunner.verdict.summary import summary_of
from evalrunner.wiring.command import Command
from evalrunner.wiring.publish import FORMATS, write_reports
from evalrunner.wiring.session import run_command

AnyPath = str | Path


class Overrides(TypedDict, total=False):
    """What may be asked of a run: the flags of ``evalrunner run``, with Python's types.

    ``max_usd`` is in dollars; a float is taken as it prints.
    """

    config: AnyPath
    state_dir: AnyPath
    env_file: AnyPath
    outputs: Sequence[AnyPath]
    frozen: bool
    no_cache: bool
    recache: bool
    rejudge: bool
    verify_sample: float
    max_concurrency: int
    max_usd: Decimal | str | int | float
    repeat: int
    pattern: str
    tags: Mapping[str, str]
    limit: int
    only_failed: bool
    shard: str
    baseline: str
    no_preflight: bool
    warn_only: bool
    variables: Mapping[str, str]
    safe: bool


def load_suite(path: AnyPath) -> LoadedSuite:
    """One suite with its golden rows, read and checked; nothing is asked or imported for it.

    Args:
        path: The suite's file. Its project is looked for from there upwards.

    Returns:
        The suite as ``.suite``; ``.goldens.rows()`` reads its rows.

    Raises:
        EvalRunnerError: There is no such suite, or it cannot be used: every problem with file and line.
    """
    file = Path(path).absolute()
    if not file.is_file():
        raise ConfigError(f"there is no suite {str(path)!r}", hint="name a file")
    project = load_project(file.parent)
    (loaded,) = load_suites(project, find_suites(project, [str(file)]))
    return loaded


def run_suite(path_or_suite: AnyPath | LoadedSuite, **overrides: Unpack[Overrides]) -> RunReport:
    """Runs one suite, or all suites of a folder, as ``evalrunner run`` does.

    A failed gate is no exception: it stands in ``report.gates``, ``report.failures`` and
    ``report.run.exit_code``. It may be called where an event loop runs, as in a notebook.

    Args:
        path_or_suite: A suite's file, a folder of them, or what :func:`load_suite` returned.
        **overrides: The flags of ``evalrunner run``; see :class:`Overrides`.

    Returns:
        The report, with every case in it, and its sums: ``report.summary.total.passed``.

    Raises:
        EvalRunnerError: Nothing was run: what was written or asked for cannot be used.
    """
    if isinstance(path_or_suite, LoadedSuite):
        command, loaded = _command((), None, overrides), [path_or_suite]
    else:
        place = Path(path_or_suite).absolute()
        start = place if place.is_dir() else place.parent
        command, loaded = _command((str(place),), start, overrides), None
    report = _outside_a_loop(command, loaded)
    write_reports(report, command.outputs)
    return replace(report, summary=summary_of(report), document=None)


def _command(suites: tuple[str, ...], start: Path | None, asked: Overrides) -> Command:
    unknown = sorted(set(asked) - set(Overrides.__annotations__))
    if unknown:
        raise TypeError(f"run_suite() got an unexpected keyword argument {unknown[0]!r}")
    words: dict[str, object] = dict(asked)
    for name in ("config", "state_dir", "env_file"):
        if (value := words.get(name)) is not None:
            words[name] = Path(str(value))
    words["tags"] = tuple(asked.get("tags", {}).items())
    words["variables"] = tuple(asked.get("variables", {}).items())
    if "max_usd" in asked:
        words["max_usd"] = _picodollars(asked["max_usd"])
    words["outputs"] = tuple(map(_output, asked.get("outputs", ())))
    return Command(suites=suites, start=start, **words)  # type: ignore[arg-type]  # as declared


def _picodollars(amount: Decimal | str | float) -> Picodollars:
    try:
        dollars = Decimal(str(amount))
        found = from_usd(dollars)
    except (ArithmeticError, ValueError):
        raise UsageError(f"max_usd is {amount!r}, no amount of dollars") from None
    if found < 0:
        raise UsageError(f"max_usd is {amount!r}, less than nothing")
    return found


def _output(path: AnyPath) -> Path:
    found = Path(path)
    if not found.name.endswith(tuple(FORMATS)):
        raise UsageError(f"{str(path)!r} ends in no known format", hint=f"use {', '.join(FORMATS)}")
    return found


def _outside_a_loop(command: Command, loaded: Sequence[LoadedSuite] | None) -> RunReport:
    """Runs in a thread of its own where this one has an event loop already."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001  # does not raise
        return run_command(command, loaded=loaded)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="evalrunner") as pool:
        return pool.submit(run_command, command, loaded=loaded).result()
