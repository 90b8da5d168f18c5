"""Golden rows: every format, ids, problems, and flat memory."""

from __future__ import annotations

import itertools
import json
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalrunner.errors import ConfigError, LoadError
from evalrunner.suite.config import load_project
from evalrunner.suite.golden_formats import OneEmptyRow
from evalrunner.suite.goldens import RawRow, row_digest, row_ids
from evalrunner.suite.hub import hub_address
from evalrunner.suite.load import load_suites
from evalrunner.values.fingerprint import digest
from tests.suite.conftest import Load, Write

ROWS = '{"q": "a", "n": 1}\n{"q": "b", "n": 2}\n'
SUITE = "prompts: '{{q}}'"


class NoRow(OneEmptyRow):
    """A source that has nothing to give."""

    def rows(self) -> Iterator[RawRow]:
        """None."""
        return iter(())


@pytest.mark.parametrize(
    ("ending", "text", "lines"),
    [
        ("jsonl", ROWS, [1, 2]),
        ("jsonl", "\n" + ROWS.replace("\n", "\r\n\r\n"), [2, 4]),
        ("json", '[\n{"q": "a", "n": 1},\n\n{"q": "b", "n": 2}]', [2, 4]),
        ("yaml", "- {q: a, n: 1}\n- q: b\n  n: 2\n", [1, 2]),
    ],
)
def test_format_gives_rows_with_lines(load: Load, ending: str, text: str, lines: list[int]) -> None:
    loaded = load(SUITE, golden=text, ending=ending)
    rows = list(loaded.goldens.rows())
    assert [row.vars for row in rows] == [{"q": "a", "n": 1}, {"q": "b", "n": 2}]
    assert [row.row for row in rows] == [0, 1]
    assert [row.source.line for row in rows] == lines
    assert {row.source.file for row in rows} == {f"golden/rows.{ending}"}
    assert list(loaded.goldens.rows()) == rows, "a source can be read again"


@pytest.mark.parametrize(("ending", "comma"), [("csv", ","), ("tsv", "\t")])
def test_cells_are_text(load: Load, ending: str, comma: str) -> None:
    text = 'id,q,tags\nx,"one\ntwo",\n,007,"{""team"": ""b""}"\n'.replace(",", comma, 3)
    if comma == "\t":
        text = 'id\tq\ttags\nx\t"one\ntwo"\t\n\t007\t"{""team"": ""b""}"\n'
    first, second = load(SUITE, golden=text, ending=ending).goldens.rows()
    assert (first.id, first.vars, first.source.line) == ("x", {"q": "one\ntwo"}, 2)
    assert (second.id, second.vars, second.tags) == (None, {"q": "007"}, {"team": "b"})
    assert second.source.line == 4


def test_reserved_keys_are_no_variables(load: Load) -> None:
    golden = json.dumps(
        {
            "id": 7,
            "description": "d",
            "tags": ["slow"],
            "checks": ["is-json", {"type": "not-equals", "value": "{{q}}", "class": "format"}],
            "q": "x",
        }
    )
    (row,) = load(SUITE, golden=golden).goldens.rows()
    assert (row.id, row.description, row.tags, row.vars) == ("7", "d", {"slow": "true"}, {"q": "x"})
    assert [check.name for check in row.checks] == ["is-json", "not-equals"]
    assert row.checks[1].source.line == 1


def test_row_names_no_file(load: Load, write: Write) -> None:
    write("secret.txt", "SECRET")
    golden = json.dumps(
        {"checks": [{"type": "equals", "value": "file://../secret.txt",
                     "rubricPrompt": "file://../secret.txt"}]}
    )  # fmt: skip
    (row,) = load(SUITE, golden=golden).goldens.rows()
    assert row.checks[0].value == "file://../secret.txt"
    assert row.checks[0].rubric_prompt == "file://../secret.txt"


def test_all_bad_rows_are_found_at_once(load: Load) -> None:
    golden = '{"id": "a"}\nnope\n{"id": "a"}\n{"id": "x@y"}\n{"checks": [{"type": 1}]}\n[1]\n'
    with pytest.raises(LoadError) as caught:
        load(SUITE, golden=golden)
    problems = caught.value.problems
    assert [problem.line for problem in problems] == [2, 3, 4, 5, 6]
    assert "given twice, first in line 1" in problems[1].message


