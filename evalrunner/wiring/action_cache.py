"""Which of GitHub's caches a step restores, and whether it may keep one."""

from __future__ import annotations

from collections.abc import Mapping

from evalrunner.adapters.workflow_files import append_outputs
from evalrunner.errors import UsageError
from evalrunner.wiring.action_inputs import input_text
from evalrunner.wiring.action_trigger import Trigger, Trust, read_trigger


def plan_cache(environ: Mapping[str, str]) -> int:
    """Writes the outputs ``path``, ``key``, ``restore-key`` and ``save`` of the planning step.

    Raises:
        UsageError: The event would run a stranger's code with this repository's secrets.
    """
    trigger = read_trigger(environ, approved_sha=input_text(environ, "approved-sha"))
    attempt = "-".join(_number(environ, name) for name in ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"))
    system = "".join(filter(str.isalnum, environ.get("RUNNER_OS", ""))) or "any"
    scope = f"evalrunner-{system}-{_scope(trigger)}-"
    outputs = {
        "path": f"{input_text(environ, 'working-directory') or '.'}/.evalrunner",
        "key": f"{scope}{attempt}",
        "restore-key": scope,
        "shared-key": f"evalrunner-{system}-shared-",
        "save": "false" if trigger.trust in (Trust.FORK, Trust.APPROVED) else "true",
    }
    append_outputs(environ.get("GITHUB_OUTPUT", ""), outputs)
    return 0


def _scope(trigger: Trigger) -> str:
    """Never a branch's name, which a stranger chooses."""
    if trigger.keeps_cache_for_all:
        return "shared"
    return f"pr{trigger.number}" if trigger.number is not None else "branch"


def _number(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value.isdigit():
        raise UsageError(f"{name} is not set", hint="outside of GitHub use `evalrunner run`")
    return value
