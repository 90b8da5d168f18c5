"""How a ledger's file of an older version becomes one of this version, in place, keeping every row."""

from __future__ import annotations

from typing import Final

from evalrunner.adapters.ledger_schema import HISTORY, SCHEMA_VERSION

_DAY: Final = "date(CAST(a.at AS INTEGER), 'unixepoch')"
_SCOPES: Final = (
    "'run/' || a.run_id",
    "'suite/' || a.run_id || '/' || a.suite",
    f"'month/' || substr({_DAY}, 1, 7)",
    f"'day/' || {_DAY}",
)
_OPEN: Final = "(s.status IS NULL OR s.status = 'possibly_paid')"
_UNPRICED: Final = "(s.status = 'ok' AND s.cost IS NULL)"

# Every sum again from the rows: what the running sums would have been.
REBUILD_SUMS: Final = (
    "DELETE FROM sums",
    *(
        f"""INSERT INTO sums SELECT {scope},
            sum(CASE WHEN {_OPEN} OR {_UNPRICED} THEN coalesce(a.worst_case, 0)
                ELSE coalesce(s.cost, 0) END),
            sum(CASE WHEN {_OPEN} THEN 0 ELSE coalesce(s.cost, 0) END),
            sum({_OPEN} AND a.worst_case IS NULL),
            sum(coalesce({_UNPRICED}, 0)),
            sum(coalesce(s.status, '') != 'error'),
            sum(coalesce(s.status = 'ok' AND NOT s.metered, 0))
        FROM attempts a LEFT JOIN settlements s USING (number) GROUP BY 1"""
        for scope in _SCOPES
    ),
)

# From 1: an application that said nothing about its cost was settled at 0, which is why each of its
# calls that cost 0 is taken for unmetered.
FROM_1: Final = (
    "ALTER TABLE attempts ADD COLUMN processing TEXT NOT NULL DEFAULT 'standard'",
    "ALTER TABLE settlements ADD COLUMN calls INTEGER",
    "ALTER TABLE settlements ADD COLUMN metered INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE sums ADD COLUMN calls INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sums ADD COLUMN unmetered INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN hits INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN expected INTEGER",
    "ALTER TABLE runs ADD COLUMN maximum INTEGER",
    "ALTER TABLE runs ADD COLUMN models TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE runs ADD COLUMN correction INTEGER",
    *HISTORY,
    """UPDATE settlements SET metered = 0 WHERE status = 'ok' AND cost = 0
        AND number IN (SELECT number FROM attempts WHERE tier = 'target')""",
    "INSERT INTO origins SELECT run_id, min(at), '{}' FROM attempts GROUP BY run_id",
    """INSERT INTO usual SELECT a.suite, a.endpoint, a.role, count(*), sum(s.input_tokens),
            sum(s.output_tokens), sum(s.input_tokens), sum(coalesce(s.cost, 0))
        FROM (SELECT * FROM settlements WHERE status = 'ok' AND input_tokens IS NOT NULL
            AND output_tokens IS NOT NULL ORDER BY number DESC LIMIT 4000) s
        JOIN attempts a USING (number) GROUP BY 1, 2, 3""",
    *REBUILD_SUMS,
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
