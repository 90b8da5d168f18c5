"""The figures on disk: RESULTS.json, which single goals may renew, and RESULTS.md, made from it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.figures import Figure

HEAD = """\
# Results

Written by `make bench`; what the rows mean and what was not measured stands in [README.md](README.md).
Ratios of medians of whole processes, measured in turn. A *gate* is what a release holds, a
*moonshot* is the aim.
"""


class Results:
    """All figures that were measured on this machine, by goal."""

    def __init__(self, folder: Path) -> None:
        self.json, self.markdown = folder / "RESULTS.json", folder / "RESULTS.md"
        known = self.json.read_text(encoding="utf-8") if self.json.exists() else "{}"
        self.told: dict[str, Any] = {"goals": {}, "peers": {}, **json.loads(known)}
        if self.told.get("machine") != machine():
            self.told = {"machine": machine(), "goals": {}, "peers": {}}

    @property
    def peers(self) -> dict[str, Any]:
        """The peers' figures by name, for instance ``promptfoo warm 10000``."""
        peers: dict[str, Any] = self.told["peers"]
        return peers

    def add_peer(self, name: str, series: dict[str, Any]) -> None:
        """Takes a peer's figures in, and writes."""
        self.peers[name] = {**series, "at": _now()}
        self.write()

    def add(self, goal: int, title: str, rows: int, figures: Iterable[Figure]) -> None:
        """Takes a goal's figures in, in place of older ones, and writes."""
        found = [figure.as_json() for figure in figures]
        self.told["goals"][str(goal)] = {
            "title": title,
            "rows": rows,
            "at": _now(),
            "figures": found,
        }
        self.write()

    def note(self, text: str) -> None:
        """Says under what conditions the figures were measured."""
        self.told["note"] = text
        self.write()

    def fail(self, goal: int, title: str, rows: int, error: str) -> None:
        """Notes that a goal could not be measured."""
        last = error.strip().splitlines()[-1][:300]
        self.add(goal, title, rows, [Figure(goal=goal, name="failed", value=None, detail=last)])

    def write(self) -> None:
        """Writes both files."""
        self.json.write_text(json.dumps(self.told, indent=1, ensure_ascii=False) + "\n", "utf-8")
        self.markdown.write_text(self._document(), "utf-8")

    def _document(self) -> str:
        lines = [
            HEAD,
            f"Machine: {self.told['machine']}. {self.told.get('note', '')}".rstrip() + "\n",
        ]
        for number, goal in sorted(self.told["goals"].items(), key=lambda item: int(item[0])):
            lines += [
                f"## {number}. {goal['title']}\n",
                f"{goal['rows']:,} rows unless a line says otherwise; {goal['at']}.\n",
                "| figure | reached | gate | moonshot | | medians |",
                "| --- | --- | --- | --- | --- | --- |",
                *map(_line, goal["figures"]),
                "",
            ]
        if self.peers:
            lines += [
                "## Peers\n",
                "| run | wall s | CPU s | peak MiB | runs | at |",
                "| --- | --- | --- | --- | --- | --- |",
                *(_peer_line(name, told) for name, told in self.peers.items()),
                "",
            ]
        return "\n".join(lines)


def _line(figure: dict[str, Any]) -> str:
    value = "-" if figure["value"] is None else f"{figure['value']:.4g}{figure['unit']}"
    verdict = figure["verdict"]
    shown = f"**{verdict}**" if verdict == "MISSED" else verdict
    cells = (figure["name"], value, figure["gate"], figure["moonshot"], shown, figure["detail"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _peer_line(name: str, told: dict[str, Any]) -> str:
    def cell(what: str, digits: int) -> str:
        middle, least, most = told[what]
        if told["runs"] == 1:
            return f"{middle:.{digits}f}"
        return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"

    figures = (cell("wall", 2), cell("cpu", 2), cell("rss_mib", 0), str(told["runs"]), told["at"])
    lost = f", {told['asked_again']} asked again" if told.get("asked_again") else ""
    return f"| {name}{lost} | " + " | ".join(figures) + " |"


def machine() -> str:
    """What the figures were measured on."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
