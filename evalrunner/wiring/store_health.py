"""How each store of a project is, as ``doctor`` tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.adapters.cache_redis import RedisStore, ServerState
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import ServerAddress, server_address
from evalrunner.adapters.state_dir import StateDir
from evalrunner.errors import ConfigError, StoreError
from evalrunner.values.project import Project, StoreConfig
from evalrunner.wiring.stores import disk_place, is_disk, namespace_of, store_plan

_KEEPS_ALL = ("noeviction", None)


class StoreFinding(NamedTuple):
    """What is known of one store, and whether it is as it should be."""

    sound: bool
    text: str


def store_findings(project: Project, state: StateDir) -> Iterator[StoreFinding]:
    """One finding for each store. Nothing is written; a server is asked for its state and no entry."""
    for config in store_plan(project).stores:
        try:
            yield _disk(config, project, state) if is_disk(config) else _server(config, project)
        except (ConfigError, StoreError) as error:
            yield StoreFinding(sound=False, text=error.message)


def _disk(config: StoreConfig, project: Project, state: StateDir) -> StoreFinding:
    place = disk_place(config.url, project, state)
    store = open_disk_store(place, namespace=namespace_of(project), read_only=True)
    try:
        checked, damaged = store.verify()
        size = store.size().bytes
        trouble = store.stats().degraded
    finally:
        store.close()
    text = f"{checked:,} answers, {damaged:,} damaged, {size / 1e6:,.1f} MB"
    if trouble:
        text += f"; {trouble}"
    return StoreFinding(sound=not damaged and not trouble, text=text)


def _server(config: StoreConfig, project: Project) -> StoreFinding:
    address = server_address(config.url)
    store = RedisStore(address, seal=Seal(namespace_of(project)), writable=False)
    try:
        state = store.state()
    finally:
        store.close()
    if store.trouble or state.entries is None:
        return StoreFinding(sound=False, text=store.trouble or f"{address} does not answer")
    doubts = list(_doubts(address, state))
    parts = [f"{address}: {state.entries:,} answers", *_known(state), *doubts]
    return StoreFinding(sound=not doubts, text=", ".join(parts))


def _known(state: ServerState) -> Iterator[str]:
    if state.version:
        yield f"version {state.version}"
    if state.used_memory is not None:
        most = f" of {state.most_memory / 1e6:,.0f}" if state.most_memory else ""
        yield f"{state.used_memory / 1e6:,.0f}{most} MB used"


def _doubts(address: ServerAddress, state: ServerState) -> Iterator[str]:
    if not address.tls and not address.is_loopback:
        yield "without TLS anybody on the way can read and change it (write rediss://)"
    if state.policy not in _KEEPS_ALL:
        yield f"its policy {state.policy} may drop the whole cache at once when memory is short"
