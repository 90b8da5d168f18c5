"""Digests of large texts, taken on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from threading import Thread
from typing import Final

from evalrunner.reports.document import Piece
from evalrunner.values.result import RunReport

_LARGE_BYTES: Final = 1 << 18


class DigestMeanwhile:
    """The SHA-256 digest of a text, taken by a thread of its own, which does not hold up Python.

    Args:
        text: The text.

    Example:
        >>> DigestMeanwhile(b"abc").hexdigest()[:8]
        'ba7816bf'
    """

    def __init__(self, text: bytes) -> None:
        self._sum = sha256()
        self._thread = Thread(target=self._sum.update, args=(text,))
        self._thread.start()

    def hexdigest(self) -> str:
        """The digest, once it is known."""
        self._thread.join()
        return self._sum.hexdigest()


class HashedDocument:
    """A run document in pieces, whose digest is taken as they are written.

    Args:
        make: Makes the pieces.
    """

    def __init__(self, make: Callable[[RunReport], Iterable[Piece]]) -> None:
        self._make = make
        self._sum = sha256()

    def __call__(self, report: RunReport) -> Iterator[Piece]:
        """The pieces, small ones joined, to be taken once."""
        for piece in _large(self._make(report)):
            self._sum.update(piece)
            yield piece

    def hexdigest(self) -> str:
        """The digest of what was taken."""
        return self._sum.hexdigest()


def _large(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same text in pieces that are worth a step each; large ones are not copied."""
    small: list[Piece] = []
    size = 0
    for piece in pieces:
        if len(piece) >= _LARGE_BYTES:
            yield b"".join(small)
            yield piece
            small, size = [], 0
            continue
        small.append(piece)
        size += len(piece)
        if size >= _LARGE_BYTES:
            yield b"".join(small)
            small, size = [], 0
    yield b"".join(small)
