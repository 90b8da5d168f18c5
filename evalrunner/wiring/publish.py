"""Reports on their way out: written where ``-o`` says, shown where somebody looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Final

from evalrunner.adapters.private_dir import write_atomically
from evalrunner.errors import UsageError
from evalrunner.values.result import RunReport
from evalrunner.wiring.command import Command
from evalrunner.wiring.watch import Watch

Render = Callable[[RunReport], str | bytes]


def _json(report: RunReport) -> bytes:
    from evalrunner.reports.document import to_json

    return report.document or to_json(report)


def _jsonl(report: RunReport) -> str:
    from evalrunner.reports.jsonl import render

    return render(report)


def _junit(report: RunReport) -> str:
    from evalrunner.reports.junit import render

    return render(report)


def _markdown(report: RunReport) -> str:
    from evalrunner.reports.markdown import render

    return render(report)


def _html(report: RunReport) -> str:
    from evalrunner.reports.html import render

    return render(report)


def _table(report: RunReport) -> str:
    from evalrunner.reports.table import render

    return render(report)


FORMATS: Final[Mapping[str, Render]] = {
    ".junit.xml": _junit,
    ".json": _json,
    ".jsonl": _jsonl,
    ".md": _markdown,
    ".html": _html,
    ".csv": _table,
}
"""The formats by the ending of the file; the longest ending that fits rules."""


def progress_for(command: Command) -> Watch:
    """What stderr shows while the command runs; it shows nothing before somebody is asked."""
    return Watch(sys.stderr, quiet=command.quiet or command.no_progress)


@contextmanager
def stdout_kept(*, when: bool) -> Generator[None]:
    """Keeps stdout for the document: what the user's code prints meanwhile goes to stderr.

    So does what programs and libraries write that know nothing of ``sys.stdout``. Nothing is changed
    unless *when* is true.
    """
    if not when:
        yield
        return
    sys.stdout.flush()
    try:
        own = os.dup(1)
    except OSError:  # there is no such file, so nobody can write to it
        with redirect_stdout(sys.stderr):
            yield
        return
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def write_reports(report: RunReport, outputs: Sequence[Path]) -> None:
    """Writes each file whole, or not at all.

    Raises:
        UsageError: A place cannot be written.
    """
    for path in outputs:
        render = next(form for ending, form in FORMATS.items() if path.name.endswith(ending))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, render(report))
        except OSError as error:
            raise UsageError(
                f"{str(path)!r} cannot be written: {error.strerror or error}"
            ) from None


def show(
    report: RunReport,
    *,
    as_json: bool = False,
    aside: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """The one screen on stdout; or the run document alone there, and the screen on stderr.

    With *aside* the screen goes to stderr too, and stdout stays empty.

    Somebody who stops reading (``| head``) is no error.
    """
    from evalrunner.reports.terminal import print_report

    try:
        if as_json:
            sys.stdout.write(_json(report).decode("ascii"))
            sys.stdout.flush()
        stream = sys.stderr if as_json or aside else sys.stdout
        print_report(report, stream, quiet=quiet, verbose=verbose)
        stream.flush()
    except BrokenPipeError:
        forget_stdout()


def forget_stdout() -> None:
    """Lets what is still to be written go nowhere, since nobody reads it any more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
