from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from tests.checks.making import grade

NOTE = "<note><to>Ann</to><body>Hi <b>you</b></body></note>"


@pytest.mark.parametrize(
    ("name", "value", "output", "passes"),
    [
        ("is-xml", None, NOTE, True),
        ("is-xml", None, f'\n<?xml version="1.0" encoding="utf-16"?>\n{NOTE}', True),
        ("is-xml", None, "<a/>", True),
        ("is-xml", None, "<a>", False),
        ("is-xml", None, "<a></b>", False),
        ("is-xml", None, "<a/><b/>", False),
        ("is-xml", None, f"Here: {NOTE}", False),
        ("is-xml", None, "", False),
        ("is-xml", None, "<a>&undefined;</a>", False),
        ("is-xml", "note.to, note.body", NOTE, True),
        ("is-xml", ["note.to", "note.from"], NOTE, False),
        ("is-xml", {"requiredElements": ["note.body.b"]}, NOTE, True),
        ("is-xml", "to", NOTE, False),
        ("contains-xml", None, f"Here:\n```xml\n{NOTE}\n```", True),
        ("contains-xml", None, "a < b and <c> d", False),
        ("contains-xml", None, "<broken <a>x</a>", True),
        ("contains-xml", "note.to", f"<x/> then {NOTE}", True),
        ("contains-xml", "note.from", f"<x/> then {NOTE}", False),
        ("is-html", None, "<!DOCTYPE html><html><body><p>One<p>Two<br></body></html>", True),
        ("is-html", None, '<div class="a>b"><img src=x alt="<">text</div>', True),
        ("is-html", None, "<ul><li>a<li>b</ul>", True),
        ("is-html", None, "<my-element></my-element>", True),
        ("is-html", None, "<script>if (a < b) { '</p>' }</script>", True),
        ("is-html", None, "<!-- note --><p>x</p>", True),
        ("is-html", None, "<p>Hello</p> and more", False),
        ("is-html", None, "```html\n<p>x</p>\n```", False),
        ("is-html", None, "<div>", False),
        ("is-html", None, "<div></span></div>", False),
        ("is-html", None, "<note></note>", False),
        ("is-html", None, "plain text", False),
        ("is-html", None, "", False),
        ("is-html", None, "a < b", False),
        ("contains-html", None, "Use <b>bold</b> here", True),
        ("contains-html", None, "line<br>break", True),
        ("contains-html", None, "use <p> without end", False),
        ("contains-html", None, "a < b > c", False),
        ("contains-html", None, "List<String> x", False),
    ],
)
def test_markup(name: str, value: Any, output: str, passes: bool) -> None:
    assert grade(name, output, value).passed is passes
    assert grade(f"not-{name}", output, value).passed is not passes


@pytest.mark.parametrize("name", ["is-xml", "not-is-xml"])
def test_a_document_type_is_an_error_and_expands_nothing(name: str) -> None:
    entities = "".join(
        f'<!ENTITY x{n} "{f"&x{n - 1};" * 10 if n else "x" * 100}">' for n in range(12)
    )
    with pytest.raises(ValueError, match="document type"):
        grade(name, f"<!DOCTYPE a [{entities}]><a>&x11;</a>")
    assert not grade("contains-xml", f"<!DOCTYPE a [{entities}]><a>&x11;</a>").passed


@pytest.mark.parametrize("name", ["is-html", "contains-html", "is-xml", "contains-xml"])
@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        "<a ",
        '<a "',
        "<a '\"",
        "<!--",
        "<!",
        "</",
        "<a>",
        "<a b=c>",
        "<script>",
        "<?",
        "&",
    ],
)
def test_hostile_markup_ends_in_time(name: str, piece: str) -> None:
    began = perf_counter()
    try:
        grade(name, piece * (300_000 // len(piece)))
    except ValueError as error:
        assert "too many" in str(error) or "document type" in str(error)
    assert perf_counter() - began < 8
