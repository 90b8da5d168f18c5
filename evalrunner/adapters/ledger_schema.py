"""What a ledger's file looks like, as SQL alone, for a run that imports nothing else."""

from __future__ import annotations

import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA_VERSION = 2
APPLICATION = 0x4556526C  # "EVRl": a file with another number is not ours to write into

# What version 2 brought: where each paying run came from, and how long its calls were of late.
HISTORY = (
    """CREATE TABLE origins (
        run_id TEXT PRIMARY KEY, at REAL NOT NULL, tags TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE usual (
        suite TEXT NOT NULL, endpoint TEXT NOT NULL, role TEXT NOT NULL, count INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
        guessed_tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
        PRIMARY KEY (suite, endpoint, role)
    ) WITHOUT ROWID""",
    "CREATE INDEX origins_at ON origins (at)",
    "CREATE INDEX runs_at ON runs (at)",
)
SCHEMA = (
    """CREATE TABLE attempts (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL, at REAL NOT NULL,
        suite TEXT NOT NULL, case_id TEXT NOT NULL, checked TEXT, role TEXT NOT NULL,
        tier TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
        fingerprint TEXT NOT NULL, worst_case INTEGER, price_source TEXT,
        processing TEXT NOT NULL DEFAULT 'standard',
        CHECK (worst_case IS NULL OR (typeof(worst_case) = 'integer' AND worst_case >= 0))
    )""",
    """CREATE TABLE settlements (
        number INTEGER PRIMARY KEY REFERENCES attempts, at REAL NOT NULL, status TEXT NOT NULL,
        input_tokens INTEGER, output_tokens INTEGER, cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        cost INTEGER, served_model TEXT, latency_seconds REAL NOT NULL, error TEXT,
        calls INTEGER, metered INTEGER NOT NULL DEFAULT 1,
        CHECK (cost IS NULL OR (typeof(cost) = 'integer' AND cost >= 0))
    )""",
    # held: what ceilings look at, settled costs and open worst cases. The two counts are of calls
    # whose cost nobody knows, open and settled: with one of them a sum is unknown.
    """CREATE TABLE sums (
        scope TEXT PRIMARY KEY, held INTEGER NOT NULL, spent INTEGER NOT NULL,
        open_unknown INTEGER NOT NULL, spent_unknown INTEGER NOT NULL,
        calls INTEGER NOT NULL DEFAULT 0, unmetered INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, at REAL NOT NULL, suite TEXT NOT NULL,
        cases INTEGER NOT NULL, passed INTEGER NOT NULL, calls INTEGER NOT NULL, incurred INTEGER,
        nominal INTEGER, tags TEXT NOT NULL, hits INTEGER NOT NULL DEFAULT 0, expected INTEGER,
        maximum INTEGER, models TEXT NOT NULL DEFAULT '{}', correction INTEGER,
        UNIQUE (run_id, suite)
    )""",
    *HISTORY,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
ADD_RUN = """INSERT OR IGNORE INTO runs (run_id, at, tags, suite, cases, passed, calls, incurred,
    nominal, hits, expected, maximum, models, correction)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def append_run(
    path: str, run_id: str, at: float, tags: str, rows: Sequence[Sequence[object]]
) -> None:
    """Appends the rows of a run that paid nothing.

    Args:
        path: The ledger's file.
        run_id: The run.
        at: When it began, in seconds since 1970.
        tags: Where it came from, as a JSON object.
        rows: For each suite the columns of :data:`ADD_RUN` from the suite's name on.

    Raises:
        OSError: The file is not a ledger of this version, or cannot be written.
    """
    try:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5.0)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if (application, version) != (APPLICATION, SCHEMA_VERSION):
                raise OSError(f"{path!r} is not a ledger of this version")
            with connection:
                connection.executemany(ADD_RUN, [(run_id, at, tags, *row) for row in rows])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
