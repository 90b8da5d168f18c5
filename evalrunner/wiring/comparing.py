"""Two run documents, found, compared, said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalrunner.adapters.private_dir import write_atomically
from evalrunner.errors import UsageError
from evalrunner.reports.comparison import as_markdown, as_text
from evalrunner.reports.comparison_document import to_json
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.result import RunReport
from evalrunner.verdict.changes import RunChanges, compare_runs
from evalrunner.wiring.past_runs import load_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRuns:
    """Two runs and what changed between them."""

    base: RunReport
    head: RunReport
    changes: RunChanges

    def exit_code(self, max_regressions: int | None = None) -> ExitCode:
        """1 where the head is significantly worse, or has more firm regressions than allowed."""
        allowed = max_regressions is None or self.changes.firm_regressions <= max_regressions
        return ExitCode.OK if allowed and not self.changes.worse else ExitCode.QUALITY

    def text(self, *, verbose: bool = False) -> str:
        """For a terminal."""
        return as_text(self.changes, self.base, self.head, verbose=verbose)

    def json(self) -> str:
        """For programs."""
        return to_json(self.changes, self.base, self.head)

    def markdown(self) -> str:
        """For a comment or a job summary."""
        return as_markdown(self.changes, self.base, self.head)

    def write(self, path: Path) -> None:
        """As JSON or Markdown, by the ending.

        Raises:
            UsageError: The ending is neither, or the place cannot be written.
        """
        forms = {".json": self.json, ".md": self.markdown}
        form = forms.get(path.suffix)
        if form is None:
            hint = "end the path in .json or .md"
            raise UsageError(f"{str(path)!r} ends in no format of a comparison", hint=hint)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, form())
        except OSError as error:
            message = f"{str(path)!r} cannot be written: {error.strerror or error}"
            raise UsageError(message) from None


def compare_documents(
    base: str,
    head: str,
    *,
    history: Sequence[str] = (),
    alpha: float,
    config: Path | None = None,
    state_dir: Path | None = None,
) -> ComparedRuns:
    """The comparison of two runs, each a path, a run id or ``last``.

    Raises:
        RunDocumentError: One cannot be found or read.
    """

    def load(name: str) -> RunReport:
        return load_runs([name], config=config, state_dir=state_dir)

    runs = load(base), load(head)
    past = [load(name) for name in history]
    return ComparedRuns(
        base=runs[0], head=runs[1], changes=compare_runs(*runs, history=past, alpha=alpha)
    )
