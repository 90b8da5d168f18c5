"""Case lines are cut out of a document, and put together again, to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.reports.case_lines import CaseLines, case_lines
from evalrunner.reports.document import document_of

HEAD = b'{"schema":"evalrunner.run/1","gates":[]}'
ASKED = {
    "cached": False,
    "fingerprint": "ab12",
    "attempts": 2,
    "incurred_usd": "0.5",
    "nominal_usd": "0.5",
    "miss_cause": "first_run",
}
FROM_STORE = {
    "cached": True,
    "fingerprint": "ab12",
    "attempts": 0,
    "incurred_usd": "0",
    "nominal_usd": "0.5",
}
NO_CALL = {"cached": False, "fingerprint": None, "incurred_usd": "0", "nominal_usd": "0"}


def line(number: int, *accounts: dict[str, Any], text: str = "") -> bytes:
    """A case line with these accounts."""
    case = {"id": f"s/{number}", "row": number, "output": text, "calls": list(accounts)}
    return json.dumps(case, separators=(",", ":")).encode()


def cut(lines: list[bytes], paid: int) -> CaseLines | None:
    """The lines of a document of these lines."""
    return case_lines(document_of(HEAD, lines), paid=paid)


@given(
    asked=st.lists(st.sets(st.integers(0, 1)), max_size=8),
    text=st.text(max_size=8),
    data=st.data(),
)
def test_lines_are_what_they_are_once_the_store_answers(
    asked: list[set[int]], text: str, data: st.DataObject
) -> None:
    def written(account: dict[str, Any]) -> list[bytes]:
        return [
            line(n, NO_CALL, *(account if at in those else FROM_STORE for at in (0, 1)), text=text)
            for n, those in enumerate(asked)
        ]

    found = cut(written(ASKED), paid=sum(map(len, asked)))
    expected = written(FROM_STORE)
    assert found is not None
    assert found.head == HEAD
    assert list(found.lines) == expected
    first = data.draw(st.integers(0, len(expected)))
    after = data.draw(st.integers(first, len(expected)))
    assert found.lines[first:after] == expected[first:after]
    assert b",\n".join(found.lines.blocks(first, after)) == b",\n".join(expected[first:after])


def test_few_pieces_hold_many_lines() -> None:
    lines = [line(n, ASKED if n == 500 else FROM_STORE) for n in range(1000)]
    found = cut(lines, paid=1)
    assert found is not None
    assert len(list(found.lines.blocks(0, 1000))) == 3
    assert len(list(found.lines.blocks(501, 1000))) == 1


@pytest.mark.parametrize("paid", [0, 2])
def test_another_number_of_paid_accounts_is_not_believed(paid: int) -> None:
    found = cut([line(0, ASKED), line(1, FROM_STORE)], paid=paid)
    assert (found is None) == (paid == 2)


def test_a_document_without_cases_has_no_line() -> None:
    found = case_lines(document_of(HEAD, []), paid=0)
    assert found is not None
    assert len(found.lines) == 0


def test_what_is_no_document_has_no_lines() -> None:
    assert case_lines(b'{"schema":"evalrunner.run/1"}', paid=0) is None
    assert case_lines(document_of(HEAD, [line(0)])[:-1], paid=0) is None


def test_some_lines_make_a_document_of_their_own() -> None:
    lines = [line(n) for n in range(5)]
    found = cut(lines, paid=0)
    assert found is not None
    assert list(found.only([1, 3]).lines) == [lines[1], lines[3]]
