"""Golden rows that ask nearly the same: what they cost a run, and the suite without them.

Exact keys decide what is answered from a cache, since an answer to a similar question is not an answer. What
similarity is good for is to ask whether both questions are needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from evalrunner.adapters.prices import ConfiguredPrices
from evalrunner.adapters.private_dir import write_atomically
from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.estimate import estimate
from evalrunner.engine.replay import StoreReader, replay
from evalrunner.engine.select import Selection
from evalrunner.errors import ConfigError, UsageError
from evalrunner.suite.goldens import row_ids
from evalrunner.suite.load import require_good_rows
from evalrunner.suite.loaded import LoadedSuite
from evalrunner.suite.near_duplicates import Twin, near_duplicates
from evalrunner.suite.row_lines import row_lines
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Json
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.money import Picodollars, total
from evalrunner.values.spec import Golden
from evalrunner.wiring.cache_known import Finding
from evalrunner.wiring.command import Command
from evalrunner.wiring.loading import load
from evalrunner.wiring.setup import assembly_for
from evalrunner.wiring.shelves import Shelves
from evalrunner.wiring.suites import Assembly


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarRow:
    """A row that is nearly another one.

    Attributes:
        row: Its id.
        of: The id of the row before it.
        similarity: Their Jaccard index, from 0 to 1.
        differs: The variables whose values differ.
        places: Where both stand, as FILE:LINE.
    """

    row: str
    of: str
    similarity: float
    differs: tuple[str, ...]
    places: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarRows:
    """What was found in one suite.

    Attributes:
        suite: The suite's name.
        rows: How many rows it has.
        similar: Those that are nearly another one.
        cases: How many cases they are.
        calls: How many calls they are for a run that has nothing in its cache: counted where the answers
            are kept, else expected.
        usd: What those calls cost, in picodollars; ``None`` where a price is unknown.
    """

    suite: str
    rows: int
    similar: tuple[SimilarRow, ...]
    cases: int
    calls: int
    usd: Picodollars | None


def similar(
    shelves: Shelves,
    suites: tuple[str, ...],
    *,
    threshold: float,
    output: Path | None = None,
    config: Path | None = None,
    state_dir: Path | None = None,
) -> list[SimilarRows]:
    """Compares the variables of the rows of each suite, and writes the smaller golden file.

    Args:
        shelves: The stores, whose answers say what similar rows cost.
        suites: Files or folders; all suites of the project where there is none.
        threshold: The least Jaccard index of two rows that are nearly the same.
        output: A JSONL file for the rows that are left of one suite; a folder for several suites.
        config: The configuration.
        state_dir: The state folder.

    Raises:
        EvalRunnerError: The suites cannot be used, or the output cannot be written.
    """
    command = Command(suites=suites, config=config, state_dir=state_dir, frozen=True)
    project, loaded = load(command)
    require_good_rows(loaded)
    if output is not None and len(loaded) > 1 and output.suffix:
        raise UsageError(
            f"{str(output)!r} is one file, for {len(loaded)} suites",
            hint="name a folder with -o, or one suite",
        )
    assembly = assembly_for(command, project, shelves.state)
    found: list[SimilarRows] = []
    for one in loaded:
        rows = list(row_ids(one.goldens.rows()))
        twins = near_duplicates((_text(row) for _, row in rows), threshold=threshold)
        found.append(_rows(one, rows, twins, assembly, shelves))
        if output is not None:
            place = output if output.suffix else output / f"{one.suite.name}.jsonl"
            _write_rest(place, one, {twin.number for twin in twins})
    return found


def _rows(
    loaded: LoadedSuite,
    rows: Sequence[tuple[str, Golden]],
    twins: Sequence[Twin],
    assembly: Assembly,
    shelves: Shelves,
) -> SimilarRows:
    gone = {twin.number for twin in twins}
    staying = [row for number, row in enumerate(rows) if number not in gone]
    going = [rows[twin.number] for twin in twins]
    variants = assembly.variants(loaded.suite)
    expansion = assembly.expansion(loaded.suite, variants)
    rest = list(expansion.cases(staying, Selection())) if going else []
    cases = list(expansion.cases(going, Selection()))
    calls, usd = _saving(rest, cases, assembly, shelves)
    return SimilarRows(
        suite=loaded.suite.name,
        rows=len(rows),
        similar=tuple(_similar(twin, rows) for twin in twins),
        cases=len(cases),
        calls=calls,
        usd=usd,
    )


def _similar(twin: Twin, rows: Sequence[tuple[str, Golden]]) -> SimilarRow:
    (row_id, row), (other_id, other) = rows[twin.number], rows[twin.of]
    names = sorted(row.vars.keys() | other.vars.keys())
    return SimilarRow(
        row=row_id,
        of=other_id,
        similarity=twin.similarity,
        differs=tuple(name for name in names if row.vars.get(name) != other.vars.get(name)),
        places=(
            f"{row.source.file}:{row.source.line}",
            f"{other.source.file}:{other.source.line}",
        ),
    )


def _saving(
    rest: Sequence[EvalCase], cases: Sequence[EvalCase], assembly: Assembly, shelves: Shelves
) -> tuple[int, Picodollars | None]:
    """Calls, and what they cost, of *cases* beside *rest*: what the others ask anyway saves nothing."""
    accounts = Accounts(ConfiguredPrices(at=time.time()), assembly.endpoints)
    reader = StoreReader(Finding(shelves), accounts)
    asked = replay(rest, reader)
    known = replay(cases, reader)
    records = [
        call.record
        for case in known.finished.values()
        for call in case.records
        if not call.record.shared
    ]
    seen: set[Fingerprint] = {case.key for case in asked.open}
    waiting = [case for case in known.open if case.key not in seen]
    forecast = estimate(waiting, accounts).forecast()
    calls = len(records) + round(sum(part.calls for part in forecast.calls))
    return calls, total([forecast.estimate.expected, *(record.nominal for record in records)])


def _text(row: Golden) -> str:
    """What a row says: the values of its variables."""
    values = (row.vars[name] for name in sorted(row.vars))
    return "\n".join(value if isinstance(value, str) else json.dumps(value) for value in values)


def _write_rest(path: Path, loaded: LoadedSuite, gone: AbstractSet[int]) -> None:
    """Writes the rows that are left: the lines as they stand, or as JSON where they are no lines."""
    lines = row_lines(loaded.goldens, loaded.project.root)
    if lines is not None:
        kept = [
            line.decode("utf-8") for number, line in enumerate(lines.data) if number not in gone
        ]
    else:
        kept = [
            json.dumps(_as_written(row), ensure_ascii=False)
            for number, row in enumerate(loaded.goldens.rows())
            if number not in gone
        ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(line + "\n" for line in kept))
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


def _as_written(row: Golden) -> dict[str, Json]:
    """A row as an object of a JSONL file; checks of its own have no such form."""
    if row.checks:
        raise UsageError(
            f"{row.source.file}:{row.source.line} has checks of its own",
            hint="-o writes the rows of JSONL files as they are; keep the golden rows in one",
        )
    own: dict[str, Json] = {"id": row.id, "description": row.description}
    found = {name: value for name, value in own.items() if value is not None}
    return {**found, **({"tags": dict(row.tags)} if row.tags else {}), **row.vars}
