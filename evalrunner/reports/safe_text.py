r"""One sanitizer for each sink; text that a model or a stranger wrote enters a report only here.

Every function takes any text at all (control characters, bidirectional overrides, lone surrogates,
megabytes) and never raises. What a sink could obey is made visible as an escape such as ``\x1b``.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from evalrunner.values.exchange import ModelText

Text: TypeAlias = "str | ModelText"

ELLIPSIS: Final = "…"

# C0 but tab and newline, DEL and C1, soft hyphen, joiners of meaning and direction, separators,
# surrogates, private and tag characters, byte order marks and non-characters.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0e\ufeff"
    "\uffa0\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_COMMAND: Final = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_LEGACY_COMMAND: Final = "##["
_BACKTICKS: Final = re.compile("`+")
_FORMULA_STARTS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?\Z")


def raw(text: Text) -> str:
    """The text itself, for a serializer that escapes everything; never to be shown."""
    return text.raw if isinstance(text, ModelText) else text


def visible(text: Text, limit: int | None = None) -> str:
    r"""The text with everything escaped that is not a plain character, a tab or a newline.

    Longer text than *limit* characters is cut and ends in ``…``. The result holds no lone surrogate,
    so that it can always be encoded.

    Example:
        >>> visible("\x1b[2Jgone\u202e")
        '\\x1b[2Jgone\\u202e'
    """
    value = raw(text)
    if limit is None:
        return _UNSAFE.sub(_escape, value.replace("\r\n", "\n"))
    head = _UNSAFE.sub(_escape, value[: limit + 1].replace("\r\n", "\n"))
    return head if len(head) <= limit and len(value) <= limit else head[:limit] + ELLIPSIS


def one_line(text: Text, limit: int) -> str:
    """The visible text on one line, runs of blanks as one."""
    head = raw(text)[: 4 * limit + 64]
    return visible(" ".join(head.split()), limit)


def for_terminal(text: Text, limit: int = 2000) -> str:
    """For a terminal: nothing in it moves the cursor, sets a title or reorders the line."""
    return visible(text, limit).expandtabs(4)


def for_log(text: Text) -> str:
    """For the log of a CI runner: no line of it is a workflow command.

    It also serves for whole rendered pages, whose own lines are never commands.

    Example:
        >>> for_log("  ::error::x ##[set-output]")
        '  : :error::x ## [set-output]'
    """
    return neutral(visible(text))


def neutral(page: str) -> str:
    """The page with ``::`` at the start of a line and ``##[`` anywhere taken apart."""
    return _COMMAND.sub(r"\1: ", page.replace(_LEGACY_COMMAND, "## ["))


def for_markdown_fence(text: Text, limit: int = 2000) -> str:
    """A fenced block of Markdown, with a fence longer than any run of backticks inside.

    Within it nobody is mentioned, nothing is linked and no HTML begins; no text can end it.
    """
    shown = visible(text, limit)
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def for_markdown_code(text: Text, limit: int = 200) -> str:
    r"""A code span of Markdown on one line, good within a table too.

    Example:
        >>> for_markdown_code("a | `b` @you")
        '``a \\| `b` @you``'
    """
    shown = one_line(text, limit).replace("|", r"\|")
    if not shown:
        return ""
    ticks = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def for_html(text: Text, limit: int | None = None) -> str:
    """For HTML content and quoted attributes."""
    from html import escape  # only here: it brings a list of all entities

    return escape(visible(text, limit), quote=True)


def for_xml(text: Text, limit: int | None = None) -> str:
    """Characters that XML 1.0 allows; the XML writer escapes the markup."""
    return visible(text, limit)


def for_csv_cell(text: Text, limit: int = 32_000) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers.

    Example:
        >>> [for_csv_cell(cell) for cell in ("=1+1", "-1.5", " @x", "plain")]
        ["'=1+1", '-1.5', "' @x", 'plain']
    """
    shown = visible(text, limit)
    if _NUMBER.match(shown):
        return shown
    starts = shown.startswith(_FORMULA_STARTS) or shown.lstrip().startswith(_FORMULA_STARTS)
    return f"'{shown}" if starts else shown


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
