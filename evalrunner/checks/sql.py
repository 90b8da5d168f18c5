"""Checks that read the answer as SQL, with sqlglot (the extra ``sql``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Final, Protocol, cast

from evalrunner.checks.base import Grade
from evalrunner.checks.kinds import Complaint
from evalrunner.checks.text import as_list, verdict
from evalrunner.values.exchange import Json, ModelText
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

DIALECTS: Final[Mapping[str, str]] = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgresql": "postgres",
    "postgres": "postgres",
    "sqlite": "sqlite",
    "bigquery": "bigquery",
    "snowflake": "snowflake",
    "redshift": "redshift",
    "hive": "hive",
    "trino": "trino",
    "athena": "athena",
    "db2": "",
    "transactsql": "tsql",
    "tsql": "tsql",
    "duckdb": "duckdb",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "oracle": "oracle",
    "spark": "spark",
}
"""What ``databaseType`` may say, in lower case, and sqlglot's name for it."""

MAX_SQL: Final = 20_000
"""Characters of SQL that are read; sqlglot is written in Python and slow."""

_FENCE: Final = re.compile(r"```[A-Za-z]*\s*\n?([^`]*)```")
_SETTINGS: Final = frozenset({"databaseType", "allowedTables", "allowedColumns"})


class Statement(Protocol):
    """A node of sqlglot's tree, as far as it is read here."""

    name: str
    alias: str

    def find_all(self, *kinds: object) -> Iterator[Statement]:
        """All nodes below it of those kinds."""
        ...


def sql_review(spec: CheckSpec) -> Sequence[Complaint]:
    """Whether what these checks need is installed."""
    del spec
    if find_spec("sqlglot") is None:
        return ["needs sqlglot; install evalrunner with the extra 'sql'"]
    return []


def is_sql(spec: CheckSpec) -> Grade:
    """The whole answer is SQL statements of the ``databaseType`` (default MySQL).

    ``allowedTables`` and ``allowedColumns`` limit what they may name. A statement is one that sqlglot
    understands to its end: bare expressions, which prose often parses as, are none.
    """
    del spec
    return lambda context: _best([context.output], context.value, "is SQL", "is not SQL")


def contains_sql(spec: CheckSpec) -> Grade:
    """The answer, or a fenced block in it, is SQL statements."""
    del spec
    return lambda context: _best(
        _candidates(context.output), context.value, "contains SQL", "contains no SQL"
    )


def _candidates(output: str) -> Iterator[str]:
    yield from (match[1] for match in _FENCE.finditer(output))
    yield output


def _best(candidates: Sequence[str] | Iterator[str], value: Json, good: str, bad: str) -> Score:
    last = verdict(False, bad)
    for text in candidates:
        statements = _statements(text, value)
        if not statements:
            continue
        forbidden = next(_forbidden(statements, value), None)
        if forbidden is None:
            return verdict(True, good)
        last = Score(value=0.0, passed=False, reason=ModelText(f"{good}, but {forbidden}"))
    return last


def _statements(text: str, value: Json) -> list[Statement]:
    """The statements that a text is; none where it is anything else.

    Raises:
        ValueError: The text is too long, or nested too deeply, to be read.
    """
    import sqlglot  # 150 ms that only these checks pay
    from sqlglot import errors, exp

    if len(text) > MAX_SQL:
        raise ValueError(f"SQL is read up to {MAX_SQL:,} characters")
    changes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)
    kinds = (exp.Query, *changes, exp.Create, exp.Drop, exp.Alter)
    try:
        parsed = sqlglot.parse(text, dialect=_dialect(value))
    except RecursionError:
        raise ValueError("the answer's SQL is nested too deeply to be read") from None
    except errors.SqlglotError:
        return []
    found = [statement for statement in parsed if statement is not None]
    understood = all(isinstance(statement, kinds) for statement in found)
    return cast("list[Statement]", found) if understood else []


def _dialect(value: Json) -> str:
    kind = value.get("databaseType", "MySQL") if isinstance(value, Mapping) else "MySQL"
    dialect = DIALECTS.get(str(kind).lower())
    if dialect is None:
        raise ValueError(f"knows no databaseType {kind!r}")
    return dialect


def _forbidden(statements: Sequence[Statement], value: Json) -> Iterator[str]:
    """The tables and columns that a statement names and the settings do not allow."""
    from sqlglot import exp

    tables, columns = _allowed(value, "allowedTables"), _allowed(value, "allowedColumns")
    for statement in statements:
        own = {cte.alias.lower() for cte in statement.find_all(exp.CTE)}
        for table in statement.find_all(exp.Table):
            if tables is not None and table.name.lower() not in tables | own:
                yield f"it names the table {table.name!r}"
        for column in statement.find_all(exp.Column, exp.Star):
            if columns is not None and column.name.lower() not in columns:
                yield f"it names the column {column.name!r}"


def _allowed(value: Json, setting: str) -> set[str] | None:
    if not isinstance(value, Mapping) or setting not in value:
        return None
    return {name.lower() for name in as_list(value[setting])}


def sql_shape(value: Json) -> Complaint | None:
    """The shape of the settings of an SQL check."""
    if not isinstance(value, Mapping):
        return f"takes an object with databaseType, not {value!r}"
    if unknown := set(value) - _SETTINGS:
        return f"takes {', '.join(sorted(_SETTINGS))}, not {sorted(map(str, unknown))!r}"
    try:
        _dialect(value)
        _allowed(value, "allowedTables")
        _allowed(value, "allowedColumns")
    except ValueError as error:
        return str(error)
    return None
