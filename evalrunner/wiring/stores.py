"""The stores that the configuration names, and what may be done with them here; opened as one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Final

from evalrunner.adapters.cache_disk import DiskStore, open_disk_store
from evalrunner.adapters.state_dir import StateDir
from evalrunner.engine.ports import CacheStore
from evalrunner.values.dataclass import dataclass
from evalrunner.values.project import Project, SignConfig, StoreConfig
from evalrunner.wiring.store_mark import URL_VARIABLE

DISK: Final = "disk:"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlan:
    """Which stores are used how, where signatures and keys are taken into account.

    Attributes:
        stores: The stores, the nearest first.
        mode: In words, for reports: ``read-write``, ``overlay`` or ``read-only``.
        signing: In words: ``unsigned``; ``signed`` where what is written is signed and what is read is
            checked; ``verified`` where nothing can be signed and what is read is checked.
        sign: Whose signatures entries need.
        secret: The private key, in jobs that have it.
    """

    stores: tuple[StoreConfig, ...]
    mode: str
    signing: str
    sign: SignConfig | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def is_one_disk(self) -> bool:
        """Whether there is nothing but one ordinary store on disk."""
        return len(self.stores) == 1 and is_disk(self.stores[0]) and self.sign is None


def store_plan(
    project: Project, *, read_only: bool = False, environ: Mapping[str, str] = os.environ
) -> StorePlan:
    """What the configuration and this environment allow.

    ``EVALRUNNER_CACHE_URL`` replaces ``cache.url`` and ``cache.stores``. Where entries have to be signed
    and the private key is not here, and on a server where another checkout's policy rules, stores that are
    shared are only read, and what this run pays for goes to an overlay of its own.
    """
    url = environ.get(URL_VARIABLE)
    stores = (StoreConfig(url=url),) if url else project.cache.stores
    stores = stores or (StoreConfig(url=project.cache.url),)
    sign = project.cache.sign
    secret = environ.get(sign.private_key_env, "").strip() or None if sign else None
    is_guest = project.under_policy and not all(map(is_disk, stores))
    if is_guest or (sign and not secret):
        stores = _only_reading(stores)
    modes = {"read"} if read_only else {store.mode for store in stores}
    mode = "read-write" if "write" in modes else "overlay" if "overlay" in modes else "read-only"
    signing = "unsigned" if sign is None else "signed" if secret else "verified"
    return StorePlan(stores=stores, mode=mode, signing=signing, sign=sign, secret=secret)


def _only_reading(stores: tuple[StoreConfig, ...]) -> tuple[StoreConfig, ...]:
    read = tuple(
        replace(store, mode="read") if store.mode == "write" else store for store in stores
    )
    has_overlay = any(store.mode == "overlay" for store in read)
    return read if has_overlay else (StoreConfig(url=DISK, mode="overlay"), *read)


def open_store(
    project: Project,
    state: StateDir,
    *,
    read_only: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> CacheStore:
    """The store of a project: one on disk, one on a server, or several in tiers.

    A server is not asked yet, and one that cannot be reached later is no error: answers are then kept on
    this machine.

    Args:
        project: Whose configuration names the stores.
        state: Where the default disk store lies.
        read_only: Nothing is written anywhere, whatever the modes say.
        environ: Where the variables are looked up.

    Raises:
        ConfigError: A URL names no store, or signatures are asked for that cannot be made or checked.
        StoreError: A folder is a link, another user's, or writable by everybody.
    """
    plan = store_plan(project, read_only=read_only, environ=environ)
    if plan.is_one_disk and plan.stores[0].mode != "overlay":
        place = disk_place(plan.stores[0].url, project, state)
        writable = plan.stores[0].mode == "write" and not read_only
        return open_disk_store(place, namespace=namespace_of(project), read_only=not writable)
    from evalrunner.wiring.store_layers import open_layers

    return open_layers(plan, project, state, read_only=read_only, environ=environ)


def open_private_store(
    store: CacheStore, project: Project, state: StateDir, *, read_only: bool = False
) -> CacheStore | None:
    """Where answers stay that no other machine may have; ``None`` where *store* is on this one.

    Raises:
        StoreError: As :func:`open_store`.
    """
    if isinstance(store, DiskStore):
        return None
    return open_disk_store(state.cache, namespace=private_namespace(project), read_only=read_only)


def namespace_of(project: Project) -> str:
    """Whose entries of a store are this project's."""
    return project.cache.namespace or "default"


def private_namespace(project: Project) -> str:
    """The namespace of what may not leave this machine."""
    return f"{namespace_of(project)}/here"


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
