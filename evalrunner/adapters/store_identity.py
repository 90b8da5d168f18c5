"""The name that a disk store was given when it was made, or last cleared or pruned."""

from __future__ import annotations

import os
import sqlite3

_KEY = "evalrunner_identity"


def identity_of(connection: sqlite3.Connection) -> str:
    """The store's name; ``""`` where it has none that can be one."""
    row = connection.execute("SELECT value FROM Settings WHERE key = ?", (_KEY,)).fetchone()
    name = row[0] if row else None
    if isinstance(name, bytes):  # as a connection gives it that decodes no text
        name = name.decode("ascii", "replace")
    if isinstance(name, str) and len(name) == 32 and not name.strip("0123456789abcdef"):
        return name
    return ""


def identity_of_file(path: str) -> str:
    """The name of the store in that file, read without changing it; ``""`` where there is none."""
    if not os.path.isfile(path) or os.path.islink(path):
        return ""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return identity_of(connection)
    except sqlite3.Error:
        return ""
    finally:
        connection.close()


def renew_identity(connection: sqlite3.Connection) -> None:
    """Gives the store another name: what was remembered about it holds no longer."""
    statement = "INSERT OR REPLACE INTO Settings(key, value) VALUES (?, ?)"
    connection.execute(statement, (_KEY, os.urandom(16).hex()))
