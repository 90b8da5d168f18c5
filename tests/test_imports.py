"""What a start does not import: start-up time is a feature, and one careless line undoes it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"aiohttp", "asyncio", "datasets", "diskcache", "httptools", "jinja2", "jsonschema_rs"}
HEAVY |= {"litellm", "numpy", "openai", "pydantic", "re2", "rich", "sqlglot", "uvloop", "yaml"}

_PROBE = """
import contextlib, io, json, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
{body}
json.dump(sorted({{name.split(".")[0] for name in sys.modules}}), sys.stdout)
"""


def imported_by(body: str) -> set[str]:
    """The top-level modules that are loaded once a program has run, in a fresh interpreter."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(body=indented)],
        capture_output=True,
        text=True,
        check=True,
    )
    modules: list[str] = json.loads(done.stdout)
    return set(modules)


def command(*words: str) -> str:
    """A program that runs the command line with these words."""
    return f"import sys; sys.argv[1:] = {list(words)!r}\nfrom evalrunner.cli import main; main()"


def test_the_probe_sees_what_is_imported() -> None:
    assert {"yaml", "pydantic"} <= imported_by("import pydantic, yaml")


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("report", "--help")])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported_by(command(*words)) & HEAVY == set()


def test_version_does_not_even_import_click() -> None:
    assert imported_by(command("--version")) & (HEAVY | {"click"}) == set()


@pytest.mark.parametrize(
    "module",
    ["values.exchange", "values.result", "values.spec", "verdict.gates", "checks.registry"],
)
def test_pure_rooms_import_nothing_heavy(module: str) -> None:
    """A warm run goes through these and nothing else."""
    assert imported_by(f"import evalrunner.{module}") & HEAVY == set()


@pytest.mark.parametrize("module", ["models_direct", "models_litellm", "models_local"])
def test_clients_import_no_litellm_before_the_first_call(module: str) -> None:
    found = imported_by(f"import evalrunner.adapters.{module}")
    assert found & {"litellm", "openai", "xllamacpp", "pydantic", "rich", "datasets"} == set()
