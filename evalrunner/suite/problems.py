"""Problems of several files, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterable

from evalrunner.errors import Problem


def sorted_problems(problems: Iterable[Problem]) -> list[Problem]:
    """The problems by file and line, each sentence once per line."""
    seen: dict[str, Problem] = {}
    for problem in problems:
        seen.setdefault(str(problem), problem)
    return sorted(seen.values(), key=lambda found: (found.file, found.line, found.column))
