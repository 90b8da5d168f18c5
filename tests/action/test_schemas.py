"""The Action and every workflow are what GitHub's schemas and the strictest audit accept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.action.runner import ROOT

ACTIONS = [ROOT / "action.yml", ROOT / "comment/action.yml"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
STARTER = ROOT / "evalrunner/cli/starter/workflow.yml"


def said_by(*words: str | Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.prefix) / "bin" / str(words[0])
    command = [str(tool), *map(str, words[1:])]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("vendor.github-actions", ACTIONS), ("vendor.github-workflows", [*WORKFLOWS, STARTER])],
)
def test_the_schema_of_github_accepts_them(schema: str, paths: list[Path]) -> None:
    done = said_by("check-jsonschema", "--builtin-schema", schema, *paths)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_audit_in_its_strictest_persona_finds_nothing() -> None:
    done = said_by("zizmor", "--offline", "--persona", "auditor", ".github", *ACTIONS, STARTER)
    assert done.returncode == 0, done.stdout


def test_the_audit_would_find_something(tmp_path: Path) -> None:
    bad = ACTIONS[0].read_text().replace('"$GITHUB_ACTION_PATH/', '"${{ inputs.config }}/')
    (tmp_path / "action.yml").write_text(bad)
    done = said_by("zizmor", "--offline", "--persona", "auditor", tmp_path)
    assert "template-injection" in done.stdout
