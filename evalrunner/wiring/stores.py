"""The stores that the configuration names, opened as one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.ports import CacheStore
from evalrunner.errors import ConfigError
from evalrunner.values.project import Project, StoreConfig

if TYPE_CHECKING:
    from evalrunner.adapters.cache_tiered import Layer

URL_VARIABLE: Final = "EVALRUNNER_CACHE_URL"
DISK: Final = "disk:"


def open_store(
    project: Project,
    state: StateDir,
    *,
    read_only: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> CacheStore:
    """The store of a project: one on disk, one on a server, or several in tiers.

    A server is not asked yet, and one that cannot be reached later is no error: answers are then kept on
    this machine. ``EVALRUNNER_CACHE_URL`` replaces ``cache.url`` and ``cache.stores``.

    Args:
        project: Whose configuration names the stores.
        state: Where the default disk store lies.
        read_only: Nothing is written anywhere, whatever the modes say.
        environ: Where the variables are looked up.

    Raises:
        ConfigError: A URL names no store.
        StoreError: A folder is a link, another user's, or writable by everybody.
    """
    stores = store_configs(project, environ)
    if [store.mode for store in stores] == ["write"] and is_disk(stores[0]):
        place = disk_place(stores[0].url, project, state)
        return open_disk_store(place, namespace=namespace_of(project), read_only=read_only)
    from evalrunner.adapters.cache_tiered import TieredStore

    return TieredStore(list(_layers(stores, project, state, environ, read_only=read_only)))


def open_private_store(
    store: CacheStore, project: Project, state: StateDir, *, read_only: bool = False
) -> CacheStore:
    """Where answers stay that no other machine may have: the store itself, if it is on this one.

    Raises:
        StoreError: As :func:`open_store`.
    """
    if isinstance(store, DiskStore):
        return store
    return open_disk_store(state.cache, namespace=namespace_of(project), read_only=read_only)


def store_configs(
    project: Project, environ: Mapping[str, str] = os.environ
) -> tuple[StoreConfig, ...]:
    """The stores that are used, the nearest first."""
    if url := environ.get(URL_VARIABLE):
        return (StoreConfig(url=url),)
    return project.cache.stores or (StoreConfig(url=project.cache.url),)


def namespace_of(project: Project) -> str:
    """Whose entries of a store are this project's."""
    return project.cache.namespace or "default"


def overlay_namespace(project: Project, environ: Mapping[str, str] = os.environ) -> str:
    """The namespace of an overlay: nobody's but this ref's, where CI says which that is."""
    ref = environ.get("GITHUB_REF", "")
    return f"{namespace_of(project)}/overlay" + (f"/{ref}" if ref else "")


def is_disk(store: StoreConfig) -> bool:
    """Whether it is a store on disk."""
    return store.url.startswith(DISK)


def disk_place(url: str, project: Project, state: StateDir) -> Path:
    """The folder of a store on disk."""
    place = url.removeprefix(DISK)
    return project.root / place if place else state.cache


def _layers(
    stores: Sequence[StoreConfig],
    project: Project,
    state: StateDir,
    environ: Mapping[str, str],
    *,
    read_only: bool,
) -> Iterator[Layer]:
    from evalrunner.adapters.cache_redis import RedisStore
    from evalrunner.adapters.cache_tiered import Layer, Mode
    from evalrunner.adapters.server_address import server_address

    shared = Seal(namespace_of(project))
    overlay = Seal(overlay_namespace(project, environ))
    if not any(is_disk(store) for store in stores):
        home = open_disk_store(
            state.cache, namespace=shared.namespace, read_only=read_only, seal=shared
        )
        yield Layer(store=home, seal=shared, mode=Mode.FALLBACK)
    for config in stores:
        mode = Mode(config.mode)
        seal = overlay if mode is Mode.OVERLAY else shared
        writable = mode is not Mode.READ and not read_only
        if is_disk(config):
            place = disk_place(config.url, project, state)
            store = open_disk_store(
                place, namespace=seal.namespace, read_only=not writable, seal=seal
            )
            yield Layer(store=store, seal=seal, mode=mode)
        elif config.url.partition(":")[0] in ("redis", "rediss"):
            server = RedisStore(
                server_address(config.url, environ),
                seal=seal,
                expire_seconds=project.cache.max_age_seconds,
                writable=writable,
            )
            yield Layer(store=server, seal=seal, mode=mode)
        else:
            raise ConfigError(
                f"the cache {config.url.partition('@')[2] or config.url!r} cannot be opened",
                hint="write disk:, redis://HOST or rediss://HOST",
            )
