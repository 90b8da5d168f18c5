"""Paths: what lies outside the root, or is no regular file, is never opened for reading."""

from __future__ import annotations

import os
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from evalrunner.errors import ConfigError
from evalrunner.suite.files import read_file, resolve_reference, text_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with something outside it that must never be read."""
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "secret.txt").write_text("SECRET")
    root = tmp_path / "root"
    for folder in ("suites", "prompts", "a/b"):
        (root / folder).mkdir(parents=True)
    (root / "prompts" / "x.txt").write_text("x")
    (root / "a" / "b" / "100%.txt").write_text("percent")
    (root / "out").symlink_to(tmp_path)
    (root / "leak.txt").symlink_to(tmp_path / "secret.txt")
    (root / "chain.txt").symlink_to(root / "leak.txt")
    (root / "inner.txt").symlink_to(root / "prompts" / "x.txt")
    (root / "loop").symlink_to(root / "loop")
    (root / "dangling.txt").symlink_to(root / "nothing")
    os.mkfifo(root / "fifo")
    return root


REFUSED = [
    "file://../../secret.txt",
    "file://../../../../../../../../etc/passwd",
    "file:///etc/passwd",
    "file:////etc/passwd",
    "file:///dev/zero",
    "file:///dev/stdin",
    "file:///proc/self/environ",
    "file://../../rooted/secret.txt",
    "file://../prompts/../../secret.txt",
    "file://../prompts/../../root/../secret.txt",
    "file://../leak.txt",
    "file://../chain.txt",
    "file://../out/secret.txt",
    "file://../out/rooted/secret.txt",
    "file://../loop",
    "file://../loop/x",
    "file://../dangling.txt",
    "file://../fifo",
    "file://../prompts",
    "file://../prompts/",
    "file://.",
    "file://..",
    "file://",
    "file:// ",
    "file://../..",
    "file://%2e%2e/%2e%2e/secret.txt",
    "file://..%2f..%2fsecret.txt",
    "file://..\\..\\secret.txt",
    "file://C:\\Windows\\win.ini",
    "file://C:/Windows/win.ini",
    "file://\\\\server\\share",
    "file://localhost/etc/passwd",
    "file://~/secret.txt",
    "file://$HOME/secret.txt",
    "file://../prompts/x.txt\0.yaml",
    "file://../prompts/x.txt\n",
    "file://../prompts/x.txt/..",
    "file://" + "a" * 5000,
    "file://" + "../" * 2000 + "etc/passwd",
    "file://file://../prompts/x.txt",
    "file://http://127.0.0.1/x",
    "file://../prompts/x.txt?a",
    "file://../prompts/x.txt#a",
]


def read(root: Path, reference: str) -> bytes:
    path = resolve_reference(reference, root / "suites" / "s.yaml", root)
    return read_file(root, path).data


@pytest.mark.parametrize("reference", REFUSED, ids=range(len(REFUSED)))
def test_path_outside_or_irregular_is_refused(root: Path, reference: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(root, reference)
    assert "SECRET" not in str(caught.value)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "content"),
    [
        ("file://../prompts/x.txt", b"x"),
        ("file://.././prompts//x.txt", b"x"),
        ("file://../a/../prompts/x.txt", b"x"),
        ("file://../inner.txt", b"x"),
        ("file://../a/b/100%.txt", b"percent"),
    ],
)
def test_path_inside_is_read(root: Path, reference: str, content: bytes) -> None:
    assert read(root, reference) == content


def test_absolute_path_inside_the_root_is_read(root: Path) -> None:
    assert read(root, f"file://{root}/prompts/x.txt") == b"x"


def test_digest_is_of_the_bytes_returned(root: Path) -> None:
    found = read_file(root, root / "prompts" / "x.txt")
    assert (found.path, found.sha256) == ("prompts/x.txt", sha256(found.data).hexdigest())


def test_size_limit_is_exact(root: Path) -> None:
    path = root / "prompts" / "x.txt"
    path.write_bytes(b"12345")
    assert read_file(root, path, limit_bytes=5).data == b"12345"
    with pytest.raises(ConfigError, match="larger than 4 bytes"):
        read_file(root, path, limit_bytes=4)


def test_swapping_a_file_for_a_link_never_leaks(root: Path, tmp_path: Path) -> None:
    victim, spare = root / "prompts" / "race.txt", root / "prompts" / "spare"
    victim.write_text("fine")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            spare.symlink_to(tmp_path / "secret.txt")
            spare.replace(victim)
            spare.write_text("fine")
            spare.replace(victim)

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    try:
        for _ in range(2000):
            try:
                outcomes.add(read_file(root, victim).data)
            except ConfigError:
                outcomes.add(b"refused")
    finally:
        done.set()
        thread.join()
    assert b"SECRET" not in outcomes
    assert outcomes <= {b"fine", b"refused", b""}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"\xef\xbb\xbfa", "a"),
        (b"a\rb", "a\rb"),
        ("e\u0301".encode(), "e\u0301"),
        (b"", ""),
    ],
)
def test_text_loses_byte_order_mark_and_carriage_returns(data: bytes, text: str) -> None:
    assert text_of(data, "f") == text


def test_text_that_is_not_utf8_names_the_line() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        text_of(b"a\n\xff", "f")
