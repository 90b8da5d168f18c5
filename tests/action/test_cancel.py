"""A runner cancels a step by a signal to its entry process alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from evalrunner.testing import FakeProvider
from tests.action.runner import Repository
from tests.cli.project import echo


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_answered_is_kept_and_every_output_is_there(
    repository: Repository, number: signal.Signals, code: int
) -> None:
    words = [f"w{n}" for n in range(60)]
    repository.rows(*words)
    with FakeProvider(echo, latency_seconds=0.3) as slow:
        config = (repository.root / "evalrunner.yaml").read_text()
        repository.write("evalrunner.yaml", config.replace(repository.url, slow.base_url))
        repository.commit("slow")
        event, outputs = repository.state / "event.json", repository.state / "outputs"
        event.write_text(json.dumps(repository.push()))
        environ = repository.environ() | {
            "EVAL_KEY": "made-up-key-of-the-provider",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_WORKSPACE": str(repository.root),
            "RUNNER_TEMP": str(repository.state),
        }
        install = ["bash", str(repository.action / ".github/action/install.sh")]
        subprocess.run(install, env=environ, check=True)
        entry = ["bash", str(repository.action / ".github/action/evalrunner.sh"), "action", "run"]
        step = subprocess.Popen(entry, env=environ, cwd=repository.root, stdout=subprocess.PIPE)
        try:
            _wait_for_calls(slow, step)
            os.kill(step.pid, number)  # this process, not its group
            step.communicate(timeout=30)
        finally:
            step.kill()
        assert step.returncode == code
        said = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        assert said["exit-code"] == str(code) and int(said["not-run"]) > 0
        answered = sum(slow.calls.values())
        again = subprocess.run(entry, env=environ, cwd=repository.root, check=False)
        assert again.returncode == 0
        assert sum(slow.calls.values()) == len(words), f"{answered} were answered and kept"


def _wait_for_calls(provider: FakeProvider, step: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not provider.calls and step.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
