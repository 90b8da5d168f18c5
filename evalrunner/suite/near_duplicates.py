"""Which texts say nearly the same: MinHash over shingles finds the candidates, exact Jaccard decides.

A text is the set of its runs of :data:`SHINGLE` characters, case and blanks aside. The Jaccard index of two
texts is what their sets have in common, divided by all that is in either. One hash a shingle gives a
signature of :data:`BINS` least values (one-permutation MinHash; Li, Owen and Zhang, 2012, with empty bins
filled from their neighbours, Shrivastava and Li, 2014); texts that agree in one band of it are compared
exactly. So nothing is called similar that is not; a pair at the threshold may be overlooked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from evalrunner.values.dataclass import dataclass

SHINGLE: Final = 5
BINS: Final = 128
ROWS_PER_BAND: Final = 4
"""With 32 bands of 4, two texts of index 0.8 meet with probability 0.99999, of 0.5 with 0.87."""

MOST_COMPARED: Final = 50
"""How many candidates of one text are compared with it, those that share most bands first."""

Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Twin:
    """A text that is nearly an earlier one: both by their number, and their Jaccard index."""

    number: int
    of: int
    similarity: float


def near_duplicates(texts: Iterable[str], *, threshold: float) -> list[Twin]:
    """The texts that are nearly one of those before them, in order.

    A text is compared with earlier ones that are no twins themselves, so that a chain of small steps does
    not make strangers twins; it is a twin of the most similar.

    Args:
        texts: The texts.
        threshold: The least Jaccard index, above 0 and at most 1.

    Example:
        >>> near_duplicates(["Where is my parcel?", "where is my  parcel", "Bye"], threshold=0.8)
        [Twin(number=1, of=0, similarity=0.9333333333333333)]
    """
    originals: dict[int, frozenset[int]] = {}
    bands: dict[tuple[int, ...], list[int]] = {}
    twins: list[Twin] = []
    for number, text in enumerate(texts):
        shingles = shingles_of(text)
        keys = list(_bands(signature_of(shingles)))
        found = _most_similar(shingles, _candidates(keys, bands), originals)
        if found is not None and found[1] >= threshold:
            twins.append(Twin(number, *found))
            continue
        originals[number] = shingles
        for key in keys:
            bands.setdefault(key, []).append(number)
    return twins


def jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    """What two sets have in common, divided by all that is in either; two empty sets are equal."""
    whole = len(left | right)
    return len(left & right) / whole if whole else 1.0


def shingles_of(text: str) -> frozenset[int]:
    """The hashed runs of characters of a text; one that is shorter is one shingle."""
    data = " ".join(text.casefold().split()).encode("utf-8", "surrogatepass")
    starts = range(max(1, len(data) - SHINGLE + 1))
    return frozenset(zlib.crc32(data[start : start + SHINGLE]) for start in starts)


def signature_of(shingles: frozenset[int]) -> Signature:
    """The least value in each bin; an empty bin has that of the next one that is not."""
    least: list[int | None] = [None] * BINS
    for shingle in shingles:
        mixed = (shingle * 0x9E3779B97F4A7C15 + 0x7F4A7C15) & 0xFFFFFFFFFFFFFFFF
        place = mixed >> 57  # the first 7 bits: 128 bins
        value = mixed & 0x1FFFFFFFFFFFFFF
        known = least[place]
        if known is None or value < known:
            least[place] = value
    filled: list[int] = []
    following = 0
    for value_or_none in reversed([*least, *least]):  # twice, so that the last bins find the first
        following = following if value_or_none is None else value_or_none
        filled.append(following)
    return tuple(reversed(filled))[:BINS]


def _bands(signature: Signature) -> Iterator[tuple[int, ...]]:
    for start in range(0, BINS, ROWS_PER_BAND):
        yield (start, *signature[start : start + ROWS_PER_BAND])


def _candidates(
    keys: Sequence[tuple[int, ...]], bands: dict[tuple[int, ...], list[int]]
) -> list[int]:
    """The texts that share a band, those that share most first."""
    shared: dict[int, int] = {}
    for key in keys:
        for number in bands.get(key, ()):
            shared[number] = shared.get(number, 0) + 1
    return sorted(shared, key=lambda number: (-shared[number], number))[:MOST_COMPARED]


def _most_similar(
    shingles: frozenset[int], candidates: Sequence[int], originals: dict[int, frozenset[int]]
) -> tuple[int, float] | None:
    best: tuple[int, float] | None = None
    for number in candidates:
        similarity = jaccard(shingles, originals[number])
        if best is None or similarity > best[1]:
            best = number, similarity
    return best
