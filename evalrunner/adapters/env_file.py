"""Environment variables from a file: ``KEY=VALUE`` a line, as shells and containers write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from evalrunner.errors import LoadError, Problem, UsageError

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_MOST_BYTES: Final = 256 * 1024


def read_env_file(path: Path) -> dict[str, str]:
    """The variables in the order of the file; nothing is expanded, so that a key stays what it is.

    Blank lines and lines that begin with ``#`` are passed over. A value may stand in single or double
    quotes, in which a ``#`` means nothing.

    Raises:
        UsageError: The file cannot be read.
        LoadError: Every line that is no assignment, or has a quote that does not end with the value.
    """
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{str(path)!r} is too large for an environment file")
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the environment file {str(path)!r} cannot be read: {error}") from None
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        value = _value(match[2]) if match else None
        if match and value is not None:
            found[match[1]] = value
        else:
            said = "a quote is not closed on this line" if match else "this is no KEY=VALUE"
            problems.append(Problem(said, file=str(path), line=number))
    if problems:
        raise LoadError(problems)
    return found


def _value(text: str) -> str | None:
    """A value without its quotes or its comment; ``None`` where it opens a quote and goes on otherwise.

    Example:
        >>> _value("'a # b'  # c"), _value("a # b"), _value("a#b"), _value('""')
        ('a # b', 'a', 'a#b', '')
    """
    quoted = re.match(r"""(['"])(.*?)\1\s*(#.*)?$""", text)
    if quoted:
        return quoted[2]
    if text.startswith(("'", '"')):
        return None
    return re.split(r"\s+#", text, maxsplit=1)[0].strip()
