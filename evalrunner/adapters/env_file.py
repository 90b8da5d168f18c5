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
        LoadError: Every line that is no assignment.
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
        if match is None:
            problems.append(Problem("this is no KEY=VALUE", file=str(path), line=number))
        else:
            found[match[1]] = _value(match[2])
    if problems:
        raise LoadError(problems)
    return found


def _value(text: str) -> str:
    """A value without its quotes or its comment.

    Example:
        >>> _value("'a # b'  # c"), _value("a # b"), _value("a#b"), _value('""')
        ('a # b', 'a', 'a#b', '')
    """
    quoted = re.match(r"""(['"])(.*?)\1\s*(#.*)?$""", text)
    if quoted:
        return quoted[2]
    return re.split(r"\s+#", text, maxsplit=1)[0].strip()
