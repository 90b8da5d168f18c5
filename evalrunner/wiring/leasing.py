"""Which leases go with which store: runs that share answers decide there who pays for one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from evalrunner.adapters.cache_disk import DiskStore
from evalrunner.engine.ports import CacheStore, Leases


def leases_of(store: CacheStore | None) -> Leases | None:
    """The leases of a run that keeps its answers in this store; ``None`` where it keeps none.

    They lie where the widest circle of runs finds its answers: on a server that is written, else beside
    the file on this machine.
    """
    if store is None:
        return None
    if isinstance(store, DiskStore):
        return _beside(store.home, store.changed)

    from evalrunner.adapters.cache_redis import RedisStore
    from evalrunner.adapters.cache_tiered import Mode, TieredStore

    if not isinstance(store, TieredStore):
        return None
    for layer in store.layers:
        if isinstance(layer.store, RedisStore) and layer.mode is Mode.WRITE:
            from evalrunner.adapters.leases_redis import RedisLeases

            return RedisLeases(layer.store, namespace=layer.seal.namespace)
    homes = [layer.store.home for layer in store.layers if isinstance(layer.store, DiskStore)]
    home = next((one for one in homes if one is not None), None)
    return _beside(home, lambda: True)  # another layer may have changed unseen


def _beside(home: Path | None, changed: Callable[[], bool]) -> Leases | None:
    if home is None or os.name != "posix":
        return None  # Windows has no such locks: every run may pay, as if it were alone
    from evalrunner.adapters.leases_file import open_file_leases

    return open_file_leases(home, changed=changed)
