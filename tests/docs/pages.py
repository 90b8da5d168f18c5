"""The pages of the documentation, and the examples in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
)

_FENCE: Final = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK: Final = re.compile(r"\]\((?!https?://)(?P<target>[^)#]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One fenced block. ``title`` is the file that it shows, ``None`` where it is no file."""

    page: str
    line: int
    language: str
    title: str | None
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def examples(page: Path) -> Iterator[Example]:
    """The blocks of one page, in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Example(
            page=page.name,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            title=found["title"],
            text=found["text"],
        )


def all_examples(*languages: str) -> list[Example]:
    """The blocks of all pages in these languages."""
    return [e for page in PAGES for e in examples(page) if not languages or e.language in languages]


def links(page: Path) -> list[str]:
    """The files that a page links to."""
    return [found["target"] for found in _LINK.finditer(page.read_text(encoding="utf-8"))]


def write_project(page: Path, folder: Path) -> list[str]:
    """Writes the files that a page shows, and returns their names: one page is one project."""
    names = []
    for example in examples(page):
        if example.title is not None:
            path = folder / example.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, encoding="utf-8")
            names.append(example.title)
    return names
