from __future__ import annotations

from typing import Any

import pytest

from evalrunner.checks import sql
from evalrunner.checks.registry import problems
from tests.checks.making import grade, spec_of

POSTGRES = {"databaseType": "PostgreSQL"}
ONLY_USERS = {"allowedTables": ["users"], "allowedColumns": "id, name"}


@pytest.mark.parametrize(
    ("name", "value", "output", "passes"),
    [
        ("is-sql", None, "SELECT id FROM users WHERE name = 'a'", True),
        ("is-sql", None, "select 1; delete from users;", True),
        ("is-sql", None, "INSERT INTO users (id) VALUES (1)", True),
        ("is-sql", None, "CREATE TABLE t (id INT)", True),
        ("is-sql", None, "SELECT FROM WHERE", False),
        ("is-sql", None, "hello world", False),
        ("is-sql", None, "The answer is 42.", False),
        ("is-sql", None, "", False),
        ("is-sql", None, "```sql\nSELECT 1\n```", False),
        ("is-sql", POSTGRES, "SELECT a::int FROM t", True),
        ("is-sql", ONLY_USERS, "SELECT id, name FROM users", True),
        ("is-sql", ONLY_USERS, "SELECT id FROM Users", True),
        ("is-sql", ONLY_USERS, "SELECT id FROM orders", False),
        ("is-sql", ONLY_USERS, "SELECT password FROM users", False),
        ("is-sql", ONLY_USERS, "SELECT * FROM users", False),
        ("is-sql", ONLY_USERS, "SELECT id FROM users UNION SELECT id FROM orders", False),
        ("is-sql", ONLY_USERS, "WITH u AS (SELECT id FROM users) SELECT id FROM u", True),
        ("contains-sql", None, "Try:\n```sql\nSELECT 1\n```\nDone.", True),
        ("contains-sql", None, "Try this", False),
        ("contains-sql", None, "SELECT 1", True),
    ],
)
def test_sql(name: str, value: Any, output: str, passes: bool) -> None:
    assert grade(name, output, value).passed is passes
    assert grade(f"not-{name}", output, value).passed is not passes


def test_nesting_and_length_are_errors() -> None:
    with pytest.raises(ValueError, match="too deeply"):
        grade("is-sql", "SELECT " + "(" * 9_000 + "1" + ")" * 9_000)
    with pytest.raises(ValueError, match="up to"):
        grade("is-sql", "SELECT 1 " * 10_000)


@pytest.mark.parametrize(
    "value", ["MySQL", {"databaseType": "Excel"}, {"tables": ["a"]}, {"allowedTables": []}]
)
def test_settings_that_cannot_be_used(value: Any) -> None:
    assert problems(spec_of("is-sql", value))


def test_without_the_library_the_check_is_refused_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "find_spec", lambda name: None)
    assert "extra 'sql'" in problems(spec_of("contains-sql"))[0].message
