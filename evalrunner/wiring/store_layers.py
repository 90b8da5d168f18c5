"""The stores of a project where they are several, shared or signed: opened, each with its seal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evalrunner.adapters.cache_disk import open_disk_store
from evalrunner.adapters.cache_redis import RedisStore
from evalrunner.adapters.cache_tiered import Layer, Mode, TieredStore
from evalrunner.adapters.seal import Seal
from evalrunner.adapters.server_address import SCHEMES, server_address
from evalrunner.adapters.state_dir import StateDir
from evalrunner.errors import ConfigError
from evalrunner.values.project import Project, StoreConfig
from evalrunner.wiring.stores import (
    StorePlan,
    disk_place,
    is_disk,
    namespace_of,
    overlay_namespace,
)


def open_layers(
    plan: StorePlan,
    project: Project,
    state: StateDir,
    *,
    read_only: bool,
    environ: Mapping[str, str],
) -> TieredStore:
    """All stores of a plan as one; see :func:`.stores.open_store`.

    Raises:
        ConfigError: A URL names no store, or a key is none.
        StoreError: A folder cannot be used.
    """
    shared = shared_seal(plan, project)
    overlay = Seal(overlay_namespace(project, environ))
    opening = _Opening(project, state, environ, read_only=read_only)
    layers = [
        opening.layer(config, overlay if config.mode == Mode.OVERLAY else shared)
        for config in plan.stores
    ]
    return TieredStore([*opening.fallback(plan, shared), *layers])


def shared_seal(plan: StorePlan, project: Project) -> Seal:
    """The seal of the entries that a team shares.

    Raises:
        ConfigError: A key is none, signs for nobody who is trusted, or needs the extra ``sign``.
    """
    namespace = namespace_of(project)
    if plan.sign is None:
        return Seal(namespace)
    from evalrunner.adapters.signing import BatchSigner, BatchVerifier

    verifier = BatchVerifier(plan.sign.public_keys)
    signer = BatchSigner(plan.secret) if plan.secret else None
    if signer and not verifier.trusts(signer):
        raise ConfigError(
            f"the private key in {plan.sign.private_key_env} belongs to no key of cache.sign",
            hint="add its public key to cache.sign.public_keys",
        )
    return Seal(namespace, signer=signer, verifier=verifier)


class _Opening:
    """Opens stores one at a time."""

    def __init__(
        self, project: Project, state: StateDir, environ: Mapping[str, str], *, read_only: bool
    ) -> None:
        self._project = project
        self._state = state
        self._environ = environ
        self._read_only = read_only

    def layer(self, config: StoreConfig, seal: Seal) -> Layer:
        """One store of the plan."""
        mode = Mode(config.mode)
        writable = mode is not Mode.READ and not self._read_only
        if is_disk(config):
            place = disk_place(config.url, self._project, self._state)
            disk = open_disk_store(
                place, namespace=seal.namespace, read_only=not writable, seal=seal
            )
            return Layer(store=disk, seal=seal, mode=mode)
        return Layer(store=self._server(config, seal, writable=writable), seal=seal, mode=mode)

    def fallback(self, plan: StorePlan, seal: Seal) -> Iterator[Layer]:
        """The store on this machine that takes what a server does not, unless one is configured."""
        if any(is_disk(config) for config in plan.stores):
            return
        home = open_disk_store(
            self._state.cache, namespace=seal.namespace, read_only=self._read_only, seal=seal
        )
        yield Layer(store=home, seal=seal, mode=Mode.FALLBACK)

    def _server(self, config: StoreConfig, seal: Seal, *, writable: bool) -> RedisStore:
        scheme = config.url.partition(":")[0]
        if scheme not in SCHEMES:
            raise ConfigError(
                f"a cache of the kind {scheme[:40]!r} is not known",
                hint="write disk:, redis://HOST or rediss://HOST",
            )
        return RedisStore(
            server_address(config.url, self._environ),
            seal=seal,
            expire_seconds=self._project.cache.max_age_seconds,
            writable=writable,
        )
