"""Checks that read the answer as HTML: the tags as written, nothing repaired as a browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from evalrunner.checks.base import CheckContext, Grade
from evalrunner.checks.text import verdict
from evalrunner.values.result import Score
from evalrunner.values.spec import CheckSpec

ELEMENTS: Final = frozenset(
    """a abbr address area article aside audio b base bdi bdo blockquote body br button canvas caption
    center cite code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset
    figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input
    ins kbd label legend li link main map mark menu meta meter nav noscript object ol optgroup option
    output p param picture pre progress q rp rt ruby s samp script search section select slot small
    source span strong style sub summary sup svg table tbody td template textarea tfoot th thead time
    title tr track u ul var video wbr""".split()
)
VOID: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()
)
END_OPTIONAL: Final = frozenset(
    "html head body li dt dd p rt rp optgroup option colgroup caption thead tbody tfoot tr td th".split()
)
"""Elements whose end tag HTML lets authors leave out."""

_RAW_TEXT: Final = frozenset({"script", "style", "textarea", "title"})
_TAG: Final = re.compile(
    r"""<(/?)([A-Za-z][A-Za-z0-9-]*)((?:[^<>"']|"[^"]*+"|'[^']*+'){0,2000}+)>"""
)


def is_html(spec: CheckSpec) -> Grade:
    """The whole answer is HTML: known elements, closed where HTML wants it, and no text beside them."""
    del spec
    return _is_html


def _is_html(context: CheckContext) -> Score:
    complaint = _complaint(context.output)
    return verdict(complaint is None, f"is not HTML: {complaint}" if complaint else "is HTML")


def _complaint(text: str) -> str | None:
    open_elements: list[str] = []
    elements = 0
    for kind, content in _pieces(text):
        if kind == "text":
            if not open_elements and content.strip():
                return "text stands outside of every element"
        elif kind == "end":
            if not _close(open_elements, content):
                return "an end tag closes nothing"
        elif not _known(content, open_elements):
            return "an element is unknown"
        else:
            elements += 1
            if kind == "start" and content not in VOID:
                open_elements.append(content)
    if not elements:
        return "it has no element"
    return None if all(name in END_OPTIONAL for name in open_elements) else "an element stays open"


def _known(name: str, open_elements: list[str]) -> bool:
    """Custom elements have a hyphen; inside of ``svg`` other names hold."""
    return name in ELEMENTS or "-" in name or "svg" in open_elements[-50:]


def _close(open_elements: list[str], name: str) -> bool:
    """Closes an element, and those inside it whose end tags may be left out."""
    while open_elements:
        element = open_elements.pop()
        if element == name:
            return True
        if element not in END_OPTIONAL:
            return False
    return False


def contains_html(spec: CheckSpec) -> Grade:
    """Some HTML element stands in the answer, with its end tag where HTML wants one."""
    del spec
    return _contains_html


def _contains_html(context: CheckContext) -> Score:
    opened: set[str] = set()
    for kind, name in _pieces(context.output):
        if kind == "text":
            continue
        if name in VOID or (kind == "end" and name in opened):
            return verdict(True, "contains HTML")
        if kind == "start" and name in ELEMENTS:
            opened.add(name)
    return verdict(False, "contains no HTML")


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text cut at its tags: ``start``, ``empty`` and ``end`` with a name, ``text`` between them.

    Comments, the document type and what stands in scripts are left out.
    """
    lowered: str | None = None
    position = 0
    while (opening := text.find("<", position)) >= 0:
        yield "text", text[position:opening]
        if text.startswith("<!", opening):
            position = _after_declaration(text, opening)
            if position < 0:
                yield "text", text[opening:]
                return
            continue
        tag = _TAG.match(text, opening)
        if tag is None:
            yield "text", "<"
            position = opening + 1
            continue
        name, position = tag[2].lower(), tag.end()
        yield ("end" if tag[1] else "empty" if tag[3].endswith("/") else "start"), name
        if name in _RAW_TEXT and not tag[1]:
            lowered = lowered if lowered is not None else text.lower()
            position = lowered.find(f"</{name}", position)
            if position < 0:  # the rest of the text is inside
                return
    yield "text", text[position:]


def _after_declaration(text: str, opening: int) -> int:
    """Where a comment or a document type ends; -1 where it does not, or is neither."""
    if text.startswith("<!--", opening):
        closing = text.find("-->", opening + 4)
        return closing + 3 if closing >= 0 else -1
    if text[opening + 2 : opening + 9].lower() == "doctype":
        closing = text.find(">", opening)
        return closing + 1 if closing >= 0 else -1
    return -1
