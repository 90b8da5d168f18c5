"""Runs the plugin's tests with every Python and pytest that is here: ``make versions``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13")
PYTESTS = ("pytest==8.*", "pytest==9.*")
BESIDE = (
    "anyio",
    "hypothesis",
    "pytest-asyncio",
    "pytest-cov",
    "pytest-randomly",
    "pytest-rerunfailures",
)
BESIDE += ("pytest-timeout", "pytest-xdist>=3.8")
ROOT = Path(__file__).parents[2]


def main(uv: str, *further: str) -> int:
    """The number of environments in which a test failed."""
    failed = 0
    for version in PYTHONS:
        for pytest in PYTESTS:
            place = Path(tempfile.mkdtemp(prefix="versions-"))
            try:
                python = _environment(uv, place, version, pytest)
                failed += python is not None and _tests(python, further)
            finally:
                shutil.rmtree(place, ignore_errors=True)
    return failed


def _environment(uv: str, place: Path, version: str, pytest: str) -> Path | None:
    """An environment's Python, or nothing where there is no such Python here."""
    made = subprocess.run([uv, "venv", "--quiet", "--python", version, place], check=False)
    if made.returncode:
        print(f"Python {version} is not here", flush=True)
        return None
    python = place / "bin" / "python"
    wanted = [pytest, *BESIDE, str(ROOT)]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    print(f"Python {version}, {pytest}", flush=True)
    return python


def _tests(python: Path, further: tuple[str, ...]) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "tests/pytest_plugin",
        f"--plugin-python={python}",
    ]
    return subprocess.run([*command, *further], cwd=ROOT, check=False).returncode != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
