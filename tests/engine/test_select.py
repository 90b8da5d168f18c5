"""Filters, limits and shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.engine.select import Selection, Shard
from evalrunner.errors import UsageError
from evalrunner.values.result import CaseRef


def ref(case_id: str, *, description: str | None = None, **tags: str) -> CaseRef:
    return CaseRef(
        id=case_id,
        suite="s",
        prompt="p",
        target="t",
        row=0,
        repeat=0,
        rendered="",
        vars={},
        description=description,
        tags=tags,
    )


REFS = [
    ref("s/a@x", description="Returns", lang="en"),
    ref("s/a@y", lang="en"),
    ref("s/b@x", lang="de"),
    ref("s/b@y#1", lang="de"),
    ref("s/c@x", lang="en"),
]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["s/a@x", "s/a@y", "s/b@x", "s/b@y#1", "s/c@x"]),
        (Selection(pattern="a@"), ["s/a@x", "s/a@y"]),
        (Selection(pattern="Retu"), ["s/a@x"]),
        (Selection(pattern="("), []),
        (Selection(pattern="^s/[bc]"), ["s/b@x", "s/b@y#1", "s/c@x"]),
        (Selection(tags={"lang": "de"}), ["s/b@x", "s/b@y#1"]),
        (Selection(tags={"lang": "de", "x": "y"}), []),
        (Selection(limit=2), ["s/a@x", "s/a@y", "s/b@x", "s/b@y#1"]),
        (Selection(limit=1, tags={"lang": "de"}), ["s/b@x", "s/b@y#1"]),
        (Selection(only=frozenset({"s/c@x", "gone"})), ["s/c@x"]),
    ],
)
def test_what_is_taken(selection: Selection, expected: list[str]) -> None:
    takes = selection.chooser()
    assert [ref.id for ref in REFS if takes(ref)] == expected


@pytest.mark.parametrize(
    ("selection", "left_out"),
    [
        (Selection(), 0),
        (Selection(limit=1), 3),
        (Selection(limit=2), 1),
        (Selection(limit=9), 0),
        # which cases are meant is no sample of them
        (Selection(pattern="^s/a"), 0),
        (Selection(only=frozenset({"s/c@x"})), 0),
        (Selection(tags={"lang": "de"}, limit=1), 0),
        (Selection(pattern="@x", limit=1), 2),
    ],
)
def test_a_limit_alone_leaves_cases_out(selection: Selection, left_out: int) -> None:
    takes = selection.chooser()
    for ref in REFS:
        takes(ref)
    assert takes.left_out == left_out


@given(st.integers(1, 9), st.lists(st.text(min_size=1), unique=True))
def test_every_row_is_in_exactly_one_shard(count: int, rows: list[str]) -> None:
    shards = [Shard(index=index, count=count) for index in range(1, count + 1)]
    for row in rows:
        assert sum(shard.holds(row) for shard in shards) == 1


def test_variants_and_draws_of_a_row_stay_together() -> None:
    assert {case.row_id for case in REFS[:2]} == {"s/a"}
    assert {case.row_id for case in REFS[2:4]} == {"s/b"}


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", " 1/2", "1/999999"]
)
def test_what_is_no_shard_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Shard.parse(text)
    assert caught.value.hint
