"""What cache, tiering and sampling avoided, from a run to its documents and pages."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from evalrunner.testing import FakeProvider

from .workspace import RUBRIC, Workspace, answer, model

IS_JSON = {"type": "is-json"}
JUDGED = {"type": "llm-rubric", "value": RUBRIC}


def summary(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())["summary"]
    return found


def avoided(part: dict[str, Any]) -> tuple[Decimal, Decimal]:
    found = part["cost"]["avoided_usd"]
    return Decimal(found["tiering"]), Decimal(found["sampling"])


def priced_apart(workspace: Workspace, url: str) -> None:
    workspace.configure(url)
    dear = model(url, "huge-2026-01-01", price={"input_per_mtok": 100, "output_per_mtok": 200})
    workspace.config["models"]["large"] = dear
    workspace.write("evalrunner.yaml", workspace.config)


def test_a_sample_of_two_suites_says_what_it_and_the_cheap_tier_saved(
    workspace: Workspace,
) -> None:
    with FakeProvider(answer) as provider:
        priced_apart(workspace, provider.base_url)
        workspace.suite("cheap", n=10, checks=[IS_JSON])
        workspace.suite("dear", n=6, checks=[JUDGED])
        done = workspace.program("run", "-n", "2", "-o", "a.json", "-o", "a.md")
        assert done.returncode == 0
        first = summary(workspace.root / "a.json")
        calls = len(provider.requests)

        document = json.loads((workspace.root / "a.json").read_bytes())
        assert sum(group["count"] for group in document["misses"]) == calls, "each is noted once"

        cheap, dear = (first["by_suite"][name] for name in ("cheap", "dear"))
        assert (cheap["left_out"], dear["left_out"], first["left_out"]) == (8, 4, 12)
        # the target costs a hundred times as much for the same tokens
        nominal = Decimal(cheap["cost"]["nominal_usd"])
        assert avoided(cheap) == (99 * nominal, 400 * nominal)
        assert avoided(dear) == (0, 2 * Decimal(dear["cost"]["nominal_usd"]))
        assert avoided(first) == (99 * nominal, avoided(cheap)[1] + avoided(dear)[1])
        assert "by tiering" in done.stdout and "(12 cases left out)" in done.stdout
        assert "- Avoided: " in (workspace.root / "a.md").read_text()

        # the same run again is answered as a whole, and says the same
        assert workspace.program("run", "-n", "2", "-o", "b.json").returncode == 0
        assert workspace.program("report", "last", "-o", "c.json").returncode == 0
        assert len(provider.requests) == calls
        for name in ("b.json", "c.json"):
            again = summary(workspace.root / name)
            assert avoided(again) == avoided(first), name
            assert again["left_out"] == 12, name


def test_a_run_of_everything_has_left_nothing_out(workspace: Workspace) -> None:
    with FakeProvider(answer) as provider:
        priced_apart(workspace, provider.base_url)
        workspace.suite(n=3, checks=[JUDGED])
        done = workspace.program("run", "-k", "r1", "-o", "a.json")
    assert summary(workspace.root / "a.json")["left_out"] == 0
    assert "avoided" not in done.stdout
