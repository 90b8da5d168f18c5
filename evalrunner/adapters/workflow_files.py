"""The files through which a step speaks to its runner: outputs and the job's summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from evalrunner.errors import UsageError

_SUMMARY_LIMIT: Final = 1_000_000


def append_outputs(path: str, outputs: Mapping[str, str]) -> None:
    """Declares the step's outputs: one line each, exactly these keys.

    Raises:
        UsageError: A value has more than one line, and so could declare another output; nothing is
            written then. Or the file cannot be written.
    """
    for name, value in outputs.items():
        if any(character in value for character in "\r\n\0"):
            raise UsageError(f"the output {name} has more than one line")
    _append(path, "".join(f"{name}={value}\n" for name, value in outputs.items()))


def append_summary(path: str, page: str) -> None:
    """Adds a page of Markdown to the job's summary, cut to what a runner takes."""
    data = page.encode()[:_SUMMARY_LIMIT]
    _append(path, data.decode(errors="ignore") + "\n")


def _append(path: str, text: str) -> None:
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"the runner's file cannot be written: {error.strerror}") from None
