"""What sources of spend last said, on disk: an outage makes a result older, never wrong."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Final

from evalrunner.adapters.private_dir import is_strange_file, write_atomically
from evalrunner.adapters.spend_rows import day_or_none
from evalrunner.values.spend import SpendPart, SpendRead, SpendSpec

_FORM: Final = 1
_MOST_BYTES: Final = 64 * 1024 * 1024
_SECONDS_AHEAD: Final = 86_400


class SpendSnapshots:
    """One file for each source, as it is configured: another filter is another source.

    Args:
        folder: Where they lie; made by the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, spec: SpendSpec, read: SpendRead) -> None:
        """Replaces what is kept of a source. A disk that does not take it costs a later call."""
        document = {
            "form": _FORM,
            "source": spec.name,
            "since": read.since,
            "through": read.through,
            "fetched_at": read.fetched_at,
            "notes": list(read.notes),
            "parts": [
                [
                    part.day,
                    None if part.usd is None else str(part.usd),
                    part.rows,
                    part.left_out,
                    part.label,
                ]
                for part in read.parts
            ],
        }
        try:
            write_atomically(self._path(spec), json.dumps(document))
        except OSError:
            return

    def last(self, spec: SpendSpec, *, now: float) -> SpendRead | None:
        """What the source said last; ``None`` where nothing usable is kept."""
        path = self._path(spec)
        try:
            if is_strange_file(path) or path.stat().st_size > _MOST_BYTES:
                return None
            return _read(json.loads(path.read_bytes()), now)
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return None

    def _path(self, spec: SpendSpec) -> Path:
        settings = {**asdict(spec), "fx": {code: str(rate) for code, rate in spec.fx.items()}}
        del settings["stale_after_days"], settings["covers"], settings["reconcile_only"]
        text = json.dumps(settings, sort_keys=True, default=list)
        stem = "".join(char if char.isascii() and char.isalnum() else "-" for char in spec.name)
        return self._folder / f"{stem[:40]}-{sha256(text.encode()).hexdigest()[:16]}.json"


def _read(document: dict[str, object], now: float) -> SpendRead | None:
    moment, parts, notes = document["fetched_at"], document["parts"], document["notes"]
    since, through = day_or_none(document["since"]), day_or_none(document["through"])
    if document["form"] != _FORM or since is None or through is None:
        return None
    if not isinstance(moment, float | int) or not math.isfinite(moment):
        return None
    if moment > now + _SECONDS_AHEAD or not isinstance(parts, list) or not isinstance(notes, list):
        return None
    return SpendRead(
        parts=tuple(_part(*part) for part in parts),
        since=since,
        through=through,
        fetched_at=float(moment),
        notes=tuple(map(str, notes)),
    )


def _part(day: object, usd: object, rows: object, left_out: object, label: object) -> SpendPart:
    known = day_or_none(day)
    if known is None or type(rows) is not int or not isinstance(usd, str | None):
        raise ValueError("this is no part of a snapshot")
    return SpendPart(
        day=known,
        usd=None if usd is None else Fraction(usd),
        rows=rows,
        left_out=None if left_out is None else str(left_out),
        label=str(label),
    )
