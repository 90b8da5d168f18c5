"""A figure, the limits that it is held against, and what that says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a figure."""

    sign: str
    value: float

    def holds(self, figure: float) -> bool:
        """Whether the figure keeps the bound."""
        return figure <= self.value if self.sign == "≤" else figure >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


def at_most(value: float) -> Limit:
    """The figure may not be larger."""
    return Limit("≤", value)


def at_least(value: float) -> Limit:
    """The figure may not be smaller."""
    return Limit("≥", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure of one goal.

    ``value`` is ``None`` where the other side of a ratio was not measured. A gate that is not ``held``
    is told like any other, and stops no release.
    """

    goal: int
    name: str
    value: float | None
    unit: str = "x"
    gate: Limit | None = None
    moonshot: Limit | None = None
    detail: str = ""
    held: bool = True

    @property
    def stops(self) -> bool:
        """Whether a release has to wait for it."""
        return self.held and self.verdict() == "MISSED"

    def verdict(self) -> str:
        """What the figure means: the better of the two limits that it keeps."""
        if self.value is None:
            return "not measured"
        if self.gate and not self.gate.holds(self.value):
            return "MISSED"
        if self.moonshot and self.moonshot.holds(self.value):
            return "moonshot"
        return "gate" if self.gate else "reported"

    def as_json(self) -> dict[str, Any]:
        """The figure as it stands in RESULTS.json."""
        return {
            "name": self.name,
            "value": None if self.value is None else round(self.value, 4),
            "unit": self.unit,
            "gate": str(self.gate or ""),
            "moonshot": str(self.moonshot or ""),
            "verdict": self.verdict(),
            "detail": self.detail,
        }
