"""Everything that a run is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from evalrunner.engine.accounts import Accounts
from evalrunner.engine.case import EvalCase
from evalrunner.engine.cost_gate import CostGate
from evalrunner.engine.habits import Habits
from evalrunner.engine.ports import CacheStore, Ledger, Progress
from evalrunner.engine.replay import OpenCase, StoreReader
from evalrunner.values.ceilings import Ceilings
from evalrunner.values.dataclass import dataclass
from evalrunner.values.kept import KeptRows
from evalrunner.values.money import ZERO, Picodollars
from evalrunner.values.result import CaseResult, RunInfo
from evalrunner.values.spec import Endpoint, Suite

if TYPE_CHECKING:
    from evalrunner.engine.verify import SamplingReader
Done = Callable[[int, CaseResult], None]
Answerer = Callable[[Sequence[OpenCase], Done], int | None]
"""The paid part: drives open cases to their ends, tells each end, returns the signal that stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """Everything that a run is given.

    Attributes:
        suites: The suites, read.
        cases: Their selected cases, in order.
        reader: Finds kept answers.
        accounts: Prices answers.
        answer: Asks for what is not kept; imported and started only where something is open.
        ledger: Where the run is accounted.
        store: Where answers are kept, for its statistics; ``None`` without a cache.
        cache_mode: The cache's mode, as the report's one line says it.
        signing: Whether entries are signed and checked, in the same line.
        info: Which run this is; times and exit code are filled in at its end.
        now: The end's time, as the document writes it.
        ceilings: The most that may be spent.
        preflight: Whether the expected cost may refuse the start.
        frozen: Whether nobody may be asked.
        baseline: The cases of the run to compare with.
        warn_only: Whether exit codes 1, 3 and 4 become 0.
        warnings: What the user should know, one line each.
        progress: Is told of every case that ends.
        kept: Rows of the suites that are taken over from an earlier run and not among *cases*.
        habits: What earlier runs tell about calls; asked for where something is open.
        held_in_month: What counts against the month's ceiling already.
        ratio: Judges testing against production; ``None`` where nothing is configured to compare with.
        sampler: The reader, where a share of its hits is to be asked again.
        proxy: The cheap tier's model, where one is configured.
        unused_cache: What to leave out to use the cache, and what would then find kept answers; for a
            run that was told to ask again.
        unseen: Whether checks in the user's code are planned without being looked at.
        frontier: The dear tier's model, where one is configured.
        left_out: How many cases of each suite a limit has left out of *cases*.
    """

    suites: Sequence[Suite]
    cases: Sequence[EvalCase]
    reader: StoreReader
    accounts: Accounts
    answer: Answerer
    ledger: Ledger
    store: CacheStore | None
    cache_mode: str
    info: RunInfo
    now: Callable[[], str]
    ceilings: Ceilings = Ceilings()
    preflight: bool = True
    frozen: bool = False
    baseline: Sequence[CaseResult] | None = None
    warn_only: bool = False
    draws: int | None = None
    signing: str = "unsigned"
    warnings: Sequence[str] = ()
    progress: Progress | None = None
    kept: KeptRows | None = None
    habits: Callable[[], Habits] = Habits
    held_in_month: Callable[[], Picodollars] = lambda: ZERO
    ratio: CostGate | None = None
    sampler: SamplingReader | None = None
    proxy: Endpoint | None = None
    unused_cache: Callable[[], tuple[str, StoreReader]] | None = None
    unseen: bool = False
    frontier: Endpoint | None = None
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