@pytest.mark.parametrize(
    ("ending", "text"), [("jsonl", "\n"), ("jsonl", "\n\n"), ("csv", "q\n"), ("json", "[]")]
)
def test_a_golden_file_without_a_row_is_a_mistake(load: Load, ending: str, text: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(SUITE, golden=text, ending=ending)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"golden/rows.{ending}:1: there is no golden row here")


def test_a_data_set_that_turns_out_to_be_empty_is_a_mistake(load: Load) -> None:
    source = replace(load(SUITE, golden=ROWS).goldens, format=OneEmptyRow("hf://a/b"))
    assert len(list(source.rows())) == 1
    with pytest.raises(LoadError, match="no golden row"):
        list(replace(source, format=NoRow("hf://a/b")).rows())


def test_identical_rows_are_numbered_and_ids_survive_reordering(load: Load) -> None:
    texts = ['{"a": 1}', '{"a": 2}', '{"a": 1}', '{"a": 1}', '{"id": "mine", "a": 1}']
    found = [name for name, _ in row_ids(load(SUITE, golden="\n".join(texts)).goldens.rows())]
    base = digest({"a": 1})[:12]
    assert found == [base, digest({"a": 2})[:12], f"{base}-2", f"{base}-3", "mine"]
    random.Random(1).shuffle(texts)  # not for secrets
    again = [name for name, _ in row_ids(load(SUITE, golden="\n".join(texts)).goldens.rows())]
    assert sorted(again) == sorted(found)


def test_id_given_twice_is_found_while_streaming(load: Load) -> None:
    rows = list(load(SUITE, golden='{"id": "a"}\n{"id": "b"}').goldens.rows())
    with pytest.raises(LoadError, match="first in line 1"):
        list(row_ids([*rows, rows[0]]))


NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSONS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from([-0.0, "-0.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(variables=st.dictionaries(st.text(max_size=3), JSONS, max_size=4))
def test_row_digest_is_that_of_the_fingerprint(variables: dict[str, object]) -> None:
    assert row_digest(variables) == digest(variables)[:12]  # type: ignore[arg-type]


def test_raw_lines_go_with_rows(load: Load) -> None:
    source = load(SUITE, golden="\ufeff" + ROWS.replace("\n", "\r\n\r\n")).goldens
    raw = source.raw_lines()
    assert raw is not None
    assert [json.loads(line) for line in raw] == [row.vars for row in source.rows()]
    assert load(SUITE, golden="[{a: 1}]", ending="yaml").goldens.raw_lines() is None


def test_file_that_changed_since_it_was_hashed_is_refused(load: Load, write: Write) -> None:
    source = load(SUITE, golden=ROWS).goldens
    as_hashed = list(load(SUITE, golden=ROWS).goldens.rows())
    write("golden/rows.jsonl", ROWS.replace("b", "c"))
    assert list(source.rows()) == as_hashed  # the very rows that were checked
    with pytest.raises(LoadError, match="changed while it was read"):
        list(source.rows())


def test_rows_beyond_the_limit_are_read_again(
    load: Load, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalrunner.suite.goldens.MOST_KEPT", 1)
    source = load(SUITE, golden=ROWS).goldens
    write("golden/rows.jsonl", ROWS.replace("b", "c"))
    with pytest.raises(LoadError, match="changed while it was read"):
        list(source.rows())


def test_hundred_thousand_rows_stream_in_flat_memory(tmp_path: Path, write: Write) -> None:
    row = json.dumps({"q": "what is the price of a lamp?", "expected": "x" * 60})
    write("golden/rows.jsonl", f"{row}\n" * 100_000)
    suite = write("suites/one.yaml", f"{SUITE}\ngolden: file://../golden/rows.jsonl\n")
    source = load_suites(load_project(tmp_path), [suite], check_rows=False)[0].goldens
    tracemalloc.start()
    count = sum(1 for _ in source.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 3 * 2**20


def test_inline_goldens_and_none_at_all(load: Load) -> None:
    inline = load("prompts: hi\ngolden:\n  - {q: a}\n  - {q: b}\n")
    assert [(row.vars, row.source.line) for row in inline.goldens.rows()] == [
        ({"q": "a"}, 3),
        ({"q": "b"}, 4),
    ]
    (only,) = load("prompts: hi\n").goldens.rows()
    assert only.vars == {}


def test_parquet_rows(tmp_path: Path, write: Write) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    write("suites/one.yaml", "prompts: '{{q}}'\ngolden: file://rows.parquet\n")
    table = pa.table({"q": [f"q{n}" for n in range(600)], "n": list(range(600))})
    parquet.write_table(table, tmp_path / "suites" / "rows.parquet")
    project = load_project(tmp_path)
    (loaded,) = load_suites(project, [tmp_path / "suites" / "one.yaml"])
    rows = list(loaded.goldens.rows())
    assert len(rows) == 600
    assert (rows[599].vars, rows[599].source.line) == ({"q": "q599", "n": 599}, 600)
    assert [file.path for file in loaded.files] == ["suites/one.yaml", "suites/rows.parquet"]


def test_damaged_parquet_is_our_error(tmp_path: Path, write: Write) -> None:
    pytest.importorskip("pyarrow")
    write("suites/one.yaml", "prompts: hi\ngolden: file://rows.parquet\n")
    write("suites/rows.parquet", b"PAR1 nonsense PAR1")
    with pytest.raises(LoadError, match="not a Parquet file"):
        load_suites(load_project(tmp_path), [tmp_path / "suites" / "one.yaml"])


def test_missing_extra_says_what_to_install(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("suites/one.yaml", "prompts: hi\ngolden: file://rows.parquet\n")
    write("suites/rows.parquet", b"PAR1")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("evalrunner.suite.hub.import_module", absent)
    with pytest.raises(LoadError) as caught:
        load_suites(load_project(tmp_path), [tmp_path / "suites" / "one.yaml"])
    assert "needs pyarrow" in caught.value.problems[0].message
    assert ".[hf]" in (caught.value.problems[0].hint or "")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("hf://owner/name", "no revision"),
        ("hf://owner/name?split=test", "no revision"),
        ("hf://owner", "no data set"),
        ("hf://owner/name/more?revision=a", "no data set"),
        ("hf://owner/name?revison=a", "'revison' is not an option"),
        ("hf://owner/name?revision=../..", "not a revision"),
        ("hf://owner/name?revision=a&trust_remote_code=1", "not an option"),
        ("hf://https://x/y?revision=a", "no data set"),
    ],
)
def test_bad_hub_address_is_refused(reference: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        hub_address(reference)
    assert caught.value.hint or "revision" in message


def test_good_hub_address() -> None:
    address = hub_address("hf://owner/na.me?split=test&revision=abc123&name=en")
    assert (address.where, address.split, address.revision, address.name, address.local) == (
        "owner/na.me",
        "test",
        "abc123",
        "en",
        False,
    )


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hf://../data?split=test", ["t1", "t2"]),
        ("hf://../data?split=train", ["r1"]),
        ("hf://../data/test.jsonl?split=test", ["t1", "t2"]),
    ],
)
@pytest.mark.filterwarnings("ignore")  # the library's own
def test_local_data_set(tmp_path: Path, write: Write, reference: str, expected: list[str]) -> None:
    pytest.importorskip("datasets")
    write("data/test.jsonl", '{"q": "t1"}\n{"q": "t2"}\n')
    write("data/train.jsonl", '{"q": "r1"}\n')
    write("suites/one.yaml", f"prompts: hi\ngolden: {reference}\n")
    (loaded,) = load_suites(load_project(tmp_path), [tmp_path / "suites" / "one.yaml"])
    rows = list(itertools.islice(loaded.goldens.rows(), 10))
    assert [row.vars["q"] for row in rows] == expected
    assert len(loaded.files) == 2


@pytest.mark.filterwarnings("ignore")  # the library's own
def test_offline_data_set_reaches_for_nothing(tmp_path: Path, write: Write) -> None:
    pytest.importorskip("datasets")
    write("suites/one.yaml", "prompts: hi\ngolden: hf://owner/name?revision=abc\n")
    paths = [tmp_path / "suites" / "one.yaml"]
    (loaded,) = load_suites(load_project(tmp_path), paths, offline=True)
    assert loaded.goldens.remote
    with pytest.raises(LoadError, match="hf://owner/name@abc:1: the data set cannot be read"):
        list(loaded.goldens.rows())


def test_local_data_set_outside_the_root_is_refused(tmp_path: Path, write: Write) -> None:
    write("suites/one.yaml", "prompts: hi\ngolden: hf://../../../etc\n")
    with pytest.raises(LoadError, match="outside the project root"):
        load_suites(load_project(tmp_path), [tmp_path / "suites" / "one.yaml"])
