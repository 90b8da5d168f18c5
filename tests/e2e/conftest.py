"""A fresh project for every test, and a provider that answers it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalrunner.testing import FakeProvider

from .workspace import Workspace, answer


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Answers every question differently, and approves where it judges."""
    with FakeProvider(answer) as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, provider: FakeProvider) -> Iterator[Workspace]:
    """A project with two tiers at that provider, whose own modules are forgotten afterwards."""
    root = tmp_path / "project"
    root.mkdir()
    made = Workspace(root)
    made.configure(provider.base_url)
    before = list(sys.path)
    yield made
    sys.path[:] = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(root)):
            del sys.modules[name]
