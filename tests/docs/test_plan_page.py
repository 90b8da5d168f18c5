"""The screen that the page on plans shows is what the program says about the page's project."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalrunner.cli.app import entry
from tests.docs.pages import ROOT, examples, write_project

PAGE = ROOT / "docs" / "plan.md"


def test_the_screen_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(PAGE, tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = next(e.text for e in examples(PAGE) if e.language == "text")
    assert entry(["plan", "--max-usd", "0.01"]) == 3
    assert capsys.readouterr().out == shown
    assert not (tmp_path / ".evalrunner").exists()
