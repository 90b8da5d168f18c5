"""What came out: scores, verdicts, their sums and the report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from evalrunner.values.cause import MissGroup
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import CallRecord, Json, Message, ModelResponse, ModelText, Tier
from evalrunner.values.exit_code import ExitCode
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.inputs import Inputs
from evalrunner.values.money import ZERO, Picodollars
from evalrunner.values.spec import CheckClass, GateSpec, RepeatSpec, SourceRef
from evalrunner.values.summary import Summary


class Outcome(StrEnum):
    """What became of a check or a case. An errored one is neither failed nor passed."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    SKIPPED = "skipped"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a check found.

    Attributes:
        value: 0.0 to 1.0; the part that this check adds to the case's score.
        passed: Whether it held, its threshold already applied.
        reason: Why, in one line; model text inside makes it model text.
        confidence: How sure a judge is, 0 to 1, where that is known.
    """

    value: float
    passed: bool
    reason: str | ModelText = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check's verdict on one case. ``record`` is the judge's call, where one was made."""

    type: str
    check_class: CheckClass
    outcome: Outcome
    value: Json = None
    metric: str | None = None
    weight: float = 1.0
    score: float | None = None
    threshold: float | None = None
    reason: str | ModelText = ""
    tier: Tier = Tier.CODE
    model: str | None = None
    escalated_from: Tier | None = None
    confidence: float | None = None
    record: CallRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The answer that a case's verdict is about, and the account of getting it."""

    tier: Tier
    model: str
    response: ModelResponse
    record: CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRef:
    """Which case: everything about it that is known before it runs."""

    id: str
    suite: str
    prompt: str
    target: str
    row: int
    repeat: int
    rendered: str | tuple[Message, ...]
    vars: Mapping[str, Json]
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source: SourceRef = SourceRef(file="")

    @property
    def row_id(self) -> str:
        """``SUITE/ROW``: what all draws and variants of one golden row have in common."""
        return self.id.split("@", 1)[0].split("#", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case's end.

    Attributes:
        case: Which case.
        outcome: The verdict.
        reason: One line: why it failed, errored or was not run.
        subject: The answer that was looked at; ``None`` where there is none.
        confirmed_from: The proxy's answer, where the target's was asked to confirm a failure.
        checks: The verdict of each check, in the order written.
        records: Every model call that this case made or was answered from the store, in order, with
            the tier and endpoint it counts for.
        price: What it would cost to ask for what a frozen case lacks.
        unasked: The question that nobody was asked, because of which the case was not run.
    """

    case: CaseRef
    outcome: Outcome
    reason: str | ModelText | None = None
    subject: Subject | None = None
    confirmed_from: Subject | None = None
    checks: tuple[CheckResult, ...] = ()
    records: tuple[ChargedCall, ...] = ()
    price: CostEstimate | None = None
    unasked: Unasked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A question that the store had no answer to, and that was not asked either."""

    role: str
    tier: Tier
    endpoint: str
    fingerprint: Fingerprint
    check: str | None = None
    miss_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedCall:
    """One call as the sums count it.

    ``tiering`` estimates what the same tokens would have cost on the target on top of nominal: 0 for
    a call on the target itself, ``None`` where the target's price is unknown, and less than 0 for a call
    that would not have been made at all, since the target was asked too.
    """

    tier: Tier
    endpoint: str
    record: CallRecord
    input_tokens: int = 0
    output_tokens: int = 0
    tiering: Picodollars | None = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A rate with its interval. Without observations (``n`` 0) there is no value."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95


class Decision(StrEnum):
    """What a gate decided. What cannot be known is never a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """One gate, with the evidence that it decided on, exact and as text.

    ``on_inconclusive`` is the policy for that outcome: ``fail`` (exit 4) or ``warn``.
    """

    name: str
    decision: Decision
    suite: str | None = None
    observed: str | None = None
    limit: str | None = None
    detail: str = ""
    on_inconclusive: str = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One reason for the exit code."""

    code: ExitCode
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What a run was expected to cost before it ran; ``None`` where a price is unknown.

    Attributes:
        expected: At least; more than that where it is ``unmetered``.
        maximum: With every confirmation and every retry; ``None`` also where nothing bounds it, as with
            an application, which says what it cost when it has answered.
        unmetered: Whether an application is asked that has never said that its answers cost anything.
        correction: What the expected cost has been multiplied with for the errors of earlier
            estimates, in millionths; ``None`` where there was no history to go by.
    """

    expected: Picodollars | None
    maximum: Picodollars | None
    correction: int | None = None
    unmetered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One way to bring a run that was refused below its limits.

    Attributes:
        action: What to write or type.
        expected: What the run would then be expected to cost.
        saves: How much less that is.
        enough: Whether every gate would let the run begin.
    """

    action: str
    expected: Picodollars
    saves: Picodollars
    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRatio:
    """Evals' part of all model spend, as the gate saw it.

    Ratios are decimal strings, with as many digits as keep them on their side of every line.

    Attributes:
        bound: Whether the ratios are ``exact``, or an ``upper`` or ``lower`` end of what they may be.
        previous_total: The ratio of the window before, where all of it is known.
        runs_per_month: How often a month the projection takes this run to be paid for.
        phase: When it was judged: ``preflight``, ``postrun``, or ``gate`` where that ran alone.
    """

    status: str = "skipped"
    basis: str = "total"
    ratio_total: str | None = None
    ratio_production: str | None = None
    projected_total: str | None = None
    projected_production: str | None = None
    previous_total: str | None = None
    runs_per_month: str | None = None
    phase: str | None = None
    bound: str = "exact"
    testing: Picodollars | None = None
    inference: Picodollars | None = None
    window_days: int = 28
    sources: tuple[Mapping[str, Json], ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Which run: the ``run`` object of the document."""

    id: str
    started_at: str
    finished_at: str
    evalrunner: str
    git: Mapping[str, Json] | None
    argv: tuple[str, ...]
    frozen: bool = False
    shard: str | None = None
    seed: str = ""
    exit_code: int = 0
    answered_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """How the cache took part.

    Attributes:
        mode: What the run might do: ``read-write``, ``overlay``, ``read-only``, ``off`` and the like.
        signing: ``unsigned``, ``signed``, or ``verified`` where nothing new can be signed.
        damaged: How many entries were turned away because they do not verify.
        untrusted: How many because no trusted key has signed them.
    """

    mode: str = "read-write"
    signing: str = "unsigned"
    damaged: int = 0
    untrusted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything that a run has to say; every output is a rendering of it.

    Attributes:
        estimates: The estimate of each suite that something was to be asked for.
        summary: The sums, where somebody has added them up; ``None``: those of ``cases``.
        remedies: What would have let a refused run begin, the best first.
        inputs: What the requests were made of, but for the rows.
        misses: Why requests had to be asked, and those that were not asked would have to be.
        gate_specs: When each suite holds, so that shards can be judged again as one.
        repeats: How often each suite's rows are drawn; a suite that is not named draws once.
        document: The run document, where it has been written already.
        left_out: How many cases of each suite a sample (``--limit``) has left out.
    """

    run: RunInfo
    cases: Sequence[CaseResult]
    gates: tuple[GateDecision, ...] = ()
    failures: tuple[Failure, ...] = ()
    cost_ratio: CostRatio = CostRatio()
    estimate: CostEstimate = CostEstimate(expected=ZERO, maximum=ZERO)
    estimates: Mapping[str, CostEstimate] = field(default_factory=dict)
    cache: CacheInfo = CacheInfo()
    possibly_paid: Picodollars | None = ZERO
    remedies: tuple[Remedy, ...] = ()
    warnings: tuple[str, ...] = ()
    summary: Summary | None = None
    inputs: Inputs | None = None
    misses: tuple[MissGroup, ...] = ()
    gate_specs: Mapping[str, GateSpec] = field(default_factory=dict)
    repeats: Mapping[str, RepeatSpec] = field(default_factory=dict)
    document: bytes | None = field(default=None, compare=False, repr=False)
    left_out: Mapping[str, int] = field(default_factory=dict)
