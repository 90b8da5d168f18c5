from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evalrunner.testing import FakeProvider
from tests.action.github_server import TOKEN, FakeGithub, fake_github
from tests.action.runner import Repository, copy_of_the_action
from tests.cli.project import echo


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_action(tmp_path_factory.mktemp("action"))


@pytest.fixture
def github() -> Iterator[FakeGithub]:
    with fake_github() as server:
        yield server


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(echo) as server:
        yield server


@pytest.fixture
def repository(
    tmp_path: Path, action: Path, github: FakeGithub, provider: FakeProvider
) -> Repository:
    """A project whose three rows an echoing provider answers well, pushed to main."""
    for name in ("repository", "state"):
        (tmp_path / name).mkdir()
    found = Repository(
        root=tmp_path / "repository",
        action=action,
        state=tmp_path / "state",
        url=provider.base_url,
        github=github,
        secrets={"EVAL_KEY": "made-up-key-of-the-provider", "COMMENT_TOKEN": TOKEN},
    )
    found.start()
    return found
