"""The word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known word closest to a mistyped one, ``None`` where none is close.

    Example:
        >>> did_you_mean("fronteir", ["proxy", "frontier"])
        "did you mean 'frontier'?"
        >>> did_you_mean("x", ["frontier"]) is None
        True
    """
    found = get_close_matches(word[:100], list(known)[:1000], n=1)
    return f"did you mean {found[0]!r}?" if found else None
