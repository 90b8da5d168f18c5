"""Which leases go with which store: runs that share answers decide there who pays for one."""

from __future__ import annotations

import os

from evalrunner.adapters.cache_disk import DiskStore
from evalrunner.engine.ports import CacheStore, Leases


def leases_of(store: CacheStore | None) -> Leases | None:
    """The leases of a run that keeps its answers in this store; ``None`` where it keeps none."""
    if os.name != "posix":
        return None  # Windows has no such locks: every run may pay, as if it were alone
    if isinstance(store, DiskStore) and store.home is not None:
        from evalrunner.adapters.leases_file import open_file_leases

        return open_file_leases(store.home, changed=store.changed)
    return None
