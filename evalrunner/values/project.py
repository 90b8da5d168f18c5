"""What a project is set up with: models, tiers, cache and money, once its configuration is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from evalrunner.values.dataclass import dataclass
from evalrunner.values.money import Picodollars
from evalrunner.values.spec import Endpoint, Routing
from evalrunner.values.spend import SpendSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """One file, read once: the bytes that were hashed are the bytes that were used.

    Attributes:
        path: Relative to the project root, with forward slashes.
        sha256: 64 hex digits of the bytes.
        data: The bytes; empty where they were streamed or are no longer needed.
    """

    path: str
    sha256: str
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Which model each tier is: a name of ``models:`` or an id; ``None`` where none is set."""

    proxy: str | None = None
    frontier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """One store among several: its address, and whether it is written, read or laid over others."""

    url: str
    mode: str = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignConfig:
    """Who is believed about a cache entry.

    Attributes:
        public_keys: Ed25519 keys, one of which must have signed an entry: several while one is replaced.
        private_key_env: The variable that holds a private key, in jobs that may write for all.
    """

    public_keys: tuple[str, ...]
    private_key_env: str = "EVALRUNNER_SIGNING_KEY"


NORMALIZATION_NAMES: Final = ("outer-white-space", "line-endings", "runs-of-blanks")
"""What ``cache.reuse`` may name; ``normalized`` stands for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Where answers are kept.

    Attributes:
        url: ``disk:``, ``redis://…`` or ``rediss://…``.
        namespace: What keeps projects in one server apart; ``None`` for the adapter's own.
        max_age_seconds: How old an answer may be; ``None`` for any age.
        stores: Several stores, instead of ``url``.
        sign: Whose signatures entries need; ``None`` where they need none.
        reuse: The normalisations of prompt text that may stand between a question and its answer; none
            where exact hashing alone decides.
    """

    url: str = "disk:"
    namespace: str | None = None
    max_age_seconds: float | None = None
    stores: tuple[StoreConfig, ...] = ()
    sign: SignConfig | None = None
    reuse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPolicy:
    """What is different about the ratio gate on some branches; ``None`` is as everywhere else.

    Attributes:
        pattern: The branches' name, in which ``*`` stands for anything.
    """

    pattern: str
    on: tuple[str, ...] | None = None
    fail_on: str | None = None
    on_inconclusive: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGateConfig:
    """When evals cost too much beside production; the ratios are exact.

    Attributes:
        branches: What differs on some branches; the first that matches is the one that counts.
    """

    on: tuple[str, ...] = ("window", "projected")
    basis: str = "total"
    window_days: int = 28
    healthy: Decimal = Decimal("0.05")
    warning: Decimal = Decimal("0.15")
    critical: Decimal = Decimal("0.30")
    fail_on: str = "warning"
    on_inconclusive: str = "fail"
    min_production_usd: Picodollars = Picodollars(50 * 10**12)
    branches: tuple[BranchPolicy, ...] = ()

    def on_branch(self, branch: str | None) -> CostGateConfig:
        """The policy of one branch; that of no branch in particular where its name is not known.

        Example:
            >>> lenient = BranchPolicy(pattern="feature/*", fail_on="never")
            >>> policy = CostGateConfig(branches=(lenient,))
            >>> policy.on_branch("feature/x").fail_on, policy.on_branch("main").fail_on
            ('never', 'warning')
        """
        for each in self.branches:
            if branch is not None and fnmatchcase(branch, each.pattern):
                return replace(
                    self,
                    on=each.on or self.on,
                    fail_on=each.fail_on or self.fail_on,
                    on_inconclusive=each.on_inconclusive or self.on_inconclusive,
                )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """What may be spent, where it is written down, and what it is compared with.

    Attributes:
        max_usd_per_run: The ceiling of one run, in picodollars.
        max_usd_per_month: The ceiling of 30.4 days, in picodollars.
        ledger_url: ``sqlite:`` or ``redis://…``.
        runs_per_month: How many runs a month to expect while there is no history.
        gate: The bands and what fails.
        production: The sources of production spend.
    """

    max_usd_per_run: Picodollars | None = None
    max_usd_per_month: Picodollars | None = None
    ledger_url: str = "sqlite:"
    runs_per_month: Decimal | None = None
    gate: CostGateConfig = CostGateConfig()
    production: tuple[SpendSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project: its root and everything that its configuration says.

    Attributes:
        root: The folder that nothing a suite names may lie outside of.
        config_path: The configuration that was read; ``None`` where the project has none.
        models: The endpoints by name.
        suites: Globs of suite files below the root; empty for the usual place.
        files: The configuration as read.
        under_policy: Whether the configuration is another checkout's: suites may then name models as it
            does and not by id, and stores that are shared are only read.
        notes: What the user should know about how it came about, one line each.
    """

    root: Path
    config_path: Path | None = None
    models: Mapping[str, Endpoint] = field(default_factory=dict)
    tiers: Tiers = Tiers()
    routing: Routing = Routing()
    cache: CacheConfig = CacheConfig()
    plugins: tuple[str, ...] = ()
    cost: CostConfig = CostConfig()
    report_include: str = "outputs"
    suites: tuple[str, ...] = ()
    files: tuple[FileRead, ...] = ()
    under_policy: bool = False
    notes: tuple[str, ...] = ()

    @property
    def config_root(self) -> Path:
        """The folder that files named by the configuration are relative to: the root, or a policy's."""
        return self.root if self.config_path is None else self.config_path.parent
