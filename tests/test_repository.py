"""What the repository itself promises: locks, versions, and no address of a registry."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from evalrunner.version import __version__

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = sorted((ROOT / "requirements").glob("*.lock"))
MOST_CORE_DEPENDENCIES: Final = 12


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def _pins(lock: Path) -> dict[str, set[str]]:
    """The versions of each package that a lock names; more than one where markers divide them."""
    pins: dict[str, set[str]] = {}
    for found in re.finditer(
        r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    ):
        pins.setdefault(found[1], set()).add(found[2])
    return pins


def test_there_are_locks() -> None:
    assert [lock.stem for lock in LOCKS] == ["all", "core", "demo", "dev", "model", "release", "uv"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_address_and_no_path(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert not re.search(r"://|^-|@ |\bfile:|(?<!\S)/|index|find-links", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_of_a_lock_has_a_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text(encoding="utf-8"))
    pins = [entry for entry in entries if not entry.startswith("#")]
    assert pins
    assert [entry.split()[0] for entry in pins if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("part", ["core", "demo"])
def test_a_small_lock_is_a_part_of_the_large_one(part: str) -> None:
    """So that one environment serves both, in either order."""
    whole = _pins(ROOT / "requirements" / "dev.lock")
    for name, versions in _pins(ROOT / "requirements" / f"{part}.lock").items():
        assert versions <= whole[name], name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_lock_holds_what_is_known_to_be_bad(lock: Path) -> None:
    pins = _pins(lock)
    assert "torch" not in pins
    assert not pins.get("litellm", set()) & {"1.82.7", "1.82.8"}


def test_the_core_stays_small() -> None:
    assert len(_pyproject()["project"]["dependencies"]) <= MOST_CORE_DEPENDENCIES


def test_the_locks_hold_everything_that_is_asked_for() -> None:
    project, groups = _pyproject()["project"], _pyproject()["dependency-groups"]
    extras = project["optional-dependencies"].values()
    asked = {
        "core": [project["dependencies"]],
        "dev": [project["dependencies"], *extras, groups["test"], groups["lint"], groups["build"]],
        "model": [groups["model"]],
        "uv": [groups["tools"]],
    }
    for lock, lists in asked.items():
        names = {re.split(r"[<>=!;\[ ]", want, maxsplit=1)[0] for wants in lists for want in wants}
        missing = names - set(_pins(ROOT / "requirements" / f"{lock}.lock")) - {"evalrunner"}
        assert missing == set(), f"{lock}.lock is behind pyproject.toml; type: make lock"


def test_the_version_stands_in_one_place() -> None:
    assert _pyproject()["project"]["dynamic"] == ["version"]
    places = [
        path.relative_to(ROOT).as_posix()
        for path in _tracked()
        if path.suffix in {".py", ".toml"} and f'version__ = "{__version__}"' in path.read_text()
    ]
    assert places == ["evalrunner/version.py"]


def test_no_file_names_a_registry() -> None:
    """Where packages come from is each machine's own setting."""
    registry = re.compile(r"pypi\.(org|io)|pythonhosted|registry\.npmjs|deb\.debian\.org")
    named = []
    for path in _tracked():
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if registry.search(text):
            named.append(path.relative_to(ROOT).as_posix())
    assert named == []


def test_actions_are_pinned_to_commits() -> None:
    workflows = [*(ROOT / ".github").rglob("*.yml"), *(ROOT / "evalrunner").rglob("*.yml")]
    uses = [line for path in workflows for line in re.findall(r"uses: (.+)", path.read_text())]
    uses += re.findall(r"uses: (.+)", (ROOT / "action.yml").read_text())
    assert uses
    uses.remove(f"OWNER/evalrunner@{'0' * 40}")  # the starter's place for the user's choice
    uses.remove("$/")  # this very commit
    assert [use for use in uses if not re.search(r"@[0-9a-f]{40} # v\d", use)] == []
