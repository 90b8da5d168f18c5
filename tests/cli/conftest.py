"""Each test's own project, in which it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evalrunner.testing import FakeProvider
from tests.cli.project import CliProject, echo, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliProject]:
    monkeypatch.chdir(tmp_path)
    with FakeProvider(echo) as provider:
        yield make_project(tmp_path, provider)
