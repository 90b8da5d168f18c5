"""The ledger of a project, opened to be read, exported and merged."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from evalrunner.adapters.git import git_state
from evalrunner.adapters.state_dir import open_state_dir
from evalrunner.engine.ports import LedgerBook, LedgerEntry
from evalrunner.engine.spend_history import SpendHistory, spend_history
from evalrunner.errors import LedgerError, UsageError
from evalrunner.reports import ledger_chart, ledger_focus, ledger_rows_file
from evalrunner.suite.config import load_project
from evalrunner.values.ceilings import utc_day
from evalrunner.values.project import CostGateConfig, Project
from evalrunner.values.spend import SourceSeen
from evalrunner.wiring.ledgers import open_ledger
from evalrunner.wiring.ratio import branch_of
from evalrunner.wiring.spending import Spending
from evalrunner.wiring.stores import namespace_of

FORMATS: Final = ("csv", "json", "focus")
_LARGEST: Final = 1024**3
_DAY: Final = 86400


@contextmanager
def opened_ledger(
    *, config: Path | None = None, state_dir: Path | None = None
) -> Generator[tuple[Project, LedgerBook]]:
    """The project of this folder and its ledger, closed at the end.

    Raises:
        EvalRunnerError: Either cannot be used.
    """
    project = load_project(Path.cwd(), config=config)
    state = open_state_dir(project.root, explicit=state_dir)
    ledger = open_ledger(project, state)
    try:
        yield project, ledger
    finally:
        ledger.close()


def span(since: str | None, until: str | None, *, now: float | None = None) -> tuple[float, float]:
    """The moments of two days as the command line names them; the last day is part of the span.

    Args:
        since: ``YYYY-MM-DD``, a number of days like ``28d``, or ``None`` for 28 days.
        until: ``YYYY-MM-DD``; ``None`` for today.
        now: Seconds since 1970.

    Raises:
        UsageError: One of them is neither.
    """
    now = time.time() if now is None else now
    end = (now if until is None else _moment(until)) // _DAY * _DAY + _DAY
    text = since or "28d"
    if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit():
        return max(0.0, end - min(int(text[:-1]), 100_000) * _DAY), end
    start = _moment(text)
    if start >= end:
        raise UsageError(f"{text!r} is after the last day", hint="give an earlier --since")
    return start, end


def _moment(day: str) -> float:
    from datetime import UTC, datetime

    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise UsageError(
            f"{day!r} is no day", hint="write it like 2026-11-22, or as 28d for --since"
        ) from None


def exported(
    project: Project, ledger: LedgerBook, kind: str, since: float, until: float
) -> Iterator[str]:
    """The rows of a span as text of a format, piece by piece.

    What a provider said about a failed call may quote the prompt: it leaves only where
    ``report.include`` lets contents leave, else the kind of the error stands alone.
    """
    entries = ledger.entries(since, until)
    if project.report_include != "outputs":
        entries = map(_without_words, entries)
    if kind == "csv":
        return ledger_rows_file.as_csv(entries)
    origins = ledger.origins()
    if kind == "json":
        rows = entries, ledger.runs(since, until), origins
        return ledger_rows_file.as_json(*rows)
    cells = ledger.spending(since, until, ledger_focus.BY)
    tags = {origin.run_id: origin.tags for origin in origins}
    account = namespace_of(project)
    return iter([ledger_focus.as_csv(ledger_focus.focus_rows(cells, tags, account=account))])


def _without_words(entry: LedgerEntry) -> LedgerEntry:
    end = entry.settlement
    if end is None or end.error is None:
        return entry
    kind = end.error.partition(":")[0]
    return replace(entry, settlement=replace(end, error=kind))


def take_in(ledger: LedgerBook, path: Path) -> int:
    """Merges an exported file; returns how many rows were new.

    Raises:
        LedgerError: The file cannot be read, or is none. Nothing of it is taken in, then.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise LedgerError(
                f"{str(path)!r} is larger than a gigabyte", hint="export less at once"
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{str(path)!r} cannot be read: {error}") from None
    try:
        rows = ledger_rows_file.read_json(text)
    except LedgerError as error:
        raise LedgerError(f"{str(path)!r}: {error.message}", hint=error.hint) from None
    return ledger.add(*rows)


def require_picture(path: Path) -> None:
    """Raises the UsageError that says so, where a path is none that a picture can be drawn to."""
    if path.suffix not in ledger_chart.ENDINGS:
        raise UsageError(f"{str(path)!r} is no picture", hint="end it with .svg or .png")


def history_of(
    project: Project,
    ledger: LedgerBook,
    since: float,
    until: float,
    *,
    state_dir: Path | None = None,
) -> SpendHistory:
    """What evals cost in a span, day by day, beside what is kept of production's sources.

    Nobody is asked: ``evalrunner spend sync`` does that.

    Raises:
        EvalRunnerError: A source is not configured as it has to be.
    """
    now = time.time()
    window_days = project.cost.gate.window_days
    seen: Sequence[SourceSeen] = ()
    if project.cost.production:
        state = open_state_dir(project.root, explicit=state_dir)
        seen = Spending(project, state, now=now).look(False)
    began = ledger.began()
    return spend_history(
        ledger.days(max(0.0, since - window_days * _DAY), until - 1),
        seen,
        first=utc_day(since),
        last=min(utc_day(until - 1), utc_day(now)),
        began=None if began is None else utc_day(began),
        window_days=window_days,
    )


def policy_of(project: Project) -> CostGateConfig:
    """The gate's policy on the branch of this checkout or CI job."""
    return project.cost.gate.on_branch(branch_of(git_state(project.root)))


def days_between(since: float, until: float) -> tuple[str, str]:
    """The first and the last day of a span."""
    return utc_day(since), utc_day(until - 1)
