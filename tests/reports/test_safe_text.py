from __future__ import annotations

import csv
import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.reports.safe_text import (
    for_csv_cell,
    for_html,
    for_log,
    for_markdown_code,
    for_markdown_fence,
    for_terminal,
    for_xml,
    one_line,
    visible,
)
from evalrunner.values.exchange import ModelText
from tests.reports import hostile

any_text = st.text(st.characters())
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def commands(page: str) -> list[str]:
    """What a CI runner would obey: the grammar of both generations of workflow commands."""
    lines = re.split(r"\r\n|\r|\n", page)
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


@given(any_text)
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    assert {unicodedata.category(char) for char in shown if char not in "\n\t"}.isdisjoint(
        FORBIDDEN
    )
    shown.encode()
    assert visible(ModelText(text)) == shown


@given(any_text.filter(lambda text: text.isascii() and text.isprintable()))
def test_plain_text_is_not_touched(text: str) -> None:
    assert visible(text) == text


def test_other_scripts_are_not_touched() -> None:
    for text in ("héllo", "日本語テキスト", "مرحبا", "emoji 🎉 ❤️", "e\u0301"):
        assert visible(text) == text


@given(any_text, st.integers(1, 40))
def test_length_is_capped(text: str, limit: int) -> None:
    assert "\n" not in one_line(text, limit)
    assert len(visible(text * 9, limit)) <= limit + 1
    assert visible("a" * 1000, limit) == "a" * limit + "…"


@pytest.mark.parametrize("payload", hostile.TERMINAL)
def test_a_terminal_sees_text_only(payload: str) -> None:
    shown = for_terminal(payload)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert hostile.MARK in shown


@pytest.mark.parametrize("payload", hostile.COMMANDS)
def test_a_runner_finds_no_command(payload: str) -> None:
    assert hostile.MARK in for_log(payload)
    assert commands(for_log(payload)) == []


def test_the_runner_grammar_of_this_test_finds_commands() -> None:
    assert len(commands("::error::x\n  ::warning::y\na ##[group]z")) == 3


@given(any_text, any_text)
def test_no_text_is_a_command(before: str, after: str) -> None:
    assert commands(for_log(f"{before}\n ::{after}##[{before}")) == []


@given(
    st.lists(st.sampled_from(["`", "```", "\n```", "````\n", "~~~", "a", "\n", " "])).map("".join)
)
def test_no_text_ends_its_fence(text: str) -> None:
    first, *inside, last = for_markdown_fence(text).split("\n")
    assert first == f"{last}text"
    assert not any(line.strip().startswith(last) for line in inside)


@given(st.text(st.sampled_from("`ab |\n")))
def test_no_text_ends_its_code_span(text: str) -> None:
    shown = for_markdown_code(text)
    if shown:
        ticks = re.match("`+", shown)
        assert ticks is not None
        runs = re.findall("`+", shown)
        assert runs[0] == runs[-1] == ticks[0]
        assert ticks[0] not in runs[1:-1]
    assert "\n" not in shown
    assert re.search(r"(?<!\\)\|", shown) is None


@given(any_text)
def test_html_and_xml_hold_no_markup(text: str) -> None:
    assert not set("<>\"'") & set(for_html(text))
    assert all(char in "\n\t" or char >= " " for char in for_xml(text))


FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def test_no_cell_is_a_formula() -> None:
    firsts = [chr(code) for code in range(0x250)] + list(FORMULA_STARTS)
    texts = [f"{lead}{first}cmd|' /C calc'!A0" for first in firsts for lead in ("", " ", "\n")]
    page = io.StringIO()
    csv.writer(page).writerows([for_csv_cell(text)] for text in texts)
    cells = [row[0] for row in csv.reader(io.StringIO(page.getvalue(), newline=""))]
    assert len(cells) == len(texts)
    assert [cell for cell in cells if cell.lstrip().startswith(FORMULA_STARTS)] == []
    assert [cell for cell in cells if cell.startswith(("\t", "\r"))] == []


@pytest.mark.parametrize("number", ["0", "-1.5", "+3", "0.000125"])
def test_numbers_stay_numbers(number: str) -> None:
    assert for_csv_cell(number) == number
