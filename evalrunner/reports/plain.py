"""The result of an unchanged run in a few lines, from numbers alone; it imports nothing."""

from __future__ import annotations


def render_unchanged(
    *,
    cases: int,
    passed: int,
    failed: int,
    other: int,
    hits: int,
    saved: str,
    cache: str,
    answered_from: str,
    failures: tuple[str, ...],
    exit_code: int,
) -> str:
    """What a run says that nothing has changed for: verdict, cache, reasons. It ends in a newline.

    All texts must be safe to show; this module cannot import the sanitizers.

    Args:
        cases: All cases.
        passed: Those that passed.
        failed: Those that failed.
        other: Those without a verdict.
        hits: Requests that the earlier run's answers cover.
        saved: What the cache saved, as an amount to show.
        cache: The cache's mode and signing.
        answered_from: The id of the run that was answered from.
        failures: The reasons for the exit code, the ruling one first.
        exit_code: How the command ends.

    Example:
        >>> print(
        ...     render_unchanged(
        ...         cases=20,
        ...         passed=20,
        ...         failed=0,
        ...         other=0,
        ...         hits=40,
        ...         saved="$0.01",
        ...         cache="read-write, unsigned",
        ...         answered_from="r1",
        ...         failures=(),
        ...         exit_code=0,
        ...     ),
        ...     end="",
        ... )
        passed  20 of 20 cases passed, nothing changed since run r1
        cost    paid $0, saved by the cache $0.01
        cache   40 hits, 0 misses (100 %), read-write, unsigned
    """
    word = "failed" if exit_code else "passed"
    counts = f"{passed:,} of {cases:,} cases passed"
    if failed:
        counts += f", {failed:,} failed"
    if other:
        counts += f", {other:,} without a verdict"
    share = " (100 %)" if hits else ""
    lines = [
        f"{word}  {counts}, nothing changed since run {answered_from}",
        f"cost    paid $0, saved by the cache {saved}",
        f"cache   {hits:,} hits, 0 misses{share}, {cache}",
    ]
    if exit_code:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        lines.append(f"exit {exit_code}  {failures[0] if failures else ''}{more}")
    return "\n".join(lines) + "\n"
