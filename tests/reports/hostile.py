"""Text that tries to be more than text, for every sink."""

from __future__ import annotations

from typing import Final

MARK: Final = "zqx"
"""Stands in every payload, so that a test can find what is left of it."""

TERMINAL: Final = [
    f"\x1b[2J{MARK}",
    f"\x1b]0;{MARK}\x07",
    f"\x1b]52;c;{MARK}\x07",
    f"\x9b31m{MARK}",
    f"\x1b[?1049h{MARK}",
    f"{MARK}\r\x1b[K",
    f"{MARK}\x08\x08\x08",
    f"\x1bP{MARK}\x1b\\",
    f"\x07{MARK}\x0e\x0f\x7f",
    f"\x90{MARK}\x9c\x9d",
    f"\u202e{MARK}\u2066\u200f",
    f"\u2028{MARK}\u2029\x85\x0b\x0c",
    f"[/foo] [red]{MARK}[/red] :smile:",
    f"\ud800{MARK}\udfff",
    f"\ufeff{MARK}\u200b\U000e0041",
    f"\x00{MARK}",
]
COMMANDS: Final = [
    f"::error file=a,line=1::{MARK}",
    f"  ::add-mask::{MARK}",
    f"\t::set-output name=a::{MARK}",
    f"x\n::stop-commands::{MARK}",
    f"x\r\n::warning::{MARK}",
    f"x\u2028::error::{MARK}",
    f"\u00a0::error::{MARK}",
    f"\ufeff::error::{MARK}",
    f"##[error]{MARK}",
    f"words ##[set-env name=PATH]{MARK}",
    f":::{MARK}",
    f"::::error::{MARK}",
    f"{'long ' * 14}::error::{MARK}",
    f"{'x' * 64}::error::{MARK}",
]
MARKDOWN: Final = [
    f"@octocat {MARK} #123 deadbeef",
    f"```\n# {MARK}\n![x](http://evil.example/{MARK})",
    f"````````\n<details>{MARK}",
    f"x\n```\n# {MARK}\n![x](http://evil.example/{MARK})",
    f"x\n   ``````\n<details>{MARK}",
    f"~~~\n{MARK}",
    f"</details></td></table>{MARK}",
    f"<!-- {MARK}",
    f"<img src=x onerror=alert('{MARK}')>",
    f"[{MARK}](javascript:alert(1))",
    f"| {MARK} | x |",
    f"`{MARK}``",
    f"### passed {MARK}\n\n- [x] {MARK}",
    f"\n\n    {MARK}\n\n---\n",
    f"http://evil.example/{MARK}",
    f"\\`{MARK}\\`",
    f"&lt;b&gt;{MARK}&#64;",
    f"$`x`$ $${MARK}$$",
]
MARKUP: Final = [
    f"<script>alert('{MARK}')</script>",
    f"</script><script>{MARK}",
    f'"><svg onload={MARK}>',
    f"' onmouseover='{MARK}",
    f"]]>{MARK}<![CDATA[",
    f"<!--{MARK}--><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    f"</style></title><iframe srcdoc={MARK}>",
    f"javascript:{MARK}",
    f"{{{{7*7}}}}{MARK}{{% include 'x' %}}",
    f"\ufffe{MARK}\uffff\x0b",
]
ALL: Final = [*TERMINAL, *COMMANDS, *MARKDOWN, *MARKUP]
