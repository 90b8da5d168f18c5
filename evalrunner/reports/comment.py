"""The one comment of a pull request: what a reviewer reads in ten seconds, never above 60 KB."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from evalrunner.reports.comparison import as_markdown
from evalrunner.reports.markdown import MARKER, MAX_BYTES, render
from evalrunner.reports.safe_text import for_markdown_code
from evalrunner.values.dataclass import dataclass
from evalrunner.values.result import RunReport
from evalrunner.verdict.changes import RunChanges

_CUT: Final = "\n\n…cut; the whole report is in the run's artifact.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What a run is compared with."""

    base: RunReport
    changes: RunChanges


def comment(
    report: RunReport, against: Against | None = None, *, link: str = "", notice: str = ""
) -> str:
    """The comment's text; its first line is the marker by which it is found again.

    No text of a model stands in it: prompts, answers and reasons are in the artifact.

    Args:
        report: The run.
        against: The base's run and what changed.
        link: Where the run's page is, an address that the runner made.
        notice: A line that comes before everything, such as how many cases were not run.
    """
    page = render(report, contents=False)
    head, _, rest = page.partition("\n\n")
    parts = [head]
    if notice:
        parts.append(f"> {for_markdown_code(notice, 300)}")
    if against is not None:
        parts.append(as_markdown(against.changes, against.base, report, contents=False).rstrip())
        parts.append(_ratio_change(report, against.base))
    parts.append(rest.rstrip())
    if link:
        parts.append(f"[The run and its report]({link})")
    return _cut("\n\n".join(filter(None, parts)) + "\n")


def _ratio_change(report: RunReport, base: RunReport) -> str:
    before, after = base.cost_ratio.ratio_total, report.cost_ratio.ratio_total
    if before is None or after is None:
        return ""
    try:
        points = 100 * (Decimal(after) - Decimal(before))
    except InvalidOperation:
        return ""
    return f"- Evals' part of model spend against the base: {points:+.2f} points"


def _cut(page: str) -> str:
    data = page.encode()
    if len(data) <= MAX_BYTES:
        return page
    whole = data[: MAX_BYTES - len(_CUT.encode())].decode(errors="ignore")
    return whole.rpartition("\n")[0] + _CUT


__all__ = ["MARKER", "Against", "comment"]
