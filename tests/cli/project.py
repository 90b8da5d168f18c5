"""A project on disk whose model is a real HTTP server on this machine, and its command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalrunner.cli.app import entry
from evalrunner.testing import FakeProvider

CONFIG = """\
models:
  small: {{model: openai/fake, base_url: "{url}", revision: r1,
    price: {{input_per_mtok: 1, output_per_mtok: 2}}, timeout_seconds: 5}}
tiers: {{frontier: small}}
"""
SUITE = """\
name: greet
prompts: ["Say {{word}}"]
golden: "file://../golden/greet.jsonl"
checks:
  - {type: contains, value: "{{word}}"}
"""


@dataclass(frozen=True, slots=True)
class CliProject:
    """The folder, and the provider that its one model is asked at."""

    root: Path
    provider: FakeProvider

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def rows(self, *rows: dict[str, Any]) -> None:
        self.write("golden/greet.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def run(self, *words: str) -> int:
        return entry(["run", "--no-progress", *words])

    def document(self, name: str = "run.json") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / name).read_bytes())
        return found


def make_project(root: Path, provider: FakeProvider) -> CliProject:
    """Three rows that an echoing provider answers well."""
    project = CliProject(root, provider)
    project.write("evalrunner.yaml", CONFIG.format(url=provider.base_url))
    project.write("suites/greet.yaml", SUITE)
    project.rows(*({"id": word, "word": word} for word in ("one", "two", "three")))
    return project


def echo(body: dict[str, object]) -> str:
    """Says the prompt again."""
    messages = body["messages"]
    assert isinstance(messages, list)
    return str(messages[-1]["content"])
