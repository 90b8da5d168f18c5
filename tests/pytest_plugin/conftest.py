"""A project and a provider for every session."""

import pytest

from tests.e2e.conftest import provider, workspace
from tests.pytest_plugin import session

__all__ = ["provider", "workspace"]


@pytest.fixture(autouse=True)
def _python(request: pytest.FixtureRequest) -> None:
    """Starts the sessions with the Python that was asked for."""
    session.PYTHON[:] = [request.config.getoption("--plugin-python")]
