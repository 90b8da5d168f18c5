"""A suite that was read, wherever it was read from."""

from __future__ import annotations

from evalrunner.suite.goldens import GoldenSource
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import FileRead, Project
from evalrunner.values.spec import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSuite:
    """A suite, where its rows come from, and every file that it was made of.

    Attributes:
        suite: What is to be tested.
        files: The suite file, what it names, and its golden files: by digest, without the data.
        goldens: The rows.
        project: The project that it was loaded for.
    """

    suite: Suite
    files: tuple[FileRead, ...]
    goldens: GoldenSource
    project: Project
