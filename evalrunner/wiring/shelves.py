"""The stores of a project one by one, as ``evalrunner cache`` looks after them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.cache_tiered import Layer
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.state_dir import StateDir, open_state_dir
from evalrunner.suite.config import load_project
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project
from evalrunner.wiring.store_layers import open_layers, shared_seal
from evalrunner.wiring.stores import private_namespace, store_plan

PRIVATE: Final = "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One store of a project.

    Attributes:
        name: Where it is, without a password.
        mode: ``write``, ``read``, ``overlay`` or ``fallback`` as configured; ``private`` for what may
            not leave this machine.
        store: The store.
        seal: Whose entries it has, and which of them are believed.
    """

    name: str
    mode: str
    store: DiskStore | RedisStore
    seal: Seal

    @property
    def is_kept(self) -> bool:
        """Whether this project writes it, and so may also remove from it."""
        return self.mode != "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """All stores of a project, open.

    Attributes:
        all: The stores, the nearest first.
        seal: What the entries that the team shares are believed by.
    """

    project: Project
    state: StateDir
    all: tuple[Shelf, ...]
    seal: Seal

    @property
    def kept(self) -> tuple[Shelf, ...]:
        """Those that may be written."""
        return tuple(shelf for shelf in self.all if shelf.is_kept)

    @property
    def shared(self) -> tuple[Shelf, ...]:
        """Those whose entries may leave this machine."""
        return tuple(shelf for shelf in self.all if shelf.mode != PRIVATE)


@contextmanager
def open_shelves(
    *, start: Path | None = None, config: Path | None = None, state_dir: Path | None = None
) -> Generator[Shelves]:
    """The stores that a run of this project would use, closed at the end of the block.

    Raises:
        ConfigError: The configuration cannot be used.
        StoreError: A folder cannot be used.
    """
    project = load_project(start or Path.cwd(), config=config)
    state = open_state_dir(project.root, explicit=state_dir)
    plan = store_plan(project)
    tiers = open_layers(plan, project, state, read_only=False, environ=os.environ)
    shelves = [_shelf(layer, project) for layer in tiers.layers]
    if any(isinstance(shelf.store, RedisStore) for shelf in shelves):
        shelves += _private(project, state)
    try:
        yield Shelves(
            project=project, state=state, all=tuple(shelves), seal=shared_seal(plan, project)
        )
    finally:
        for shelf in shelves:
            shelf.store.close()


def _shelf(layer: Layer, project: Project) -> Shelf:
    store = layer.store
    assert isinstance(store, DiskStore | RedisStore)  # what layers are opened with
    return Shelf(name=_name(store, project), mode=layer.mode.value, store=store, seal=layer.seal)


def _private(project: Project, state: StateDir) -> Iterator[Shelf]:
    seal = Seal(private_namespace(project))
    store = open_disk_store(state.cache, namespace=seal.namespace, seal=seal)
    yield Shelf(name=_name(store, project), mode=PRIVATE, store=store, seal=seal)


def _name(store: DiskStore | RedisStore, project: Project) -> str:
    if isinstance(store, RedisStore):
        return str(store.address)
    path = store.path
    inside = path.is_relative_to(project.root)
    return f"disk:{path.relative_to(project.root) if inside else path}"
