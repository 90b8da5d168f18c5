"""Times and sizes as people type them."""

from __future__ import annotations

import re
from typing import Final

_QUANTITY: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES: Final = {
    **dict.fromkeys(("", "b"), 1),
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
    **{letter: 1024**power for power, letter in enumerate("kmgt", 1)},
}


def seconds_of(text: str) -> float | None:
    """A duration in seconds; ``None`` where the text is none.

    Example:
        >>> seconds_of("90"), seconds_of("12h"), seconds_of("2w"), seconds_of("soon")
        (90.0, 43200.0, 1209600.0, None)
    """
    return _of(text, _SECONDS)


def bytes_of(text: str) -> int | None:
    """A size in bytes; ``None`` where the text is none. A letter alone counts in steps of 1024.

    Example:
        >>> bytes_of("500MB"), bytes_of("1.5 GiB"), bytes_of("64k"), bytes_of("a lot")
        (500000000, 1610612736, 65536, None)
    """
    found = _of(text, _BYTES)
    return None if found is None else int(found)


def _of(text: str, units: dict[str, int]) -> float | None:
    found = _QUANTITY.fullmatch(text.strip())
    unit = units.get(found[2].lower()) if found else None
    return float(found[1]) * unit if found and unit else None
