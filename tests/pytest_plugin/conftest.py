"""A project and a provider for every session."""

from tests.e2e.conftest import provider, workspace

__all__ = ["provider", "workspace"]
