"""Digests of large texts, taken while something else is done with them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from threading import Thread

from evalrunner.values.result import RunReport


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
    """A run document, whose digest is taken while it is written to disk.

    Args:
        make: Makes it of the report.
    """

    def __init__(self, make: Callable[[RunReport], bytes]) -> None:
        self._make = make
        self._digest: DigestMeanwhile | None = None

    def __call__(self, report: RunReport) -> bytes:
        """The document."""
        document = self._make(report)
        self._digest = DigestMeanwhile(document)
        return document

    def hexdigest(self) -> str:
        """The digest of the document that was made."""
        assert self._digest is not None  # it was made
        return self._digest.hexdigest()
