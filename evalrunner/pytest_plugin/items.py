"""Suite files as pytest sees them: a collector, and an item for each case."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evalrunner.pytest_plugin.service import ServiceError
from evalrunner.pytest_plugin.session import evals_of

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr


class CaseFailed(Exception):
    """The case did not pass; the message is for people."""


class SuiteFile(pytest.File):
    """A suite: one item for each of its cases."""

    def collect(self) -> Iterable[CaseItem]:
        """The cases, in the order of the golden rows."""
        try:
            found = evals_of(self.config).service.call("collect", path=str(self.path))
        except ServiceError as error:
            raise self.CollectError(evals_of(self.config).explained(error)) from None
        for row in found["cases"]:
            yield CaseItem.from_parent(self, name=row["id"], root=found["root"], row=row)


class CaseItem(pytest.Item):
    """One case. Its name is the case's id, which edits to other rows, prompts and models leave alone."""

    def __init__(self, *, root: str, row: dict[str, Any], **further: Any) -> None:
        super().__init__(**further)
        self.root = root
        self.case_id: str = row["id"]
        self._file: str | None = row["file"]
        self._line: int = row["line"]
        self.add_marker(pytest.mark.evalcase(suite=row["suite"], **_words(row["tags"])))
        self.extra_keyword_matches.update(row["tags"], row["tags"].values())
        if row["description"]:
            self.extra_keyword_matches.add(row["description"])

    def runtest(self) -> None:
        """Waits for the case's end, which may have come long ago."""
        evals = evals_of(self.config)
        result = evals.service.call("result", root=self.root, case=self.case_id)
        self.user_properties.append(("evalrunner.outcome", result["outcome"]))
        self.user_properties.append(("evalrunner.cost", result["cost"]))
        if result["outcome"] == "passed":
            return
        if result["reason"] == "frozen_miss" and evals.skips_misses:
            pytest.skip("frozen, and the cache has no answer")
        raise CaseFailed(result["text"])

    def repr_failure(
        self, excinfo: ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """The case for people, instead of a traceback through pytest and evalrunner."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        if isinstance(excinfo.value, ServiceError):
            return evals_of(self.config).explained(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The golden row, where an editor should go."""
        return Path(self._file or self.path), max(self._line - 1, 0), self.name


def _words(tags: dict[str, str]) -> dict[str, str]:
    """The tags that can be the names of a marker's arguments, for ``-m "evalcase(lang='de')"``."""
    return {name: value for name, value in tags.items() if name.isidentifier() and name != "suite"}
