"""Environment files: what shells and containers write, and nothing expanded."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalrunner.adapters.env_file import read_env_file
from evalrunner.errors import LoadError, UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("# a comment\n\n  A = 1  ", {"A": "1"}),
        ("A='x # y'", {"A": "x # y"}),
        ('A="x # y" # z', {"A": "x # y"}),
        ("A=x # y", {"A": "x"}),
        ("A=x#y", {"A": "x#y"}),
        ("A=$HOME ${B}", {"A": "$HOME ${B}"}),
        ("A=", {"A": ""}),
        ("A=a=b", {"A": "a=b"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_env_file(path) == expected


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nnonsense\nB=2\n1C=3\n")
    with pytest.raises(LoadError) as caught:
        read_env_file(path)
    assert [problem.line for problem in caught.value.problems] == [2, 4]
    assert "nonsense" not in str(caught.value), "a line may hold half a secret"


@pytest.mark.parametrize("value", ['"sk-1', "'sk-1", "'a'b", '"two\nlines"'])
def test_a_quote_that_is_not_closed_is_no_part_of_a_key(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"A=1\nKEY={value}\n")
    with pytest.raises(LoadError, match=r"\.env:2: a quote is not closed"):
        read_env_file(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"A=" + b"x" * 300_000])
def test_what_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / ".env"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError):
        read_env_file(path)
